"""A database with known KPI minutes, and what they sum up to, reckoned the plain way."""

import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from milepost.domain import facts as f
from milepost.domain.measures import HISTOGRAMS, MEASURES, bucket_key
from milepost.settings import Settings
from milepost.store.client import writer
from milepost.store.tables import GRAINS, KPIS, ORDERS

DIMENSIONS = ("hub_id", "zone_id", "service_level", "merchant_id", "courier_id", "component", "activity")
LEFT_OUT = {
    "minute": (),
    "hour": ("zone_id", "service_level", "merchant_id", "courier_id"),
    "day": ("courier_id",),
    "courier_day": (),
}
MINUTES = {"minute": 1, "hour": 60, "day": 1440, "courier_day": 1440}
_HUBS = ("BER-1", "HAM-1", "MUC-1")
_ZONES = {"BER-1": ("mitte", "pankow"), "HAM-1": ("altona", ""), "MUC-1": ("sendling",)}


@dataclass
class Entry:
    """What one moment put into one minute."""

    minute: int
    labels: tuple[str, ...]
    partition: int
    measures: dict[str, int]
    buckets: dict[int, int] = field(default_factory=dict)


@dataclass
class Minutes:
    """All entries, from the first minute (since 1970) to the last."""

    entries: list[Entry]
    first: datetime
    last: datetime

    def sums(
        self, start: datetime, end: datetime, by: Iterable[str] = (), where: dict[str, tuple[str, ...]] | None = None
    ) -> dict[tuple[str, ...], dict[str, int]]:
        """Sums over ``[start, end)`` by dimensions, entry by entry; costs and all else alike."""
        places = [DIMENSIONS.index(name) for name in by]
        filters = [(DIMENSIONS.index(name), values) for name, values in (where or {}).items()]
        found: dict[tuple[str, ...], dict[str, int]] = {}
        for entry in self.entries:
            if not start.timestamp() <= entry.minute * 60 < end.timestamp():
                continue
            if any(entry.labels[place] not in values for place, values in filters):
                continue
            total = found.setdefault(tuple(entry.labels[place] for place in places), {})
            for name, value in (*entry.measures.items(), *((f"bucket {key}", n) for key, n in entry.buckets.items())):
                total[name] = total.get(name, 0) + value
        return found


def _entries(count: int, first: int, span: int, chosen: random.Random) -> list[Entry]:
    entries = []
    for _ in range(count):
        hub = chosen.choice(_HUBS)
        labels = (hub, chosen.choice(_ZONES[hub]), chosen.choice(("express", "")), chosen.choice(("m1", "m2")))
        minute, partition = first + chosen.randrange(span), chosen.randrange(2)
        if chosen.random() < 0.2:
            cost = ("", chosen.choice(("labour", "fuel")), chosen.choice(("delivery", "return")))
            entries.append(Entry(minute, (*labels, *cost), partition, {"cost": chosen.randrange(-5000, 90_000)}))
            continue
        if chosen.random() < 0.1:
            parts = (("failed_attempt", "not_home"), ("failed_attempt", "weather"), ("feedback", "late"))
            courier, part = chosen.choice(("c1", "c2", "")), chosen.choice((*parts, *parts[:1] * 3))
            entries.append(Entry(minute, (*labels, courier, *part), partition, {"reasons": chosen.randrange(1, 4)}))
            continue
        names = chosen.sample([name for name in MEASURES if name not in ("cost", "reasons")], 6)
        measures = {name: chosen.randrange(1, 5) * (1_000_003 if name.endswith("_us") else 1) for name in names}
        histogram = chosen.randrange(len(HISTOGRAMS))
        buckets = {bucket_key(histogram, chosen.randrange(1, 10**10)): 1}
        entries.append(Entry(minute, (*labels, chosen.choice(("c1", "c2", "")), "", ""), partition, measures, buckets))
    return entries


def _rows(entries: list[Entry], version: int) -> list[tuple[Any, ...]]:
    """The rows of every grain, as absolute sums a partition."""
    cells: dict[tuple[Any, ...], tuple[dict[str, int], dict[int, int]]] = {}
    for entry in entries:
        for grain, left_out in LEFT_OUT.items():
            labels = tuple(
                "" if name in left_out else value for name, value in zip(DIMENSIONS, entry.labels, strict=True)
            )
            key = (GRAINS[grain], entry.minute - entry.minute % MINUTES[grain], labels, entry.partition)
            measures, buckets = cells.setdefault(key, ({}, {}))
            for name, value in entry.measures.items():
                measures[name] = measures.get(name, 0) + value
            for bucket, count in entry.buckets.items():
                buckets[bucket] = buckets.get(bucket, 0) + count
    return [
        (
            grain,
            minute * 60,
            *labels,
            partition,
            version,
            *(measures.get(name, 0) for name in MEASURES),
            sorted(buckets),
            [buckets[bucket] for bucket in sorted(buckets)],
        )
        for (grain, minute, labels, partition), (measures, buckets) in cells.items()
    ]


@pytest.fixture(scope="module")
def minutes(installation: Settings) -> Minutes:
    """Five days of minutes that end at the hour before now, written twice: an older version of them, then the last."""
    end = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=1)
    start = end - timedelta(days=5)
    first = int(start.timestamp()) // 60
    entries = _entries(3_000, first, 5 * 1440, random.Random(11))
    with writer(installation) as store:
        store.insert(KPIS, _rows(entries[:2_000], version=1))
        store.insert(KPIS, _rows(entries, version=2))
    return Minutes(entries, start, end)


def order_row(**known: Any) -> tuple[Any, ...]:
    """A row of ``orders_store``: what is known, else nothing."""
    values = {name: "" if "String" in kind else ([] if "Array" in kind else 0) for name, kind in ORDERS.columns.items()}
    return tuple((values | {"facts": f.encode([]), "in_full": -1, "score": -1, "nps": -1} | known).values())


@pytest.fixture(scope="module")
def orders(installation: Settings) -> datetime:
    """Orders in every state as of the moment given back; each id says what it is."""
    now = datetime.now(UTC).replace(microsecond=0)
    at = int(now.timestamp()) * 1_000_000
    hour, day = 3_600_000_000, 86_400_000_000
    placed = {"placed_at": at - 3 * hour, "last_event_at": at - hour, "hub_id": "BER-1", "state": "out", "version": 2}
    soon, past = {"deadline": at + hour, "agreed_until": at + hour}, {"deadline": at - hour, "agreed_until": at - hour}
    rows = [
        order_row(order_id="open-1", **placed, **soon),
        order_row(order_id="overdue-1", **placed, **past),
        order_row(order_id="overdue-2", **{**placed, "hub_id": "HAM-1", "merchant_id": "m1"}, **past),
        # Missed, but agreed anew after the miss: open, not overdue.
        order_row(order_id="agreed-1", **placed, deadline=at - hour, agreed_until=at + hour),
        order_row(order_id="closed-1", **placed, **past, delivered_at=at - hour, closed_at=at - hour),
        order_row(order_id="abandoned-1", **{**placed, "last_event_at": at - 31 * day}, deadline=at - 32 * day,
                  agreed_until=at - 32 * day),
        # Silent as long, but not yet past its deadline: open.
        order_row(order_id="silent-1", **{**placed, "last_event_at": at - 31 * day}, **soon),
        order_row(order_id="orphan-1", version=2, state="unplaced", last_event_at=at - hour),
        order_row(order_id="retraction-1", version=2, state="unknown", last_event_at=0),
        # An older version of one that has closed since.
        order_row(order_id="closed-1", **{**placed, "version": 1}, **past),
    ]  # fmt: skip
    with writer(installation) as store:
        store.insert(ORDERS, rows[:-1])
        store.insert(ORDERS, rows[-1:])
    return now
