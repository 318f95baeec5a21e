"""A canary: an order in test mode that goes the whole way, from an edge service to the log, every minute."""

import asyncio
import logging
import secrets
import time
from datetime import UTC, datetime
from typing import Any

import msgspec
from prometheus_client import CollectorRegistry

from milepost import metrics
from milepost.edge.client import EdgeClient, EdgeError
from milepost.store.client import Store
from milepost.store.errors import StoreError

SOURCE = "/milepost/canary"
LIFE = ("order.placed", "dispatch.ready", "dispatch.assigned", "delivery.picked_up", "delivery.delivered")
"""What a canary goes through; it has come when all of it has."""
LOOK_SECONDS = 0.25

_PREFIX = "canary-"
# Subjects come first in the log's key, and those of canaries lie together: "." follows "-".
_NEWEST = """
SELECT max(time) FROM (
    SELECT subject, max(time) AS time FROM events_store
    WHERE subject >= 'canary-' AND subject < 'canary.' AND source = {source:String} AND testmode = 1
    GROUP BY subject HAVING uniqExact(type) = {life:UInt8}
)
"""
_COME = """
SELECT uniqExact(type) FROM events_store
WHERE subject = {subject:String} AND source = {source:String} AND testmode = 1
"""

_log = logging.getLogger(__name__)


class Canary:
    """Sends one after another. ``fault`` says why the last one has not come; None where it has, and at first."""

    def __init__(self, store: Store, edge: EdgeClient, registry: CollectorRegistry) -> None:
        self._store = store
        self._edge = edge
        self._seen = time.time()
        self._known = False
        self.fault: str | None = None
        metrics.CANARY_AGE.gauge(registry).set_function(lambda: max(0.0, time.time() - self._seen))
        self._seconds = metrics.CANARY_SECONDS.gauge(registry)

    async def run(self, every: float) -> None:
        """Send one every ``every`` seconds, for ever."""
        while True:
            began = time.monotonic()
            try:
                await self.fly(every)
            except (EdgeError, StoreError) as error:
                self._told(f"the canary cannot fly: {error}")
            await asyncio.sleep(max(0.0, every - (time.monotonic() - began)))

    async def fly(self, patience: float) -> bool:
        """Send one and look for it for at most ``patience`` seconds; whether it came.

        Raises:
            EdgeError: it could not be sent.
            StoreError: it could not be looked for.
        """
        await self._recall()
        sent = time.time()
        began = time.monotonic()
        subject = f"{_PREFIX}{int(sent)}-{secrets.token_hex(4)}"
        answer = await self._edge.post(events(subject, datetime.fromtimestamp(sent, UTC)))
        if answer.refused:
            self._told(f"the edge refuses the canary: {answer.refused[0]['errors']}")
            return False
        while time.monotonic() - began < patience:
            if await asyncio.to_thread(self._come, subject):
                self._seen = max(self._seen, sent)
                self._seconds.set(time.monotonic() - began)
                self._told(None)
                return True
            await asyncio.sleep(LOOK_SECONDS)
        self._told(f"the canary of {datetime.fromtimestamp(sent, UTC):%H:%M:%S} has not come after {patience:.0f} s")
        return False

    async def _recall(self) -> None:
        """The newest one of an earlier life: its age counts on."""
        if not self._known:
            rows = await asyncio.to_thread(self._store.query, _NEWEST, {"source": SOURCE, "life": len(LIFE)})
            newest = int(rows[0][0]) / 1e6
            self._seen = newest or self._seen
            self._known = True

    def _come(self, subject: str) -> bool:
        rows = self._store.query(_COME, {"subject": subject, "source": SOURCE})
        return int(rows[0][0]) == len(LIFE)

    def _told(self, fault: str | None) -> None:
        if fault is not None and fault != self.fault:
            _log.warning("%s", fault)
        elif fault is None and self.fault is not None:
            _log.info("the canary has come")
        self.fault = fault


def events(order_id: str, moment: datetime) -> list[bytes]:
    """The events of a canary order, all at ``moment``, in test mode."""
    time_text = moment.isoformat()
    more: dict[str, dict[str, Any]] = {
        "order.placed": {
            "hub_id": "canary",
            "promised_until": time_text,
            "lines": [{"sku": "canary", "quantity": 1}],
        },
        "dispatch.assigned": {"courier_id": "canary"},
    }
    return [
        msgspec.json.encode(
            {
                "specversion": "1.0",
                "id": f"{order_id}-{kind}",
                "source": SOURCE,
                "type": f"milepost.{kind}.v1",
                "time": time_text,
                "subject": order_id,
                "testmode": True,
                "data": {"order_id": order_id, **more.get(kind, {})},
            }
        )
        for kind in LIFE
    ]
