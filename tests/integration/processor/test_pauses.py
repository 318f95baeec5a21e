"""Partitions of which too much fails: they wait, the others go on, and nothing is lost or counted twice."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from milepost.bus.partitions import partition_of
from milepost.store.errors import SinkRefusedError
from milepost.store.pauses import read_pauses, resume

pytestmark = pytest.mark.needs_platform

RUN = 200


def orders_of(partition: int, count: int, prefix: str = "o") -> list[str]:
    """Ids of orders that belong into a partition."""
    found = (f"{prefix}{number}" for number in range(1_000_000))
    return [next(one for one in found if partition_of(one.encode(), 4) == partition) for _ in range(count)]


async def begin(database: Any, store: Any, parts: Any, log: Any) -> Any:
    """A worker that has just got all partitions."""
    worker = parts.Worker(database, store, log, partition_count=lambda: 4)
    await worker.assign()
    return worker


async def catch_up(worker: Any) -> None:
    """Read and write all that may be, and look for answers."""
    await worker.all()
    await worker.engine.look_at_pauses()


@pytest.fixture
def sick(log: Any) -> Any:
    """Partition 1 with an order before and one after 2,000 records of rubbish; the others have one order each."""
    first, last = orders_of(1, 2)
    log.placed(first)
    for _ in range(2_000):
        log.produce(b"rubbish", partition=1)
    log.placed(last)
    for number in (0, 2, 3):
        log.placed(orders_of(number, 1)[0])
    return log


def _letters(store: Any) -> int:
    return int(store.query("SELECT count() FROM dead_letters")[0][0])


def _due(store: Any) -> int:
    return int(store.query("SELECT sum(due) FROM kpi_minutes")[0][0])


async def test_a_run_of_failures_stops_its_partition_and_no_other(
    database: Any, store: Any, parts: Any, sick: Any
) -> None:
    worker = await begin(database, store, parts, sick)
    await catch_up(worker)
    assert list(worker.engine.paused) == [1]
    assert RUN <= _letters(store) <= RUN + 500
    cuts = worker.engine.cuts
    assert cuts[1] == _letters(store) + 1
    assert all(cuts[number] == len(sick.records[number]) for number in (0, 2, 3))
    assert _due(store) == 4
    (pause,) = read_pauses(store).values()
    assert (pause.partition, pause.offset, pause.waits) == (1, cuts[1], True)
    assert "200 records in a row failed" in pause.reason
    assert "not_json" in pause.reason

    heir = await begin(database, store, parts, sick)
    await catch_up(heir)
    assert list(heir.engine.paused) == [1]
    assert heir.engine.cuts == cuts

    for record in sick.records[1][cuts[1] + 20 : -1]:
        record.value = b'{"mended": true}' if record.offset % 3 == 0 else sick.records[1][0].value
    resume(store)
    await catch_up(heir)
    await catch_up(heir)
    assert heir.engine.paused == {}
    assert _due(store) == 5
    parts.check(store, sick)


async def test_where_it_stops_may_depend_on_the_chunks_but_no_number_does(
    database: Any, store: Any, parts: Any, sick: Any
) -> None:
    worker = await begin(database, store, parts, sick)
    for _ in range(200):
        await worker.all(7)
        await worker.engine.look_at_pauses()
        if 1 in worker.engine.paused:
            resume(store)
            await worker.engine.look_at_pauses()
    assert worker.engine.cuts == {number: len(records) for number, records in sick.records.items()}
    parts.check(store, sick)


async def test_a_share_of_failures_stops_it_too(database: Any, store: Any, parts: Any, log: Any) -> None:
    subject = orders_of(2, 1)[0]
    for number in range(3_000):
        if number % 5 < 3:
            log.produce(b"{}", partition=2)
        else:
            log.placed(subject, id="same")
    worker = await begin(database, store, parts, log)
    await catch_up(worker)
    (pause,) = worker.engine.paused.values()
    assert "501 of 1000 records failed" in pause.reason
    assert 501 <= _letters(store) <= 1_100


async def test_what_is_borne_stops_nothing(database: Any, store: Any, parts: Any, log: Any) -> None:
    subject = orders_of(2, 1)[0]
    log.placed(subject, id="p")
    for number in range(1_200):
        if number % 2:
            log.produce(b"{}", partition=2)
        else:
            log.placed(subject, id="p", time=f"2026-03-02T10:00:{number % 59 + 1:02d}Z")
    worker = await begin(database, store, parts, log)
    await catch_up(worker)
    assert worker.engine.paused == {}
    assert _letters(store) == 1_200
    parts.check(store, log)


async def test_a_producer_that_partitions_by_a_rule_of_its_own(database: Any, store: Any, parts: Any, log: Any) -> None:
    right = orders_of(3, 1)[0]
    log.placed(right)
    strays = [log.placed(subject) for subject in orders_of(0, 300)]
    log.records[0].clear()
    for stray in strays:
        log.produce(stray.value, "k", 3)
    worker = await begin(database, store, parts, log)
    await worker.read(250)
    await worker.engine.flush()
    await worker.engine.look_at_pauses()
    assert list(worker.engine.paused) == [3]
    assert worker.engine.cuts[3] == worker.engine.partitions[3].position == 250
    assert _letters(store) == 249
    resume(store, [3])
    await catch_up(worker)
    await catch_up(worker)
    assert worker.engine.paused == {}
    assert worker.engine.cuts[3] == 301
    assert _due(store) == 1


async def test_an_answer_to_an_earlier_pause_is_no_answer_to_this_one(
    database: Any, store: Any, parts: Any, sick: Any
) -> None:
    worker = await begin(database, store, parts, sick)
    await catch_up(worker)
    assert [pause.partition for pause in resume(store)] == [1]
    assert resume(store) == []
    await worker.engine.look_at_pauses()
    assert worker.engine.paused == {}
    await catch_up(worker)
    assert list(worker.engine.paused) == [1]
    await worker.engine.look_at_pauses()
    assert list(worker.engine.paused) == [1]
    assert read_pauses(store)[1].waits


@pytest.fixture
def refusing(store: Any) -> Iterator[None]:
    """A store that takes no event of the order ``refused``."""
    store.command("ALTER TABLE events_store ADD CONSTRAINT no_such_order CHECK NOT startsWith(subject, 'refused')")
    yield
    store.command("ALTER TABLE events_store DROP CONSTRAINT IF EXISTS no_such_order")


async def _until(condition: Callable[[], bool], running: asyncio.Task[None]) -> None:
    async with asyncio.timeout(60):
        while not condition():
            assert not running.done(), running
            await asyncio.sleep(0.02)


async def test_what_the_store_refuses_stops_its_partition_with_the_stores_words(
    database: Any, store: Any, parts: Any, log: Any, refusing: None
) -> None:
    bad = orders_of(2, 1, "refused")[0]
    for number in range(4):
        for subject in orders_of(number, 20):
            log.placed(subject)
    log.placed(bad)
    worker = await begin(database.model_copy(update={"flush_seconds": 0.05}), store, parts, log)
    engine = worker.engine
    running = asyncio.create_task(engine.run())
    try:

        def others_are_stored() -> bool:
            return all(engine.cuts[number] == 20 for number in (0, 1, 3))

        # As the feed does: whatever is wanted comes again.
        async def feed() -> None:
            while True:
                await worker.read()
                await engine.look_at_pauses()
                await asyncio.sleep(0.02)

        feeding = asyncio.create_task(feed())
        await _until(lambda: list(engine.paused) == [2] and others_are_stored(), running)
        await _until(lambda: 2 in read_pauses(store), running)
        reason = read_pauses(store)[2].reason
        assert "the store refuses" in reason
        assert "no_such_order" in reason
        assert engine.cuts[2] == 0
        log.placed(orders_of(3, 21)[20])
        await _until(lambda: engine.cuts[3] == 21, running)

        store.command("ALTER TABLE events_store DROP CONSTRAINT no_such_order")
        resume(store)
        await _until(lambda: engine.paused == {} and engine.cuts[2] == 21, running)
        parts.check(store, log)
    finally:
        for task in (feeding, running):
            task.cancel()
        await asyncio.gather(feeding, running, return_exceptions=True)


async def test_a_refused_last_flush_does_not_hold_up_letting_go(
    database: Any, store: Any, parts: Any, log: Any, refusing: None
) -> None:
    log.placed("refused")
    worker = await begin(database, store, parts, log)
    await worker.read()
    await worker.engine.release()
    assert worker.engine.partitions == {}
    worker = await begin(database, store, parts, log)
    await worker.read()
    with pytest.raises(SinkRefusedError):
        await worker.engine.flush()
