"""A store that refuses, falls silent, loses answers or takes inserts late: the rows in the end are those of the log."""

import asyncio
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fault_proxy import (
    Exchange,
    FaultProxy,
    Request,
    Rule,
    Treatment,
    busy,
    cut,
    everything,
    forward,
    lose_answer,
    silence,
)

from milepost.processor import patience
from milepost.processor.state.loading import AheadOfUsError
from milepost.store import tables
from milepost.store.client import Store, writer

pytestmark = [pytest.mark.needs_platform, pytest.mark.embedded_only]

PATIENCE_SECONDS = 60.0


@pytest.fixture
def behind(database: Any, proxy: FaultProxy) -> Iterator[Store]:
    """The client of a worker whose store lies behind the proxy."""
    with writer(database.model_copy(update={"clickhouse": proxy.url})) as client:
        yield client


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that soon tries again."""
    monkeypatch.setattr(patience, "LONGEST_WAIT_SECONDS", 0.2)
    monkeypatch.setattr(patience, "FIRST_ANSWER_SECONDS", 1)


def first(times: int, treatment: Treatment, *names: str) -> Rule:
    """``treatment`` for the first so many inserts into each of the tables ``names``, or into each table there is."""
    left: dict[str, Iterator[int]] = {}

    def rule(request: Request) -> Treatment:
        table = request.table
        if not table or (names and table not in names):
            return forward
        seen = left.setdefault(table, itertools.count())
        return treatment if next(seen) < times else forward

    return rule


async def _in_time(work: Any) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        await work


@pytest.mark.parametrize(
    "rule",
    [
        lambda: first(2, busy),
        lambda: first(2, cut),
        lambda: first(2, lose_answer),
        lambda: first(1, silence),
        lambda: first(3, cut, tables.KPIS.name),
        lambda: first(1, lose_answer, tables.KPIS.name),
        lambda: first(2, cut, tables.EVENTS.name),
        lambda: first(1, lose_answer, tables.ORDERS.name),
    ],
    ids=[
        "503",
        "connections cut",
        "every answer lost",
        "never answers",
        "between the two inserts",
        "the answer for the KPI rows lost",
        "the log refused",
        "the answer for the orders lost",
    ],
)
@pytest.mark.usefixtures("soon")
async def test_what_fails_is_written_again_and_counts_once(
    rule: Callable[[], Rule], database: Any, store: Store, behind: Store, proxy: FaultProxy, parts: Any
) -> None:
    log = parts.city(40, "faults")
    worker = parts.Worker(database, behind, log)
    await _in_time(worker.assign())
    for most in (60, 1_000_000):
        with proxy.ruled(rule()):
            struck = proxy.struck
            await worker.read(most)
            await _in_time(worker.engine.flush())
            assert proxy.struck > struck, "nothing went wrong, so nothing is proved"
    parts.check(store, log)


@pytest.mark.usefixtures("soon")
async def test_a_store_that_refuses_connections_is_waited_for(
    database: Any, store: Store, behind: Store, proxy: FaultProxy, parts: Any
) -> None:
    log = parts.city(40, "refusing")
    worker = parts.Worker(database, behind, log)
    await _in_time(worker.assign())
    await worker.read()
    away = asyncio.create_task(proxy.refuse(1.0))
    await asyncio.sleep(0.1)
    await _in_time(worker.engine.flush())
    assert away.done()
    parts.check(store, log)


@pytest.mark.usefixtures("soon")
async def test_recovery_waits_for_a_store_that_never_answers(
    database: Any, store: Store, behind: Store, proxy: FaultProxy, parts: Any
) -> None:
    log = parts.city(40, "silent")
    before = parts.Worker(database, store, log)
    await before.assign()
    await before.read(80)
    await before.engine.flush()
    worker = parts.Worker(database, behind, log)
    with proxy.ruled(everything(silence)):
        recovering = asyncio.create_task(worker.assign())
        await asyncio.sleep(0.5)
        assert not recovering.done()
    await _in_time(recovering)
    await worker.all()
    parts.check(store, log)


class Caught:
    """Holds the first insert of KPI rows: its sender waits for ever, and it is delivered when it is told to."""

    def __init__(self) -> None:
        self.there = asyncio.Event()
        self._exchange: Exchange | None = None

    def rule(self) -> Rule:
        """The rule that catches it."""

        async def hold(exchange: Exchange) -> None:
            self._exchange = exchange
            self.there.set()
            await silence(exchange)

        return first(1, hold, tables.KPIS.name)

    async def deliver(self) -> None:
        """Let it arrive."""
        assert self._exchange is not None
        await self._exchange.proxy.deliver(self._exchange.request, None)


@pytest.mark.parametrize(("zombie_reads", "owner_reads"), [(90, 40), (90, 90), (40, 90), (90, 1_000_000)])
async def test_a_zombies_kpi_rows_that_arrive_when_it_has_long_been_replaced(
    zombie_reads: int, owner_reads: int, database: Any, store: Store, behind: Store, proxy: FaultProxy, parts: Any
) -> None:
    """However far the new owner is by then, behind the zombie or ahead of it."""
    log = parts.city(60, "zombie")
    zombie = parts.Worker(database, behind, log)
    await zombie.assign()
    await zombie.read(30)
    await zombie.engine.flush()
    await zombie.read(zombie_reads)
    caught = Caught()
    with proxy.ruled(caught.rule()):
        writing = asyncio.create_task(zombie.engine.flush())
        await _in_time(caught.there.wait())
    owner = parts.Worker(database, store, log)
    await owner.assign()
    await owner.read(owner_reads)
    await owner.engine.flush()
    await caught.deliver()
    while True:
        try:
            await owner.all(25)
            break
        except AheadOfUsError:
            # As it is in life: the worker ends, and another recovers from the cut it has come upon.
            owner = parts.Worker(database, store, log)
            await owner.assign()
    # A cell that was filled and emptied within one flush of the owner's has nothing over the zombie's row: the owner
    # must notice that somebody else has written.
    await _in_time(_mended(owner, lambda: parts.check(store, log)))
    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)
    another = parts.Worker(database, store, log)
    await another.assign()
    assert await another.read() == 0
    parts.check(store, log)


async def _mended(worker: Any, check: Callable[[], None]) -> None:
    """Let ``worker`` do what it does beside the flow until ``check`` has nothing more to say."""
    while True:
        await worker.engine.maintain()
        try:
            return check()
        except AssertionError:
            await asyncio.sleep(0.2)


async def test_killed_between_the_inserts_and_taken_over_by_two(
    database: Any, store: Store, behind: Store, proxy: FaultProxy, parts: Any
) -> None:
    """The orders are ahead of the cut; the partitions go on in other hands, each at its own pace."""
    log = parts.city(60, "between")
    dead = parts.Worker(database, behind, log)
    await dead.assign()
    await dead.read(120)
    caught = Caught()
    with proxy.ruled(caught.rule()):
        writing = asyncio.create_task(dead.engine.flush())
        await _in_time(caught.there.wait())
    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)
    left, right = parts.Worker(database, store, log), parts.Worker(database, store, log)
    assert set((await left.assign(0, 1)).values()) == {0}
    await right.assign(2, 3)
    await left.all(17)
    await right.all(400)
    parts.check(store, log)
