"""Promises that fall due in the middle of the campaign: each that is broken is told, under one id, and no other is.

A few orders a round, of a hub of their own that no truth speaks of. Of some nothing more is heard, some are delivered
in time, some late.
"""

import asyncio
import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from kafka import KafkaConsumer, TopicPartition

from milepost.contracts.topics import SLA
from milepost.edge.client import EdgeClient
from milepost.settings import Settings
from milepost.store.client import Store

HUB = "chaos-promises"
DUE_SECONDS = 9.0
LATE_SECONDS = 3.0
SILENT, KEPT, LATE = "silent", "kept", "late"
FATES = (SILENT, SILENT, KEPT, LATE)
RESEND_SECONDS = 900.0

_STATES = """
SELECT order_id, groupArray(state) FROM (
    SELECT order_id, state, rank FROM sla_events
    WHERE rule = 'promise' AND hub_id = {hub:String} ORDER BY order_id, rank
) GROUP BY order_id
"""
_IDS = "SELECT id FROM sla_events WHERE hub_id = {hub:String}"

_FORETOLD = "at_risk", "eased"
RIGHT: dict[str, tuple[list[str], ...]] = {
    SILENT: (["breached"],),
    # Where edge or broker were away, the delivery was told after its moment.
    KEPT: ([], ["breached", "withdrawn"]),
    LATE: (["breached", "resolved"],),
}
"""What may be said of a promise in the end, without what was foretold. A risk that did not come true is resolved."""


class Promises:
    """Orders promised for a few seconds later, one of each fate a round."""

    def __init__(self, waiting: Callable[[str], None]) -> None:
        self.fates: dict[str, str] = {}
        self._waiting = waiting

    async def make(self, edge: str, number: int) -> None:
        """The orders of a round, from their placing to what comes of them."""
        placed = datetime.now(UTC)
        due = placed + timedelta(seconds=DUE_SECONDS)
        orders = {f"promise-{number}-{place}": fate for place, fate in enumerate(FATES)}
        async with EdgeClient(edge, retry_seconds=RESEND_SECONDS, waiting=self._waiting) as client:
            data = {"hub_id": HUB, "promised_until": due.isoformat(), "lines": [{"sku": "x", "quantity": 1}]}
            await client.post([_event(order, "order.placed", placed, data) for order in orders])
            self.fates |= orders
            await client.post([_delivered(order, placed) for order, fate in orders.items() if fate == KEPT])
            wait = (due + timedelta(seconds=LATE_SECONDS) - datetime.now(UTC)).total_seconds()
            await asyncio.sleep(max(0.0, wait))
            late = max(datetime.now(UTC), due + timedelta(seconds=LATE_SECONDS))
            await client.post([_delivered(order, late) for order, fate in orders.items() if fate == LATE])

    def faults(self, settings: Settings, store: Store) -> list[str]:
        """What was said of them that is not so, or not said, or said under an id that is not kept."""
        rows: Sequence[tuple[str, list[str]]] = store.query(_STATES, {"hub": HUB})  # type: ignore[assignment]
        said: dict[str, list[str]] = defaultdict(list, {order: list(states) for order, states in rows})
        wrong = [
            f"promise of {order} ({fate}): {said[order]}"
            for order, fate in self.fates.items()
            if not _is_right(said[order], fate)
        ]
        kept = {row[0] for row in store.query(_IDS, {"hub": HUB})}
        published = _published(settings)
        if kept != published:
            wrong.append(
                f"SLA events: {len(kept - published)} kept and not published, {len(published - kept)} published and "
                f"not kept: {sorted(kept ^ published)[:3]}"
            )
        return wrong


def _is_right(said: list[str], fate: str) -> bool:
    foretold = said[:1] == ["at_risk"]
    said = [state for state in said if state not in _FORETOLD]
    return said in RIGHT[fate] or (fate == KEPT and foretold and said == ["resolved"])


def _published(settings: Settings) -> set[str]:
    consumer = KafkaConsumer(bootstrap_servers=settings.kafka_servers, enable_auto_commit=False)
    found: set[str] = set()
    try:
        places = [TopicPartition(SLA.name, number) for number in range(settings.partitions)]
        consumer.assign(places)
        consumer.seek_to_beginning()
        ends = consumer.end_offsets(places)
        while any(consumer.position(place) < ends[place] for place in places):
            for records in consumer.poll(1_000, max_records=10_000).values():
                events = [json.loads(record.value) for record in records]
                found |= {event["id"] for event in events if event["data"]["hub_id"] == HUB}
    finally:
        consumer.close()
    return found


def _delivered(order: str, at: datetime) -> bytes:
    return _event(order, "delivery.delivered", at, {})


def _event(order: str, kind: str, at: datetime, data: dict[str, object]) -> bytes:
    event = {
        "specversion": "1.0",
        "id": f"{order}-{kind}",
        "source": "/chaos",
        "type": f"milepost.{kind}.v1",
        "time": at.isoformat(),
        "subject": order,
        "data": {"order_id": order, **data},
    }
    return json.dumps(event).encode()
