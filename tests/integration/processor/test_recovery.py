"""What a worker finds when it takes partitions in hand: damage is mended, what is ahead of the cut is not believed."""

import asyncio
import contextlib
from itertools import islice
from typing import Any

import pytest

from milepost.processor.arrival.pauses import NoFeed
from milepost.processor.state.loading import AheadOfUsError
from milepost.store import tables

pytestmark = pytest.mark.needs_platform

_AT_ONCE = {"mutations_sync": 2}


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE WHERE grain = 'minute' AND due > 0",
        "DELETE WHERE grain = 'hour'",
        "DELETE WHERE grain = 'day' AND component != ''",
        "DELETE WHERE grain = 'courier_day' AND delivered > 0",
        "UPDATE kept = kept + 1, cost = cost - 5 WHERE grain = 'minute'",
        "UPDATE delivery_us = delivery_us - 1 WHERE grain = 'day' AND delivered > 0",
    ],
)
async def test_damaged_kpi_rows_are_rebuilt(database: Any, store: Any, parts: Any, damage: str) -> None:
    log = parts.city(40, "damage", rubbish=3)
    worker = parts.Worker(database, store, log)
    await worker.assign()
    await worker.read(60)
    await worker.engine.flush()
    await worker.read(60)
    await worker.engine.flush()
    store.command(f"ALTER TABLE kpi_store {damage}", settings=_AT_ONCE)
    heir = parts.Worker(database, store, log)
    cuts = await heir.assign()
    assert cuts == worker.engine.cuts, "the cut stands"
    read = parts.Log()
    read.records = {number: records[: cuts[number]] for number, records in log.records.items()}
    parts.check(store, read)
    await heir.all()
    parts.check(store, log)


async def test_rows_that_should_not_be_there_are_emptied(database: Any, store: Any, parts: Any) -> None:
    log = parts.city(40, "surplus", rubbish=3)
    worker = parts.Worker(database, store, log)
    await worker.assign()
    await worker.all()
    names = ", ".join(tables.KPIS.columns)
    moved = names.replace("minute,", "minute + 600,", 1)
    store.command(
        f"INSERT INTO kpi_store ({names}) SELECT {moved} FROM kpi_store FINAL WHERE grain != 'cut' AND due > 0"
    )
    heir = parts.Worker(database, store, log)
    await heir.assign()
    parts.check(store, log)


async def test_recovery_that_finds_nothing_wrong_writes_nothing(database: Any, store: Any, parts: Any) -> None:
    log = parts.city(40, "sound", rubbish=3)
    worker = parts.Worker(database, store, log)
    await worker.assign()
    await worker.all()
    before = store.query("SELECT count() FROM kpi_store")
    await parts.Worker(database, store, log).assign()
    assert store.query("SELECT count() FROM kpi_store") == before


async def test_rows_ahead_of_the_cut_count_only_once_they_are_read_again(
    database: Any, store: Any, parts: Any, log: Any
) -> None:
    order, courier = "o-ahead", "c-ahead"
    log.placed(order)
    log.cost(courier, "k", "2.50", courier_id=courier)
    worker = parts.Worker(database, store, log)
    await worker.assign()
    await worker.all()
    log.event("delivery.delivered", order, {"order_id": order}, time="2026-03-02T11:00:00Z")
    log.cost(courier, "k", "9.00", courier_id=courier)
    log.cost(courier, "k2", "1.00", courier_id=courier)
    log.placed("o-other")
    worker.sink.fate = parts.Fate("before")
    await worker.read()
    with pytest.raises(parts.CrashError):
        await worker.engine.flush()
    heir = parts.Worker(database, store, log)
    assert sum((await heir.assign()).values()) == 2
    # What comes next is folded over the state at the cut, in flushes of another size.
    while await heir.read(1):
        await heir.engine.flush()
    parts.check(store, log)


async def test_a_worker_that_was_overtaken_stops(database: Any, store: Any, parts: Any, log: Any) -> None:
    log.placed("o1")
    one, other = parts.Worker(database, store, log), parts.Worker(database, store, log)
    await one.assign()
    await other.assign()
    await other.all()
    log.event("delivery.delivered", "o1", {"order_id": "o1"})
    await one.all(1)
    await other.all()
    cells = one.engine.partitions[next(n for n, r in log.records.items() if r)].cells
    assert cells.take_changed(0, 0) == [], "what the last flush touched may be forgotten only after the next"
    cells.evict(0)
    log.event("order.cancelled", "o1", {"order_id": "o1", "requested_by": "customer"}, time="2026-03-02T09:59:00Z")
    await other.all()
    await one.read()
    with pytest.raises(AheadOfUsError, match="the store holds KPI rows of offset 3, we have written up to 2"):
        await one.engine.flush()
    parts.check(store, log)


async def test_two_that_both_think_they_own_a_partition_write_the_same(database: Any, store: Any, parts: Any) -> None:
    log = parts.city(40, "zombie", rubbish=3)
    one, other = parts.Worker(database, store, log), parts.Worker(database, store, log)
    await one.assign()
    await other.assign()
    for size in (3, 50, 20, 5, 1000, 1000, 1000):
        await one.read(size)
        await other.read(size // 2 + 1)
        for worker, fault in zip(
            (one, other),
            await asyncio.gather(one.engine.flush(), other.engine.flush(), return_exceptions=True),
            strict=True,
        ):
            assert fault is None or isinstance(fault, AheadOfUsError), fault
            if fault is not None:
                await worker.assign()
    await one.assign()
    await one.all()
    parts.check(store, log)


async def test_chunks_of_an_earlier_reading_and_records_known_are_passed_over(
    database: Any, store: Any, parts: Any, log: Any
) -> None:
    record = log.placed("o1")
    number = record.partition
    worker = parts.Worker(database, store, log)
    await worker.assign()
    old = worker.engine.readings[number]
    await worker.assign()
    reading = worker.engine.readings[number]
    await worker.engine.apply(number, [record], old)
    assert worker.engine.pending == 0
    for _ in range(2):
        await worker.engine.apply(number, [record, record], reading)
    assert worker.engine.pending == 1
    await worker.engine.flush()
    await worker.engine.apply(number, [record], reading)
    assert worker.engine.pending == 0
    await worker.engine.release()
    await worker.engine.apply(number, [record], reading)
    assert worker.engine.pending == 0
    parts.check(store, log)


def first_of(log: Any, count: int) -> list[Any]:
    """As many records of partition 0, one after the other."""
    records = (log.placed(f"o{number}") for number in range(1_000))
    return list(islice((record for record in records if record.partition == 0), count))


class Asked(NoFeed):
    """Notes where a partition was asked to be read on from."""

    def __init__(self) -> None:
        self.offsets: list[int] = []

    async def read_on(self, number: int, offset: int, reading: int) -> None:
        self.offsets.append(offset)


async def test_records_that_do_not_follow_on_the_last_are_asked_for_again(
    database: Any, store: Any, parts: Any, log: Any
) -> None:
    records = first_of(log, 6)
    asked = Asked()
    worker = parts.Worker(database, store, log, feed=asked)
    await worker.assign(0)
    engine = worker.engine
    await engine.apply(0, records[:2], engine.readings[0])
    late = engine.readings[0]
    await engine.apply(0, records[4:], late)
    assert (engine.pending, asked.offsets) == (2, [2])
    await engine.apply(0, records[4:], late)
    assert engine.pending == 2, "fetched before it was asked for again"
    await engine.apply(0, records[2:4], engine.readings[0])
    await engine.apply(0, records[4:], engine.readings[0])
    assert (engine.pending, asked.offsets) == (6, [2])


async def test_records_that_are_gone_are_passed_over_after_a_second_look(
    database: Any, store: Any, parts: Any, log: Any
) -> None:
    records = first_of(log, 6)
    asked = Asked()
    worker = parts.Worker(database, store, log, feed=asked)
    await worker.assign(0)
    engine = worker.engine
    for _ in range(2):
        await engine.apply(0, records[4:], engine.readings[0])
    assert (engine.pending, asked.offsets) == (2, [0])


async def test_partitions_given_away_while_they_are_recovered_are_not_taken(
    database: Any, store: Any, parts: Any, log: Any
) -> None:
    log.placed("o1")
    worker = parts.Worker(database, store, log)
    taking = asyncio.create_task(worker.assign())
    await asyncio.sleep(0)
    await worker.engine.release()
    assert await taking == {}
    assert worker.engine.partitions == {}
    assert await worker.assign() == dict.fromkeys(range(4), 0)


async def test_too_much_in_hand_waits_for_the_flush(database: Any, store: Any, parts: Any, log: Any) -> None:
    records = [log.produce(b"rubbish", partition=0) for _ in range(3_000)]
    patient = {"flush_events": 400, "failure_run": 1_000_000, "failure_window": 1_000_000}
    worker = parts.Worker(database.model_copy(update=patient), store, log)
    await worker.assign(0)
    reading = asyncio.create_task(worker.engine.apply(0, records, worker.engine.readings[0]))
    for _ in range(100):
        await asyncio.sleep(0)
    assert worker.engine.pending == 500, "a flush and a quarter, to the end of the slice being decoded"
    assert not reading.done()
    flushing = asyncio.create_task(worker.engine.run())
    await reading
    await worker.engine.flush()
    flushing.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await flushing
    assert worker.engine.lag() == {0: 0}
    assert len(parts.stored(store).rejected) == 3_000
