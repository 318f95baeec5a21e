"""Orders and KPI rows restored while the worker goes on: at any moment the numbers are the old or the right ones."""

import asyncio
from typing import Any

import pytest

from milepost.processor.upkeep import jobs
from milepost.processor.upkeep import rebuild as rebuild_module
from milepost.processor.upkeep.refill import Refill
from milepost.store import rebuilds
from milepost.store.client import Store, writer

pytestmark = pytest.mark.needs_platform

_AT_ONCE = {"mutations_sync": 2}
_TOTAL = """
SELECT partition, sum(due), sum(kept), sum(delivered), sum(cost) FROM kpi_store FINAL
WHERE grain = 'minute' GROUP BY partition ORDER BY partition
"""

Totals = tuple[int, ...]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small pages and windows, so that much falls between them."""
    monkeypatch.setattr(jobs, "TURN_SECONDS", 0.0)
    monkeypatch.setattr(jobs, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(rebuild_module, "ROWS_A_PAGE", 200)
    monkeypatch.setattr("milepost.processor.upkeep.history.SUBJECTS_A_PAGE", 4)


def ask(store: Store, *numbers: int, complete_from: int = rebuilds.UNKNOWN) -> int:
    """Ask for a rebuild of the partitions."""
    return rebuilds.ask(store, dict.fromkeys(numbers or range(4), complete_from))


async def rebuilt(worker: Any, store: Store, asked: int, *numbers: int) -> list[rebuilds.Progress]:
    """Let the worker do it; what it tells."""
    for _ in range(2_000):
        await worker.engine.maintain()
        if not worker.engine.upkeep.busy:
            told = rebuilds.told(store, asked, numbers or range(4))
            if all(one.finished_at for one in told):
                return told
    raise AssertionError("not finished")


@pytest.mark.parametrize(
    ("damage", "orders", "minutes"),
    [
        ("ALTER TABLE orders_store DELETE WHERE cityHash64(order_id) % 3 = 0", True, False),
        (
            "ALTER TABLE orders_store UPDATE delivered_at = 0, measures = [] WHERE cityHash64(order_id) % 3 = 0",
            True,
            False,
        ),
        ("ALTER TABLE orders_store UPDATE facts = 'rubbish' WHERE cityHash64(order_id) % 5 = 0", True, False),
        ("ALTER TABLE kpi_store DELETE WHERE grain = 'minute' AND due > 0", False, True),
        ("ALTER TABLE kpi_store UPDATE kept = kept + 1, hist_bucket = [], hist_count = [] WHERE due > 0", False, True),
        ("ALTER TABLE ledger_store UPDATE amount = amount + 5, facts = '' WHERE 1", False, False),
    ],
)
async def test_damage_is_mended_in_one_instant(
    database: Any, store: Any, parts: Any, damage: str, orders: bool, minutes: bool
) -> None:
    log = parts.city(40, "rebuild", rubbish=3)
    worker = parts.Worker(database, store, log)
    await worker.assign()
    await worker.all()
    right = store.query(_TOTAL)
    store.command(damage, settings=_AT_ONCE)
    damaged = store.query(_TOTAL)
    seen: set[Totals] = set()
    stop = asyncio.Event()

    async def look() -> None:
        with writer(database) as reader:
            while not stop.is_set():
                seen.update(await asyncio.to_thread(reader.query, _TOTAL))
                await asyncio.sleep(0.02)

    looking = asyncio.create_task(look())
    told = await rebuilt(worker, store, ask(store))
    stop.set()
    await looking
    assert seen <= {*damaged, *right}
    assert any(one.orders_changed for one in told) == orders
    assert any(one.minutes_changed for one in told) == minutes
    assert sum(one.orders for one in told) == len(parts.expected(log).orders)
    parts.check(store, log)


async def test_while_events_stream_in(database: Any, store: Any, parts: Any) -> None:
    log = parts.city(40, "stream", rubbish=3)
    worker = parts.Worker(database, store, log)
    await worker.assign()
    await worker.read(40)
    await worker.engine.flush()
    store.command("ALTER TABLE orders_store DELETE WHERE cityHash64(order_id) % 4 = 0", settings=_AT_ONCE)
    store.command("ALTER TABLE kpi_store DELETE WHERE grain != 'cut' AND cityHash64(minute) % 4 = 0", settings=_AT_ONCE)
    asked = ask(store)
    while await worker.read(12):
        await worker.engine.maintain()
        await worker.engine.flush()
        await worker.engine.maintain()
    told = await rebuilt(worker, store, asked)
    assert any(one.orders_changed for one in told)
    assert any(one.minutes_changed for one in told)
    parts.check(store, log)


async def test_cells_of_many_windows(database: Any, store: Any, parts: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    log = parts.city(40, "windows", rubbish=3)
    small = database.model_copy(update={"cache_minutes": 150})
    worker = parts.Worker(small, store, log)
    await worker.assign()
    await worker.read(70)
    await worker.engine.flush()
    store.command("ALTER TABLE kpi_store DELETE WHERE grain != 'cut' AND cityHash64(minute) % 2 = 0", settings=_AT_ONCE)
    asked = ask(store)
    while await worker.read(20):
        await worker.engine.maintain()
        await worker.engine.flush()
    await rebuilt(worker, store, asked)
    parts.check(store, log)


async def test_a_worker_killed_in_the_middle_leaves_it_to_the_next(database: Any, store: Any, parts: Any) -> None:
    log = parts.city(40, "kill", rubbish=3)
    worker = parts.Worker(database, store, log)
    await worker.assign()
    await worker.all()
    store.command("ALTER TABLE orders_store DELETE WHERE cityHash64(order_id) % 2 = 0", settings=_AT_ONCE)
    store.command("ALTER TABLE kpi_store DELETE WHERE grain = 'hour'", settings=_AT_ONCE)
    asked = ask(store, 0)
    worker.sink.fate = parts.Fate("before")
    with pytest.raises(parts.CrashError):
        await rebuilt(worker, store, asked, 0)
    assert not rebuilds.told(store, asked, [0])[0].finished_at
    heir = parts.Worker(database, store, log)
    await heir.assign()
    parts.check(store, log)
    assert (await rebuilt(heir, store, asked, 0))[0].finished_at
    parts.check(store, log)


async def test_what_the_log_lacks_is_kept_unless_it_is_known_to_be_complete(
    database: Any, store: Any, parts: Any, log: Any
) -> None:
    record = log.placed("o1")
    log.event("delivery.delivered", "o1", {"order_id": "o1"})
    worker = parts.Worker(database, store, log)
    await worker.assign()
    await worker.all()
    store.command("ALTER TABLE events_store DELETE WHERE offset = 1", settings=_AT_ONCE)
    (told,) = await rebuilt(worker, store, ask(store, record.partition), record.partition)
    assert (told.orders_changed, told.orders_unlogged, told.minutes_changed) == (0, 1, 0)
    assert store.query("SELECT state FROM orders") == [("delivered",)]
    asked = ask(store, record.partition, complete_from=0)
    (told,) = await rebuilt(worker, store, asked, record.partition)
    assert (told.orders_changed, told.orders_unlogged) == (1, 0)
    assert store.query("SELECT state FROM orders") == [("placed",)]
    assert store.query("SELECT sum(delivered), sum(due) FROM kpi_minutes") == [(0, 1)]
    store.command("ALTER TABLE events_store DELETE WHERE offset = 0", settings=_AT_ONCE)
    asked = ask(store, record.partition, complete_from=0)
    (told,) = await rebuilt(worker, store, asked, record.partition)
    assert store.query("SELECT count() FROM orders") == [(0,)]
    assert store.query("SELECT sum(delivered), sum(due) FROM kpi_minutes") == [(0, 0)]


async def test_from_the_topic_comes_what_the_log_has_lost_and_nothing_else(
    database: Any, store: Any, parts: Any, unique: str
) -> None:
    sent = parts.Log()
    gone, other = f"{unique}-gone", f"{unique}-other"
    for order in (gone, other):
        sent.placed(order)
        sent.event("delivery.delivered", order, {"order_id": order}, "d", ext={"note": "x"})
        sent.event("delivery.delivered", order, {"order_id": order}, "d", time="2026-03-02T09:00:00Z")
        sent.event("order.cancelled", order, {"order_id": order, "requested_by": "customer"}, "t", testmode=True)
    sent.placed(f"{unique}-astray")
    misplaced = next(record for records in sent.records.values() for record in records if b"astray" in record.value)
    sent.produce(misplaced.value, f"{unique}-astray", partition=(misplaced.partition + 1) % 4)
    sent.cost(f"{unique}-route", "k", "3.00", route_id=f"{unique}-route")
    sent.send(database)
    log = parts.Log.of_topic(database)
    worker = parts.Worker(database, store, log, partition_count=lambda: 4)
    await worker.assign()
    await worker.all()
    before = parts.stored(store)
    personal = store.query("SELECT * FROM personal ORDER BY ALL")
    store.command(f"ALTER TABLE events_store DELETE WHERE subject != '{other}'", settings=_AT_ONCE)
    store.command("TRUNCATE TABLE personal_store")
    store.command(f"ALTER TABLE orders_store DELETE WHERE order_id = '{gone}'", settings=_AT_ONCE)
    now = log.records[misplaced.partition][-1].timestamp * 1000
    complete = await Refill(database, store, now).run(range(4), lambda read, total: None)
    asked = rebuilds.ask(store, complete)
    told = await rebuilt(worker, store, asked)
    assert sum(one.orders_changed for one in told) == 1
    assert sum(one.minutes_changed + one.orders_unlogged for one in told) == 0
    after = parts.stored(store)
    assert after == before
    assert store.query("SELECT * FROM personal ORDER BY ALL") == personal
    assert misplaced.offset in {offset for *_, number, offset, _, _ in after.events if number == misplaced.partition}
