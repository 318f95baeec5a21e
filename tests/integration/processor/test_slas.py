"""SLAs of orders in the store: raised by events and by time, once, over restarts, crashes and other hands."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from milepost.domain.sla.policy import Policies, Policy

pytestmark = pytest.mark.needs_platform

MINUTE = 60_000_000
LIMITS = Policy("default", {}, stages={"prepare": 20 * MINUTE, "transit": 30 * MINUTE}, silence=45 * MINUTE)
POLICIES = Policies(7, (LIMITS,))
NOW = datetime.now(UTC).replace(microsecond=0)


def at(minutes: float) -> str:
    """The moment so many minutes from now."""
    return (NOW + timedelta(minutes=minutes)).isoformat()


class Shift:
    """A log of this hour, and workers that take turns at it."""

    def __init__(self, database: Any, store: Any, parts: Any, policies: Policies = POLICIES) -> None:
        self.log = parts.Log()
        self._make = lambda: parts.Worker(database, store, self.log, policies=lambda: policies)
        self._store = store

    async def worker(self) -> Any:
        """A new worker with all partitions, its watches warm."""
        worker = self._make()
        await worker.assign()
        await worker.engine.slas.warm_up(lambda: worker.engine.partitions)
        return worker

    def placed(self, order: str, placed: float, until: float) -> None:
        data = {"order_id": order, "hub_id": "h1", "promised_until": at(until), "lines": [{"sku": "a", "quantity": 1}]}
        self.append("order.placed", order, placed, data)

    def event(self, kind: str, order: str, when: float, **data: Any) -> None:
        self.append(kind, order, when, {"order_id": order, **data})

    def append(self, kind: str, order: str, when: float, data: dict[str, Any], event_id: str = "") -> None:
        record = self.log.event(kind, order, data, event_id, time=at(when))
        record.timestamp = int(NOW.timestamp() * 1000)

    def said(self, order: str) -> list[tuple[str, str, str]]:
        rows = self._store.query(
            "SELECT rule, state, cause FROM sla_events WHERE order_id = {order:String} ORDER BY rule, base, rank",
            {"order": order},
        )
        return [tuple(row) for row in rows]


async def let_time_pass(worker: Any, minutes: float) -> None:
    """As the desk does it, up to so many minutes from now."""
    engine = worker.engine
    until = int((NOW + timedelta(minutes=minutes)).timestamp() * 1e6)
    await engine.slas.turn(lambda: engine.partitions, lambda _: until)


@pytest.fixture
def shift(database: Any, store: Any, parts: Any) -> Shift:
    return Shift(database, store, parts)


async def test_a_breach_comes_with_time_and_is_resolved_by_an_event(shift: Shift) -> None:
    shift.placed("late", -5, 3)
    worker = await shift.worker()
    await worker.all()
    await let_time_pass(worker, 2)
    assert shift.said("late") == []
    await let_time_pass(worker, 4)
    await let_time_pass(worker, 5)
    assert shift.said("late") == [("promise", "breached", "late")]
    shift.event("delivery.delivered", "late", 4)
    await worker.all()
    assert shift.said("late") == [("promise", "breached", "late"), ("promise", "resolved", "met_late")]


async def test_another_worker_goes_on_and_says_nothing_twice(shift: Shift) -> None:
    shift.placed("handed-over", -5, 3)
    shift.placed("kept", -5, 30)
    first = await shift.worker()
    await first.all()
    await let_time_pass(first, 4)
    second = await shift.worker()
    await let_time_pass(second, 16)
    assert shift.said("handed-over") == [("prepare", "breached", "late"), ("promise", "breached", "late")]
    assert shift.said("kept") == [("prepare", "breached", "late")]
    shift.event("delivery.delivered", "kept", 2)
    shift.event("order.cancelled", "handed-over", 9, requested_by="customer")
    third = await shift.worker()
    await third.all()
    assert shift.said("kept") == [("prepare", "breached", "late"), ("prepare", "withdrawn", "met")]
    assert shift.said("handed-over") == [
        ("prepare", "breached", "late"),
        ("prepare", "withdrawn", "cancelled"),
        ("promise", "breached", "late"),
        ("promise", "resolved", "cancelled"),
    ]


@pytest.mark.parametrize("when", ["before", "after"])
async def test_killed_in_the_flush_that_tells_it(shift: Shift, parts: Any, when: str) -> None:
    shift.placed("unlucky", -20, -5)
    shift.event("delivery.delivered", "unlucky", -2)
    worker = await shift.worker()
    worker.sink.fate = parts.Fate(at=when)
    with pytest.raises(parts.CrashError):
        await worker.all()
    after = await shift.worker()
    await after.all()
    await let_time_pass(after, 1)
    assert shift.said("unlucky") == [("promise", "breached", "late"), ("promise", "resolved", "met_late")]


@pytest.mark.parametrize("behind", [0, 86_400], ids=["clocks agree", "a clock is a day behind"])
@pytest.mark.parametrize("flushed", [True, False], ids=["by a flush", "by time"])
async def test_what_was_stored_and_not_published_is_published_by_the_next(
    shift: Shift, parts: Any, monkeypatch: pytest.MonkeyPatch, flushed: bool, behind: int
) -> None:
    shift.placed("before", -50, -40)
    shift.placed("unlucky", -5, 3)
    first = await shift.worker()
    await first.all()
    now = time.time_ns
    monkeypatch.setattr("milepost.processor.writing.sink.time.time_ns", lambda: now() - behind * 10**9)
    second = await shift.worker()
    second.sink.fate = parts.Fate(at="told")
    if flushed:
        shift.event("delivery.delivered", "unlucky", 4)
    with pytest.raises(parts.CrashError):
        await (second.all() if flushed else let_time_pass(second, 4))
    said = [("promise", "breached", "late"), ("promise", "resolved", "met_late")][: 1 + flushed]
    assert shift.said("unlucky") == said
    # What makes the breach undone comes before the next worker could find it by itself.
    shift.event("delivery.delivered", "unlucky", 2)
    third = await shift.worker()
    published = [one for one in third.sink.published if one.startswith("unlucky/")]
    assert [one.split("/")[-1] for one in published] == [state for _, state, _ in said]
    await third.all()
    assert third.sink.published[-1].split("/")[-1] == "withdrawn"


async def test_a_correction_of_an_order_long_gone_withdraws_what_was_raised(shift: Shift) -> None:
    shift.placed("corrected", -20, -5)
    shift.append("delivery.delivered", "corrected", -2, {"order_id": "corrected"}, "wrong")
    worker = await shift.worker()
    await worker.all()
    assert [state for _, state, _ in shift.said("corrected")] == ["breached", "resolved"]
    retraction = {"retracts": {"source": "/s", "id": "wrong"}, "reason": "incorrect_data"}
    shift.append("event.retracted", "corrected", 0, retraction)
    shift.event("delivery.delivered", "corrected", -7)
    another = await shift.worker()
    await another.all()
    await let_time_pass(another, 0)
    assert shift.said("corrected")[-1] == ("promise", "withdrawn", "met")


async def test_a_backfill_of_a_month_is_silent(shift: Shift) -> None:
    for day in range(1, 31):
        shift.placed(f"old-{day}", -day * 1440, -day * 1440 + 60)
        if day % 2:
            shift.event("delivery.delivered", f"old-{day}", -day * 1440 + 90)
    worker = await shift.worker()
    await worker.all()
    await let_time_pass(worker, 60)
    assert [shift.said(f"old-{day}") for day in range(1, 31)] == [[]] * 30
    another = await shift.worker()
    await let_time_pass(another, 60)
    assert [shift.said(f"old-{day}") for day in range(1, 31)] == [[]] * 30


async def test_a_row_says_what_was_known(shift: Shift, store: Any) -> None:
    shift.placed("told", -40, 2)
    shift.event("dispatch.assigned", "told", -30, courier_id="c9")
    shift.event("delivery.picked_up", "told", -25, courier_id="c9")
    worker = await shift.worker()
    await worker.all()
    began = time.time_ns() // 1000
    await let_time_pass(worker, 3)
    rows = store.query(
        "SELECT id, hub_id, courier_id, policy_version, toUnixTimestamp64Micro(detected), detail, due - base "
        "FROM sla_events WHERE order_id = 'told' AND rule = 'promise'"
    )
    base = int((NOW + timedelta(minutes=2)).timestamp() * 1e6)
    ((event_id, hub, courier, version, detected, detail, _),) = rows
    assert (event_id, hub, courier, version) == (f"told/promise/{base}/breached", "h1", "c9", 7)
    assert detected >= began
    assert '"milestone":"out"' in detail
