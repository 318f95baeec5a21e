"""Keeps a fresh snapshot in memory, and gives none away that has grown old."""

import asyncio
import logging
import time
from datetime import UTC, datetime

from prometheus_client import CollectorRegistry, generate_latest

from milepost import metrics
from milepost.exporter.snapshot import Snapshot, look
from milepost.store.client import Store
from milepost.store.errors import StoreError

REFRESH_SECONDS = 10.0
STALE_SECONDS = 60.0
"""Numbers older than this are not served: an alert must see that they are missing, not take them for the present."""

_REST_FACTOR = 4
"""Rest at least so many times as long as a look took: a store that is slow is not to be kept busy by us."""

_log = logging.getLogger(__name__)


class Refresher:
    """Looks at the store every ``REFRESH_SECONDS``, less often where a look takes long."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._snapshot: Snapshot | None = None
        self.fault: str | None = "the store has not been read yet"
        self._registry = CollectorRegistry()
        metrics.EXPORTER_UP.gauge(self._registry).set_function(lambda: float(self.fresh() is not None))
        self._last_success = metrics.EXPORTER_LAST_SUCCESS.gauge(self._registry)
        self._seconds = metrics.EXPORTER_SECONDS.gauge(self._registry)
        self._failures = metrics.EXPORTER_FAILURES.counter(self._registry)

    async def run(self) -> None:
        """Refresh for ever; a store that does not answer is asked again."""
        while True:
            began = time.monotonic()
            await asyncio.to_thread(self.refresh)
            await asyncio.sleep(pause(time.monotonic() - began))

    def refresh(self) -> None:
        """Look once; on failure keep what there is until it is stale."""
        began = time.monotonic()
        try:
            snapshot = look(self._store, datetime.now(UTC))
        except StoreError as error:
            self._failures.inc()
            if str(error) != self.fault:
                _log.warning("the KPIs cannot be read: %s", error)
            self.fault = str(error)
            return
        if self.fault and self._snapshot is not None:
            _log.warning("the KPIs can be read again")
        self.fault, self._snapshot = None, snapshot
        self._last_success.set(snapshot.taken.timestamp())
        self._seconds.set(time.monotonic() - began)

    def fresh(self) -> Snapshot | None:
        """The snapshot, unless it is stale."""
        snapshot = self._snapshot
        if snapshot is None or (datetime.now(UTC) - snapshot.taken).total_seconds() > STALE_SECONDS:
            return None
        return snapshot

    def exposition(self) -> bytes:
        """What Prometheus scrapes."""
        snapshot = self.fresh()
        own = generate_latest(self._registry)
        if snapshot is None:
            return own
        return own + snapshot.rendered + _watermark_age(snapshot)


def pause(took: float) -> float:
    """Seconds until the next look, after one that took ``took``; never so long that the numbers grow stale for it."""
    return min(max(REFRESH_SECONDS - took, _REST_FACTOR * took), STALE_SECONDS / 2)


def _watermark_age(snapshot: Snapshot) -> bytes:
    if snapshot.watermark is None:
        return b""
    registry = CollectorRegistry()
    age = (datetime.now(UTC) - snapshot.watermark).total_seconds()
    metrics.WATERMARK_AGE.gauge(registry).set(max(0.0, age))
    return generate_latest(registry)
