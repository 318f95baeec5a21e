"""What comes late counts rightly, for orders long closed and forgotten too, and is told: how many minutes, how late."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from definition import define
from held import Held, check
from lives import Log
from prometheus_client import CollectorRegistry
from shelf import Shelf
from workers import ShelfWorker

from milepost.metrics import RESTATED_MINUTES
from milepost.processor.report import Report
from milepost.processor.writing.restatements import Restated
from milepost.settings import Settings

FORGETFUL = Settings().model_copy(update={"cache_orders": 1, "cache_minutes": 1, "flush_events": 1_000_000})
MINUTE = 60_000_000
DAY = "2026-03-02"

Say = Callable[..., None]


def at(clock: str) -> int:
    """Milliseconds of ``day hour:minute:second`` or, of the first day, ``hour:minute:second``."""
    text = clock if " " in clock else f"{DAY} {clock}"
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


@pytest.fixture
def log() -> Log:
    """An empty log of one partition."""
    return Log(1)


@pytest.fixture
def say(log: Log) -> Say:
    """Appends an event: its kind, id, the moment it happened and the moment it was appended, and what it says."""

    def append(kind: str, identity: str, happened: str, appended: str, order: str = "o1", **data: Any) -> None:
        event = {
            "specversion": "1.0",
            "id": identity,
            "source": "/s",
            "type": f"milepost.{kind}.v1",
            "time": datetime.fromtimestamp(at(happened) / 1000, UTC).isoformat(),
            "subject": order,
            "data": data if kind == "event.retracted" else {"order_id": order, **data},
        }
        log.produce(json.dumps(event).encode(), order, at(appended), event)

    return append


def live(say: Say, order: str = "o1", hour: int = 10) -> None:
    """An order's life, each event appended a second after it happened."""
    lines = [{"sku": "milk", "quantity": 1}]
    until = f"{DAY}T{hour:02}:40:00Z"
    placed = {"hub_id": "h1", "promised_until": until, "lines": lines}
    say("order.placed", f"{order}-1", f"{hour:02}:00:00", f"{hour:02}:00:01", order, **placed)
    say("dispatch.assigned", f"{order}-2", f"{hour:02}:05:00", f"{hour:02}:05:01", order, courier_id="c1")
    say("delivery.arrived", f"{order}-3", f"{hour:02}:30:00", f"{hour:02}:30:01", order)
    say("delivery.delivered", f"{order}-4", f"{hour:02}:32:00", f"{hour:02}:32:01", order, lines=lines)


async def flushed(log: Log, shelf: Shelf, report: Report, upto: int, worker: ShelfWorker | None = None) -> ShelfWorker:
    """Read on to the offset ``upto`` and flush each record alone, as live traffic does."""
    if worker is None:
        worker = ShelfWorker(FORGETFUL, shelf, log, report)
        await worker.assign()
    while worker.engine.partitions[0].position < upto:
        await worker.read(0, 1)
        await worker.engine.flush()
    return worker


def restated(report: Report) -> float:
    """How many KPI minute rows have been restated."""
    return report.registry.get_sample_value("milepost_restated_minutes_count") or 0.0


async def test_a_life_in_time_restates_nothing(log: Log, say: Say) -> None:
    live(say)
    report = Report()
    await flushed(log, Shelf(), report, 4)
    assert restated(report) == 0
    assert report.registry.get_sample_value("milepost_event_lateness_seconds_count") == 4
    assert report.registry.get_sample_value("milepost_event_lateness_seconds_sum") == 4.0
    assert report.registry.get_sample_value("milepost_event_lateness_seconds_bucket", {"le": "1.0"}) == 4


@pytest.mark.parametrize(
    ("late", "rows"),
    [
        # Five minutes earlier: leaves minute 32 for 27; at its deadline nothing changes.
        (("delivery.delivered", "late", "10:27:00", {"lines": [{"sku": "milk", "quantity": 1}]}), 2),
        # The same, but nobody knows what came: its deadline's minute does not know either.
        (("delivery.delivered", "late", "10:27:00", {}), 3),
        # Costs and answers stand in minutes of their own.
        (
            (
                "cost.recorded",
                "late",
                "10:33:00",
                {"cost_id": "k", "hub_id": "h1", "component": "fuel", "amount": 2, "currency": "EUR"},
            ),
            1,
        ),
        # The answer, and the delivery that has one now.
        (("feedback.submitted", "late", "10:50:00", {"score": 5}), 2),
        # Nothing delivered: leaves minute 32, is due and not kept at 40.
        (
            (
                "event.retracted",
                "late",
                "10:33:00",
                {"retracts": {"source": "/s", "id": "o1-4"}, "reason": "did_not_occur"},
            ),
            2,
        ),
        # Called off before it came: gone from minute 32 and from what was due at 40, closed at 20.
        (("order.cancelled", "late", "10:20:00", {"requested_by": "customer"}), 3),
    ],
    ids=["earlier delivery", "without lines", "cost", "answer", "retraction", "cancellation"],
)
async def test_what_comes_for_an_order_long_closed_and_forgotten_restates_its_minutes(
    log: Log, say: Say, late: tuple[str, str, str, dict[str, Any]], rows: int
) -> None:
    live(say)
    live(say, "o2", hour=14)
    report, shelf = Report(), Shelf()
    worker = await flushed(log, shelf, report, 8)
    partition = worker.engine.partitions[0]
    partition.orders.evict(0)
    assert "o1" not in partition.orders
    kind, identity, happened, data = late
    say(kind, identity, happened, "2026-04-15 12:00:00", "o1", **data)
    say(kind, identity, happened, "2026-04-15 12:00:01", "o1", **data)
    await flushed(log, shelf, report, 10, worker)
    check(Held.on(shelf), define(log.events()))
    assert restated(report) == rows
    assert report.registry.get_sample_value("milepost_restated_minutes_bucket", {"le": "2592000.0"}) == 0
    assert report.registry.get_sample_value("milepost_processor_repeats_total") == 1
    assert report.registry.get_sample_value("milepost_event_lateness_seconds_count") == 9


async def test_another_worker_tells_the_same_whenever_it_reads(log: Log, say: Say) -> None:
    live(say)
    say("delivery.delivered", "late", "10:10:00", "11:00:00")
    found = set()
    for _ in range(2):
        report = Report()
        await flushed(log, Shelf(), report, 5)
        names = ("count", "sum")
        found.add(tuple(report.registry.get_sample_value(f"milepost_restated_minutes_{name}") for name in names))
    assert len(found) == 1


def test_a_minute_is_restated_once_it_ended_more_than_a_minute_ago() -> None:
    cells: dict[Any, Any] = {(100, "h", "", "", "", "", "", ""): [(0, 1)]}
    for appended, late in ((102 * MINUTE, []), (102 * MINUTE + 1, [MINUTE + 1]), (200 * MINUTE, [99 * MINUTE])):
        rows = Restated()
        rows.note(({}, cells), appended)
        rows.note((cells, {}), appended)
        assert rows.lateness() == late


def test_many_are_tallied_at_once() -> None:
    registry = CollectorRegistry()
    tally = RESTATED_MINUTES.tally(registry, (1, 60))
    tally.add([])
    tally.add([-5, 1_000_000, 1_000_001])
    tally.add([60_000_001])
    value = registry.get_sample_value
    name = RESTATED_MINUTES.name
    assert [value(f"{name}_bucket", {"le": le}) for le in ("1.0", "60.0", "+Inf")] == [2, 3, 4]
    assert (value(f"{name}_count"), value(f"{name}_sum")) == (4, pytest.approx(62.000002))
