"""Every Prometheus metric of Milepost: its name, what it says and its labels, defined once."""

from bisect import bisect_left
from collections import Counter as Counted
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, repeat

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector

_MICROSECONDS = 1_000_000


class Tally(Collector):
    """A histogram of durations counted many at a time, which costs a fraction of counting each."""

    def __init__(self, name: str, text: str, buckets: Sequence[int]) -> None:
        self._name, self._text = name, text
        self._bounds = [bound * _MICROSECONDS for bound in buckets]
        self._counts: Counted[int] = Counted()
        self._sum = 0

    def add(self, durations: Sequence[int]) -> None:
        """Count durations in microseconds; a negative one counts as 0."""
        if not durations:
            return
        if min(durations) < 0:
            durations = [max(0, duration) for duration in durations]
        self._counts.update(map(bisect_left, repeat(self._bounds), durations))
        self._sum += sum(durations)

    def collect(self) -> Iterable[HistogramMetricFamily]:
        """The histogram as it stands, in seconds."""
        names = [*(f"{bound / _MICROSECONDS}" for bound in self._bounds), "+Inf"]
        counts = accumulate(self._counts[place] for place in range(len(names)))
        yield HistogramMetricFamily(
            self._name, self._text, list(zip(names, map(float, counts), strict=True)), self._sum / _MICROSECONDS
        )


@dataclass(frozen=True)
class Metric:
    """A metric's definition; a process makes the ones it reports in its own registry."""

    name: str
    text: str
    labels: tuple[str, ...] = ()

    def counter(self, registry: CollectorRegistry) -> Counter:
        """A counter in ``registry``."""
        return Counter(self.name, self.text, self.labels, registry=registry)

    def gauge(self, registry: CollectorRegistry) -> Gauge:
        """A gauge in ``registry``."""
        return Gauge(self.name, self.text, self.labels, registry=registry)

    def histogram(
        self, registry: CollectorRegistry, buckets: tuple[float, ...] = Histogram.DEFAULT_BUCKETS
    ) -> Histogram:
        """A histogram in ``registry`` with the upper bounds ``buckets``."""
        return Histogram(self.name, self.text, self.labels, registry=registry, buckets=buckets)

    def tally(self, registry: CollectorRegistry, buckets: Sequence[int]) -> Tally:
        """A histogram in ``registry`` with the upper bounds ``buckets``, in seconds, that counts many at a time."""
        tally = Tally(self.name, self.text, buckets)
        registry.register(tally)
        return tally


EVENTS = Metric(
    "milepost_events_total", "Events posted to an edge service, by what became of them.", ("type", "outcome")
)
EDGE_REQUESTS = Metric(
    "milepost_edge_requests_total", "Requests an edge service answered, by status code.", ("status",)
)
EDGE_PUBLISH_SECONDS = Metric(
    "milepost_edge_publish_seconds", "Time from handing events to the broker to its acknowledgement."
)
EDGE_REFUSALS = Metric(
    "milepost_edge_refusals_total",
    "Requests refused because too much is in hand, by what ran out: a sender's share (429), all requests, bytes, "
    "connections, or what is answered in good time (503).",
    ("reason",),
)
EDGE_REQUESTS_IN_HAND = Metric("milepost_edge_requests_in_hand", "Requests being read, checked or published.")
EDGE_BYTES_IN_HAND = Metric("milepost_edge_bytes_in_hand", "Bytes of their bodies.")
EDGE_CUTS = Metric(
    "milepost_edge_cut_connections_total",
    "Connections cut: a head that did not arrive, an answered body that did not end, an answer that was not read.",
    ("reason",),
)
EDGE_BROKER_UP = Metric("milepost_edge_broker_up", "1 while the edge can publish, else 0.")

PROCESSOR_RECORDS = Metric("milepost_processor_records_total", "Records of the lifecycle topic that are in the store.")
PROCESSOR_REPEATS = Metric("milepost_processor_repeats_total", "Events that came again and changed nothing.")
IDENTITY_CONFLICTS = Metric(
    "milepost_identity_conflicts_total", "Copies of a known event that say something else; the first counts."
)
DEAD_LETTERS = Metric("milepost_dead_letters_total", "Records that could not be processed, by reason.", ("reason",))
PARTITION_PAUSED = Metric(
    "milepost_partition_paused",
    "1 while a partition waits for `milepost dead-letters resume` because too much of it failed, else 0.",
    ("partition",),
)
PROCESSOR_LAG = Metric(
    "milepost_processor_lag_records", "Records on the topic that are not in the store yet.", ("partition",)
)
PROCESSOR_WATERMARK_AGE = Metric(
    "milepost_processor_watermark_age_seconds",
    "Age of the last record stored, of the partition furthest behind; 0 where none lags.",
)
FLUSH_SECONDS = Metric("milepost_sink_flush_seconds", "Time of a flush, from the first row built to all stored.")
FLUSH_BUILD_SECONDS = Metric("milepost_processor_build_seconds", "Time of a flush spent on building its rows.")
RESTATED_MINUTES = Metric(
    "milepost_restated_minutes",
    "KPI minute rows changed by records that came more than a minute after the minute had ended, by how many seconds "
    "after it they were appended; a row counts once a flush.",
)
EVENT_LATENESS = Metric(
    "milepost_event_lateness_seconds", "From the time of an event to its append time; of every event the first time."
)
RECOVERIES = Metric("milepost_processor_recoveries_total", "Partitions taken in hand.")
RECOVERY_SECONDS = Metric("milepost_processor_recovery_seconds", "Time the last recovery took.")
MENDED_ROWS = Metric(
    "milepost_processor_mended_rows_total",
    "Orders and KPI minutes that did not say what the log says, written anew by a recovery or a rebuild.",
    ("what",),
)
EXPIRED_ORDERS = Metric("milepost_processor_expired_orders_total", "Orders that have left with their retention.")
CACHED_ORDERS = Metric("milepost_processor_cached_orders", "Orders in the worker's memory.")
SINK_FAILURES = Metric("milepost_sink_failures", "Failed calls of the store in a row; 0 while it answers.")

SLA_TRANSITIONS = Metric(
    "milepost_sla_transitions_total", "States that SLAs of orders have reached, by rule.", ("rule", "state")
)
SLA_DETECTION_SECONDS = Metric(
    "milepost_sla_detection_seconds", "From the moment a promise or limit was broken to its breach being stored."
)
SLA_FAILURES = Metric(
    "milepost_sla_failures_total", "Orders whose SLAs are not watched because looking at them failed: a fault of ours."
)
SLA_WATCHED = Metric("milepost_sla_watched_orders", "Open orders whose SLAs the worker watches.")
SLA_POLICY_VERSION = Metric(
    "milepost_sla_policy_version", "Version of the SLA policies that the worker goes by; 0 before it has read any."
)
SOURCE_EVENTS = Metric(
    "milepost_source_events_total",
    "Events of placed orders that were counted, by sender and hub; what is beyond a few hundred senders is `other`.",
    ("source", "hub_id"),
)

INSIGHTS_REQUESTS = Metric(
    "milepost_insights_requests_total", "Requests the read API answered, by route and status code.", ("route", "status")
)
INSIGHTS_LISTENERS = Metric("milepost_insights_listeners", "Clients that the read API streams SLA events to.")
INSIGHTS_SECONDS = Metric("milepost_insights_seconds", "Time the read API took for an answer.", ("route",))

_KPI_LABELS = ("kpi", "stage", "window", "hub_id")
KPI_VALUE = Metric(
    "milepost_kpi_value",
    "A KPI over the window that ended with the last whole minute, by hub; `stage` only for stage_time. No series where "
    "nothing counted. Never average it: divide the sum of numerators by the sum of denominators.",
    _KPI_LABELS,
)
KPI_NUMERATOR = Metric(
    "milepost_kpi_numerator", "Exact sum over the window that the KPI's value divides, in its unit.", _KPI_LABELS
)
KPI_DENOMINATOR = Metric("milepost_kpi_denominator", "Exact count over the window that it is divided by.", _KPI_LABELS)
KPI_COVERAGE = Metric(
    "milepost_kpi_coverage",
    "Share of the KPI's population over the window of which it is known; only for KPIs that may be unknown.",
    _KPI_LABELS,
)
OPEN_ORDERS = Metric("milepost_open_orders", "Orders placed, neither closed nor abandoned.", ("hub_id",))
OVERDUE_ORDERS = Metric(
    "milepost_overdue_orders", "Open orders past the latest promise agreed with customer or merchant.", ("hub_id",)
)
AT_RISK_ORDERS = Metric(
    "milepost_at_risk_orders", "Open orders whose promise is not broken yet, and is expected to be.", ("hub_id",)
)
BREACHED_SLAS = Metric(
    "milepost_sla_breached_orders", "Open orders with a broken promise or limit, by rule.", ("rule", "hub_id")
)
ORPHAN_ORDERS = Metric("milepost_orphan_orders", "Orders heard of but not placed.")
WATERMARK_AGE = Metric(
    "milepost_watermark_age_seconds",
    "How long ago everything received was in the numbers; of all partitions, as the store tells. No series before the "
    "first event.",
)
STORED_DEAD_LETTERS = Metric("milepost_dead_letters_stored", "Open dead letters in the store, by reason.", ("reason",))
RECONCILE_DRIFT = Metric(
    "milepost_reconcile_drift",
    "Numbers of the last day, by hub, that the stream and a recount of the log did not agree on at the last audit.",
)
RECONCILE_LAST_SUCCESS = Metric(
    "milepost_reconcile_last_success_timestamp_seconds",
    "When the last day was last recounted; 0 before the first time.",
)
RECONCILE_SECONDS = Metric("milepost_reconcile_seconds", "Time the last audit took.")
CANARY_AGE = Metric(
    "milepost_canary_age_seconds",
    "How long ago the newest canary order that has come through the whole path was sent; before the first, the "
    "auditor's own age.",
)
CANARY_SECONDS = Metric(
    "milepost_canary_seconds", "Time the newest canary order took from the edge to the log; 0 before the first."
)

EXPORTER_UP = Metric("milepost_exporter_up", "1 while the exporter serves KPIs, 0 while it has none fresh enough.")
EXPORTER_LAST_SUCCESS = Metric(
    "milepost_exporter_last_success_timestamp_seconds", "When the KPIs served were read; 0 before the first time."
)
EXPORTER_SECONDS = Metric("milepost_exporter_refresh_seconds", "Time the last refresh took.")
EXPORTER_FAILURES = Metric("milepost_exporter_failures_total", "Refreshes that failed.")
