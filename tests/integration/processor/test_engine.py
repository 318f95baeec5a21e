"""The engine: however the log is cut into flushes, and wherever workers die, the store says what the log says."""

import random
from typing import Any

import pytest

from milepost.processor.state.loading import AheadOfUsError
from milepost.store import tables

pytestmark = pytest.mark.needs_platform

LOSABLE = [table.name for table in (tables.EVENTS, tables.PERSONAL, tables.ORDERS, tables.LEDGER, tables.DEAD_LETTERS)]


async def test_one_flush(database: Any, store: Any, parts: Any) -> None:
    log = parts.city(120, "one")
    worker = parts.Worker(database, store, log)
    assert await worker.assign() == {0: 0, 1: 0, 2: 0, 3: 0}
    await worker.all()
    parts.check(store, log)
    assert worker.engine.cuts == {number: len(records) for number, records in log.records.items()}


@pytest.mark.parametrize("seed", ["a", "b"])
async def test_any_flushes_any_crashes_any_owner(database: Any, store: Any, parts: Any, seed: str) -> None:
    chance = random.Random(seed)
    log = parts.city(90, seed)
    deaths = {"before": 0, "after": 0, "idle": 0, "ahead": 0, "moved": 0}
    workers = [parts.Worker(database, store, log) for _ in range(2)]
    split = [0, 1, 2, 3]
    late: list[Any] = []

    async def deal() -> None:
        chance.shuffle(split)
        border = chance.randrange(5)
        for worker, numbers in zip(workers, (split[:border], split[border:]), strict=True):
            await worker.engine.assign(numbers)

    async def let_go(worker: Any) -> None:
        try:
            await worker.engine.release()
        except AheadOfUsError:
            deaths["ahead"] += 1

    async def bury(index: int) -> None:
        workers[index] = parts.Worker(database, store, log)
        await deal()

    await deal()
    while any(worker.engine.lag()[number] for worker in workers for number in worker.engine.partitions):
        index = chance.randrange(2)
        worker = workers[index]
        await worker.read(chance.choice([1, 7, 30, 60]))
        fate = chance.random()
        if fate < 0.1:
            deaths["idle"] += 1
            await bury(index)
            continue
        if fate < 0.35:
            point = chance.choice(["before", "after"])
            lost = frozenset(chance.sample(LOSABLE, chance.choice([0, 0, 2, 5])) if point == "before" else ())
            worker.sink.fate = parts.Fate(point, lost)
        elif fate < 0.5:
            deaths["moved"] += 1
            for one in workers:
                await let_go(one)
            await deal()
            continue
        try:
            await worker.engine.flush()
        except parts.CrashError:
            deaths[worker.sink.fate.at] += 1
            dying = worker.sink
            await bury(index)
            if dying.fate.at == "before" and not dying.fate.lost:
                # Its last insert was on its way, and is seen only after the next owner has begun.
                late.append(dying.batch)
                store.insert(tables.KPIS, dying.batch.kpis)
        except AheadOfUsError:
            deaths["ahead"] += 1
            await bury(index)
        worker.sink.fate = parts.Fate()
        for partition in worker.engine.partitions.values():
            if chance.random() < 0.3:
                partition.orders.evict(chance.randrange(3))
                partition.cells.evict(chance.randrange(3))
    for worker in workers:
        await let_go(worker)
    last = parts.Worker(database, store, log)
    await last.assign()
    await last.all()
    parts.check(store, log)
    assert min(deaths["before"], deaths["after"], deaths["idle"], deaths["moved"]) >= 1, deaths
    assert late
