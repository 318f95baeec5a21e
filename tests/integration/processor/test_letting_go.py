"""Partitions that are taken away, or that another has written, in the middle of a flush."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from spine import cuts

from milepost.processor import engine as engine_module
from milepost.processor.state.loading import AheadOfUsError
from milepost.store import tables
from milepost.store.client import Store

pytestmark = pytest.mark.needs_platform


class GatedStore:
    """The real store, whose inserts into one table, or queries of a statement, wait until the gate is opened."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.insert_of: tables.Table | None = None
        self.query_of = ""
        self.waiting = threading.Event()
        self.gate = threading.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def insert(self, table: tables.Table, *arguments: Any, **options: Any) -> Any:
        if table is self.insert_of:
            self._wait()
        return self._store.insert(table, *arguments, **options)

    def query(self, sql: str, *arguments: Any, **options: Any) -> Any:
        if self.query_of and self.query_of in sql:
            self._wait()
        return self._store.query(sql, *arguments, **options)

    def _wait(self) -> None:
        self.waiting.set()
        assert self.gate.wait(60)


@pytest.fixture
def gated(store: Store) -> Iterator[GatedStore]:
    """A store with a gate, opened at the end whatever happens."""
    found = GatedStore(store)
    yield found
    found.gate.set()


@contextmanager
def running(worker: Any) -> Iterator["asyncio.Task[None]"]:
    """The worker's own flushes, meanwhile."""
    task = asyncio.create_task(worker.engine.run())
    try:
        yield task
    finally:
        task.cancel()


async def until_waiting(store: GatedStore) -> None:
    """Until something stands before the gate."""
    assert await asyncio.to_thread(store.waiting.wait, 30)


async def held_at_the_kpi_rows(database: Any, gated: GatedStore, parts: Any) -> tuple[Any, Any]:
    """A log, and a worker that has read it and whose next insert of KPI rows waits before the gate."""
    log = parts.city(40, "held")
    worker = parts.Worker(database, gated, log)
    await worker.assign()
    gated.insert_of = tables.KPIS
    await worker.read()
    return log, worker


async def test_a_flush_in_the_making_ends_with_the_partitions(
    database: Any, store: Store, gated: GatedStore, parts: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not written behind the back of their next owner, and what it runs into is nobody's concern."""
    monkeypatch.setattr(engine_module, "SILENT_SECONDS", 0.5)
    log = parts.city(40, "made")
    worker = parts.Worker(database, gated, log)
    await worker.assign()
    await worker.read(5)
    await worker.engine.flush()
    await worker.assign()
    gated.query_of = "FROM kpi_store FINAL"
    with running(worker) as task:
        await worker.read()
        await until_waiting(gated)
        await worker.engine.release()
        assert worker.engine.partitions == {}
        gated.query_of = ""
        other = parts.Worker(database, store, log)
        begun = await other.assign()
        await other.read(7)
        await other.engine.flush()
        written = cuts(store)
        assert written != begun
        gated.gate.set()
        await asyncio.sleep(1.0)
        assert cuts(store) == written
        assert await worker.assign() == written
        await worker.all()
        assert not task.done()
    parts.check(store, log)


async def test_an_insert_that_was_given_up_is_waited_for(
    database: Any, store: Store, gated: GatedStore, parts: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever takes the partitions again would else read a cut that is passed a moment later."""
    monkeypatch.setattr(engine_module, "SILENT_SECONDS", 0.5)
    log, worker = await held_at_the_kpi_rows(database, gated, parts)
    await worker.engine.release()
    assert cuts(store) == {}
    assigning = asyncio.create_task(worker.assign())
    await asyncio.sleep(0.5)
    assert not assigning.done()
    gated.gate.set()
    assert await assigning == {number: len(records) for number, records in log.records.items()}
    parts.check(store, log)


async def test_a_slow_store_is_waited_for_and_a_silent_one_is_not(
    database: Any, store: Store, gated: GatedStore, parts: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "SILENT_SECONDS", 1.5)
    log, worker = await held_at_the_kpi_rows(database, gated, parts)
    releasing = asyncio.create_task(worker.engine.release())
    for _ in range(6):
        await asyncio.sleep(0.5)
        await engine_module.patiently(store.query, "SELECT 1")
    assert not releasing.done()
    gated.gate.set()
    await releasing
    parts.check(store, log)


@pytest.mark.parametrize("rebalanced", [True, False])
async def test_whoever_sees_anothers_rows_lets_go_at_once(
    database: Any, store: Store, parts: Any, monkeypatch: pytest.MonkeyPatch, rebalanced: bool
) -> None:
    """It goes on from the other's cut after the rebalance; where none comes, the worker ends."""
    monkeypatch.setattr(engine_module, "REBALANCE_SECONDS", 30.0 if rebalanced else 0.5)
    log = parts.Log()
    placed = log.placed("o1")
    one, other = parts.Worker(database, store, log), parts.Worker(database, store, log)
    await one.assign()
    await one.all()
    await one.assign()
    log.event("delivery.delivered", "o1", {"order_id": "o1"})
    await other.assign()
    await other.all()
    log.event("order.cancelled", "o1", {"order_id": "o1", "requested_by": "customer"}, time="2026-03-02T09:59:00Z")
    with running(one) as task:
        await one.read()
        async with asyncio.timeout(20):
            while one.engine.partitions:  # noqa: ASYNC110 - nothing says so
                await asyncio.sleep(0.02)
        if rebalanced:
            assert (await one.assign())[placed.partition] == 2
            await one.all()
            assert not task.done()
            parts.check(store, log)
        else:
            with pytest.raises(AheadOfUsError):
                await asyncio.wait_for(task, 20)
            assert cuts(store)[placed.partition] == 2
