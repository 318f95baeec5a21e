"""Orders leave whole and change no number; their minutes are frozen, and what comes for them says so."""

import io
from datetime import UTC, datetime
from typing import Any

import pytest
from rich.console import Console

from milepost.bus.partitions import partition_of
from milepost.cli.order_view import view
from milepost.domain.sla.life import Step
from milepost.domain.sla.words import Cause, State
from milepost.processor.sla.telling import sla_row
from milepost.processor.sla.watch import Place, Told
from milepost.processor.upkeep import jobs
from milepost.processor.upkeep import retention as retention_module
from milepost.reading.orders import find_order, find_orders
from milepost.store import rebuilds, tables

pytestmark = pytest.mark.needs_platform

_AT_ONCE = {"mutations_sync": 2}
_CELLS = """
SELECT toString(grain), minute, hub_id, component, partition, due, delivered, cost FROM kpi_store FINAL
WHERE grain != 'cut' AND (due, delivered, cost) != (0, 0, 0)
ORDER BY ALL
"""
OLD, NEW = 1_700_000_000_000, 1_793_000_000_000
"""Append times: of November 2023, and of October 2026."""


@pytest.fixture
def kept_days(database: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The database, with orders kept for 400 days, and expired at once."""
    monkeypatch.setattr(jobs, "RETENTION_AFTER_SECONDS", 0.0)
    monkeypatch.setattr(jobs, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(retention_module, "ORDERS_A_PAGE", 2)
    return database.model_copy(update={"order_retention_days": 400})


def fill(log: Any) -> None:
    """Seven orders of 2023, of which four have ended, and one of now."""
    at = "2023-11-01T10:00:00Z"
    until = "2023-11-01T12:00:00Z"
    cost = {"hub_id": "h1", "component": "fuel", "amount": "2.50", "currency": "EUR"}
    failed = {"reason_code": "not_home", "note": "third floor"}
    for number in range(7):
        order = f"old-{number}"
        data = {"order_id": order, "hub_id": "h1", "promised_until": until, "lines": [{"sku": "a", "quantity": 1}]}
        log.event("order.placed", order, {**data, "customer_ref": "c"}, f"p{number}", time=at)
        if number < 3:
            log.event("delivery.delivered", order, {"order_id": order}, time="2023-11-01T11:00:00Z")
        log.event("cost.recorded", order, {**cost, "cost_id": f"k{number}", "order_id": order}, time=at)
    log.event("cost.recorded", "route-1", {**cost, "cost_id": "k", "route_id": "route-1"}, time=at)
    log.event("delivery.attempt_failed", "trial", {**failed, "order_id": "trial"}, time=at, testmode=True)
    for records in log.records.values():
        for record in records:
            record.timestamp = OLD
    # Heard of since: stays, with its deadline of 2023.
    log.event("feedback.submitted", "old-0", {"order_id": "old-0", "score": 5}, time="2026-10-20T11:00:00Z")
    # Promised for later than the cutoff: stays.
    later = {"order_id": "old-6", "promised_until": "2026-10-21T11:00:00Z", "requested_by": "customer"}
    log.event("order.promise_changed", "old-6", later, time="2023-11-01T11:30:00Z").timestamp = OLD
    log.placed("new")


GONE = {"old-1", "old-2", "old-3", "old-4", "old-5"}
"""Two delivered, three abandoned."""


async def expire(worker: Any) -> None:
    """Let the worker do it."""
    await worker.engine.maintain()
    while worker.engine.upkeep.busy or any(at == 0 for at in worker.engine.upkeep._expire_at.values()):
        await worker.engine.maintain()
    for _ in range(60):
        await worker.engine.maintain()


def subjects(store: Any, table: str) -> set[str]:
    """Whose rows a table has."""
    return {row[0] for row in store.query(f"SELECT DISTINCT subject FROM {table}")}


def breached(order_id: str, partition: int) -> tuple[Any, ...]:
    """A broken promise of ``order_id``."""
    step = Step("promise", 5, 5, State.BREACHED, Cause.LATE, 5, 1)
    return sla_row(Told(order_id, Place("h1", "", "", "", ""), step, None, 4), partition, 6)


async def test_orders_leave_and_change_no_number(kept_days: Any, store: Any, parts: Any, log: Any) -> None:
    fill(log)
    worker = parts.Worker(kept_days, store, log)
    await worker.assign()
    await worker.all()
    cells = store.query(_CELLS)
    assert subjects(store, "personal_store") == {*(f"old-{number}" for number in range(7)), "trial"}
    for order in ("old-1", "new"):
        store.insert(tables.SLA_EVENTS, [breached(order, partition_of(order.encode(), 4))])
    await expire(worker)
    assert {row[0] for row in store.query("SELECT order_id FROM orders")} == {"old-0", "old-6", "new"}
    gone = store.query("SELECT order_id, facts, hub_id FROM orders_store FINAL WHERE state = 'expired'")
    assert {row[0] for row in gone} == GONE
    assert {row[1:] for row in gone} == {("", "")}
    assert subjects(store, "events_store") == {"old-0", "old-6", "new", "route-1"}
    assert subjects(store, "personal_store") == {"old-0", "old-6"}
    assert store.query("SELECT order_id FROM sla_events") == [("new",)]
    assert store.query(_CELLS) == cells
    assert store.query("SELECT sum(cost) FROM kpi_minutes") == [(8 * 25_000,)]
    # An event for one of them, to the worker that did it and to one that has it from the store.
    for number, one in enumerate((worker, parts.Worker(kept_days, store, log))):
        await one.assign()
        log.event("delivery.delivered", "old-3", {"order_id": "old-3"}, f"late-{number}")
        log.retraction("old-1", "p1", f"back-{number}")
        await one.all()
        assert store.query(_CELLS) == cells
    assert store.query("SELECT reason, count() FROM dead_letters GROUP BY reason") == [("expired", 4)]
    now = datetime.now(UTC)
    found = find_order(store, "old-3", now)
    assert found is not None
    assert (found.state, len(found.problems)) == ("expired", 2)
    console = Console(width=160, file=io.StringIO(), record=True)
    console.print(view(found))
    assert "It has expired (MILEPOST_ORDER_RETENTION_DAYS)" in console.export_text()
    assert find_orders(store, now, "delivered").items[0].order_id == "old-0"
    assert len(find_orders(store, now, "delivered").items) == 1


async def test_frozen_minutes_are_left_alone(kept_days: Any, store: Any, parts: Any, log: Any) -> None:
    fill(log)
    worker = parts.Worker(kept_days, store, log)
    await worker.assign()
    await worker.all()
    await expire(worker)
    cells = store.query(_CELLS)
    # Live orders still restate frozen minutes.
    log.event("delivery.delivered", "old-6", {"order_id": "old-6"}, time="2023-11-01T11:50:00Z")
    await worker.all()
    assert store.query(_CELLS) != cells
    # Damage in a frozen minute and in a later one: the later one is mended, by a recovery and by a rebuild.
    frozen = [row[0] for row in store.query("SELECT DISTINCT partition FROM orders_store WHERE state = 'expired'")]
    damage = f"UPDATE cost = cost + 1 WHERE minute < '2024-01-01' AND partition IN {frozen}"
    store.command(f"ALTER TABLE kpi_store {damage}", settings=_AT_ONCE)
    cells = store.query(_CELLS)
    store.command("ALTER TABLE kpi_store DELETE WHERE grain = 'minute' AND minute > '2024-01-01'", settings=_AT_ONCE)
    heir = parts.Worker(kept_days, store, log)
    await heir.assign()
    assert store.query(_CELLS) == cells
    store.command("ALTER TABLE kpi_store DELETE WHERE grain = 'day' AND minute > '2024-01-01'", settings=_AT_ONCE)
    asked = rebuilds.ask(store, dict.fromkeys(range(4), rebuilds.UNKNOWN))
    while not all(one.finished_at for one in rebuilds.told(store, asked, range(4))):
        await heir.engine.maintain()
    assert store.query(_CELLS) == cells


@pytest.mark.parametrize("deletions", [0, 1, 2])
async def test_killed_between_tombstones_and_deletions(
    kept_days: Any, store: Any, parts: Any, log: Any, deletions: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(log)
    worker = parts.Worker(kept_days, store, log)
    await worker.assign()
    await worker.all()
    cells = store.query(_CELLS)
    run = retention_module.Retention._delete
    left = [deletions]

    async def mortal(self: Any, *arguments: Any) -> None:
        if not left[0]:
            raise parts.CrashError
        left[0] -= 1
        await run(self, *arguments)

    monkeypatch.setattr(retention_module.Retention, "_delete", mortal)
    with pytest.raises(parts.CrashError):
        await expire(worker)
    monkeypatch.setattr(retention_module.Retention, "_delete", run)
    heir = parts.Worker(kept_days, store, log)
    await heir.assign()
    assert store.query(_CELLS) == cells
    asked = rebuilds.ask(store, dict.fromkeys(range(4), rebuilds.UNKNOWN))
    await expire(heir)
    assert all(one.finished_at for one in rebuilds.told(store, asked, range(4)))
    assert store.query(_CELLS) == cells
    assert not GONE & subjects(store, "events_store")
