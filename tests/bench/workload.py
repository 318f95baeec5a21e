"""What is measured with: the simulated city's events, as the edge puts them on the topic."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import msgspec

from milepost.bus.producer import Publisher
from milepost.contracts import topics
from milepost.contracts.event import decode, encode
from milepost.settings import Settings
from milepost.simulator.files import parse_moment, write
from milepost.simulator.simulation import Options

EVENTS_AN_ORDER = 10.2
START = "2026-03-02T00:00:00Z"
CHUNK = 5_000


class Record(NamedTuple):
    """A record as it is published."""

    key: bytes
    value: bytes


def simulate(events: int, folder: Path) -> Path:
    """A file with about ``events`` events of a seeded city, in the order they arrive."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"city-{events}.jsonl"
    if not path.exists():
        orders = max(1, round(events / EVENTS_AN_ORDER))
        write(Options(orders=orders, seed="7", start=parse_moment(START)), str(path), None)
    return path


def canonical(path: Path, currency: str) -> Iterator[Record]:
    """The file's events as the edge publishes them."""
    now = datetime.now(UTC)
    with path.open("rb") as file:
        for line in file:
            event = decode(line, currency, now)
            yield Record(event.subject.encode(), encode(msgspec.structs.replace(event, recorded=now)))


def fill(settings: Settings, records: Iterator[Record]) -> int:
    """Put ``records`` on the lifecycle topic; returns how many."""
    return asyncio.run(_fill(settings, records))


async def _fill(settings: Settings, records: Iterator[Record]) -> int:
    publisher = Publisher(settings.kafka_servers, topics.LIFECYCLE.name, 60.0)
    await publisher.start()
    published = 0
    try:
        while chunk := list(islice(records, CHUNK)):
            await publisher.publish(chunk)
            published += len(chunk)
    finally:
        await publisher.stop()
    return published


def placed_order(order: str, hub: str, placed: datetime, until: datetime) -> bytes:
    """The event of an order of one line, placed at ``placed`` and promised for ``until``, as it is posted."""
    return msgspec.json.encode(
        {
            "specversion": "1.0",
            "id": order,
            "source": "/bench",
            "type": "milepost.order.placed.v1",
            "time": placed,
            "subject": order,
            "data": {
                "order_id": order,
                "hub_id": hub,
                "promised_until": until,
                "lines": [{"sku": "sku-1", "quantity": 1}],
            },
        }
    )
