"""Audits: the last day reconciled every few minutes, and what came of it as metrics."""

import asyncio
import logging
import time
from datetime import UTC, datetime

from prometheus_client import CollectorRegistry

from milepost import metrics
from milepost.auditor.reconcile import Reconciliation, reconcile
from milepost.auditor.streamed import TooBusyError
from milepost.reading.question import ask
from milepost.store.client import Store
from milepost.store.errors import StoreError

WINDOW = "24h"
BY = ("hub_id",)
MOST_LAG = 50_000
"""Records behind which an audit waits: the store has more urgent things to do."""
REST_FACTOR = 10
"""Rest at least so many times as long as an audit took."""
MOST_TOLD = 20

_LAG = "SELECT sum(greatest(end_offset, next_offset) - next_offset) FROM progress_store FINAL"

_log = logging.getLogger(__name__)


class Audits:
    """One audit after another. ``fault`` says why the last one could not be made, None where it was."""

    def __init__(self, store: Store, registry: CollectorRegistry) -> None:
        self._store = store
        self.fault: str | None = None
        self._drift = metrics.RECONCILE_DRIFT.gauge(registry)
        self._last_success = metrics.RECONCILE_LAST_SUCCESS.gauge(registry)
        self._seconds = metrics.RECONCILE_SECONDS.gauge(registry)

    async def run(self, every: float) -> None:
        """Audit about every ``every`` seconds, for ever."""
        while True:
            began = time.monotonic()
            await asyncio.to_thread(self.audit)
            took = time.monotonic() - began
            await asyncio.sleep(max(every - took, REST_FACTOR * took))

    def audit(self) -> None:
        """Audit once, unless the processor is far behind."""
        try:
            lag = int(self._store.query(_LAG)[0][0])
            if lag > MOST_LAG:
                self._told(f"not reconciled: the processor is {lag:,} records behind")
                return
            now = datetime.now(UTC)
            found = reconcile(self._store, ask(now, window=WINDOW, by=BY), now)
        except (StoreError, TooBusyError) as error:
            self._told(f"not reconciled: {error}")
            return
        self._told(None)
        self._drift.set(len(found.drift))
        self._seconds.set(found.seconds)
        self._last_success.set(time.time())
        if found.drift:
            _tell(found)

    def _told(self, fault: str | None) -> None:
        if fault is not None and fault != self.fault:
            _log.warning("%s", fault)
        self.fault = fault


def _tell(found: Reconciliation) -> None:
    """Every drift and who is behind it, into the log."""
    _log.error("%d numbers drift from %s to %s", len(found.drift), found.start, found.end)
    for one in found.drift[:MOST_TOLD]:
        _log.error("drift: %s %s streamed %s, recomputed %s", one.measure, one.dimensions, one.streamed, one.recomputed)
    if found.behind is not None:
        names = ", ".join(order.id for order in found.behind.orders)
        _log.error("%s Behind it, %d: %s", found.behind.advice, found.behind.count, names)
