"""What a processor worker tells of itself: its metrics."""

import time
from collections.abc import Container, Iterable, Sequence
from typing import Any

from prometheus_client import CollectorRegistry

from milepost import metrics
from milepost.domain.sla.words import RULES, State
from milepost.processor.patience import PATIENCE
from milepost.processor.sla.watch import Told
from milepost.processor.state.partition import Batch
from milepost.processor.writing.restatements import event_lateness

_REASONS = ("not_json", "invalid", "unknown_type", "conflict", "misplaced", "expired", "failed")

_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400
RESTATED_BUCKETS = (_MINUTE, 5 * _MINUTE, 15 * _MINUTE, _HOUR, 6 * _HOUR, _DAY, 7 * _DAY, 30 * _DAY)
"""How late minutes are restated, in seconds."""
LATENESS_BUCKETS = (1, 5, 15, *RESTATED_BUCKETS)
"""How late events are, in seconds."""


SLA_BUCKETS = (0.25, 0.5, 0.75, 1.0, 1.5, 2.5, 5.0, 15.0, 60.0, 300.0, 900.0)
MOST_SOURCES = 300


class Report:
    """The worker's metrics, in a registry of its own. Every series exists from the start, at 0."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._records = metrics.PROCESSOR_RECORDS.counter(self.registry)
        self._repeats = metrics.PROCESSOR_REPEATS.counter(self.registry)
        self._conflicts = metrics.IDENTITY_CONFLICTS.counter(self.registry)
        self._dead_letters = metrics.DEAD_LETTERS.counter(self.registry)
        self._lag = metrics.PROCESSOR_LAG.gauge(self.registry)
        self._paused = metrics.PARTITION_PAUSED.gauge(self.registry)
        self._watermark_age = metrics.PROCESSOR_WATERMARK_AGE.gauge(self.registry)
        self._build = metrics.FLUSH_BUILD_SECONDS.histogram(self.registry)
        self._flush = metrics.FLUSH_SECONDS.histogram(self.registry)
        self._restated = metrics.RESTATED_MINUTES.tally(self.registry, RESTATED_BUCKETS)
        self._lateness = metrics.EVENT_LATENESS.tally(self.registry, LATENESS_BUCKETS)
        self._recoveries = metrics.RECOVERIES.counter(self.registry)
        self._recovery = metrics.RECOVERY_SECONDS.gauge(self.registry)
        self._mended = metrics.MENDED_ROWS.counter(self.registry)
        self._expired = metrics.EXPIRED_ORDERS.counter(self.registry)
        self._orders = metrics.CACHED_ORDERS.gauge(self.registry)
        self._sink_failures = metrics.SINK_FAILURES.gauge(self.registry)
        self._sla_steps = metrics.SLA_TRANSITIONS.counter(self.registry)
        self._sla_detection = metrics.SLA_DETECTION_SECONDS.histogram(self.registry, SLA_BUCKETS)
        self._sla_failures = metrics.SLA_FAILURES.counter(self.registry)
        self._sla_watched = metrics.SLA_WATCHED.gauge(self.registry)
        self._sla_policies = metrics.SLA_POLICY_VERSION.gauge(self.registry)
        self._heard = metrics.SOURCE_EVENTS.counter(self.registry)
        self._sources: set[str] = set()
        for rule in RULES:
            for state in list(State)[1:]:
                self._sla_steps.labels(rule, state)
        for reason in _REASONS:
            self._dead_letters.labels(reason)
        self.mended(0, 0)

    def flushed(self, batch: Batch, build_seconds: float, seconds: float) -> None:
        """A flush has been written."""
        self._records.inc(batch.records)
        self._repeats.inc(batch.repeats)
        for rejected in batch.rejected:
            self._dead_letters.labels(rejected.reason).inc()
            if rejected.reason == "conflict":
                self._conflicts.inc()
        self._build.observe(build_seconds)
        self._flush.observe(seconds)
        self._restated.add(batch.restated)
        self._lateness.add(event_lateness(batch.events))
        for (source, hub_id), events in batch.heard.items():
            self._heard.labels(self._known_source(source), hub_id).inc(events)
        self.told([told for told, _ in batch.told])

    def _known_source(self, source: str) -> str:
        """``source`` as a label: what comes after the first few hundred is all one."""
        if source not in self._sources:
            if len(self._sources) >= MOST_SOURCES:
                return "other"
            self._sources.add(source)
        return source

    def told(self, told: Sequence[Told]) -> None:
        """SLAs have reached these states, and it is stored."""
        now = time.time()
        for one in told:
            self._sla_steps.labels(one.step.rule, one.step.state).inc()
            if one.step.state is State.BREACHED:
                self._sla_detection.observe(max(0.0, now - one.step.due / 1e6))

    def watched(self, orders: int, failures: int) -> None:
        """So many open orders' SLAs are watched; of so many more, looking at them has failed."""
        self._sla_watched.set(orders)
        self._sla_failures.inc(failures)

    def policies(self, version: int) -> None:
        """The SLA policies of this version hold."""
        self._sla_policies.set(version)

    def assigned(self, numbers: Iterable[int]) -> None:
        """These partitions are in hand now, and no others: of those nothing is said any more."""
        self._lag.clear()
        self._paused.clear()
        for number in numbers:
            self._lag.labels(str(number))

    def paused(self, numbers: Iterable[int], paused: Container[int]) -> None:
        """Which of the partitions in hand wait for an answer."""
        for number in numbers:
            self._paused.labels(str(number)).set(number in paused)

    def recovered(self, partitions: int, seconds: float) -> None:
        """Partitions have been taken in hand."""
        self._recoveries.inc(partitions)
        self._recovery.set(seconds)

    def mended(self, orders: int, minutes: int) -> None:
        """Orders and KPI minutes were wrong, and have been written anew."""
        self._mended.labels("orders").inc(orders)
        self._mended.labels("minutes").inc(minutes)

    def expired(self, orders: int) -> None:
        """Orders have expired."""
        self._expired.inc(orders)

    def progress(self, lag: dict[int, int], rows: list[tuple[Any, ...]], cached_orders: int) -> None:
        """How far the partitions are; ``rows`` as written to ``progress_store``."""
        for number, records in lag.items():
            self._lag.labels(str(number)).set(records)
        ages = [(now - appended) / 1e6 if cut < end else 0.0 for _, cut, end, appended, _, now in rows]
        self._watermark_age.set(max(ages, default=0.0))
        self._orders.set(cached_orders)
        self._sink_failures.set(PATIENCE.failures)
