"""The same property over the real store: whatever comes, however it is cut, whoever dies or wakes late and writes."""

import itertools
from typing import Any

import pytest
from definition import define
from held import Held, check
from hypothesis import given
from hypothesis import strategies as st
from lives import Event, Log, events, examples, log_of, moment, orders_of_arrival, partition_counts
from shelf import KEYS, Shelf, cells_of
from workers import Course, LogWorker, Runner

from milepost.processor.report import Report
from milepost.processor.state.loading import AheadOfUsError
from milepost.settings import Settings
from milepost.store import tables
from milepost.store.client import Store

pytestmark = pytest.mark.needs_platform

REPORT = Report()
courses = st.lists(st.binary(min_size=4, max_size=4), max_size=10)
numbers = itertools.count()


def held(store: Store, log: Log) -> Held:
    """What the store holds of a log's partitions."""
    of_log = {"partitions": list(log.records)}

    def rows(table: tables.Table, **options: Any) -> list[tuple[Any, ...]]:
        columns = ", ".join("toUInt32(minute)" if name == "minute" else f"{name}" for name in table.columns)
        columns = columns.replace("grain", "toInt8(grain)")
        sql = f"SELECT {columns} FROM {table.name} FINAL WHERE partition IN {{partitions:Array(UInt16)}}"
        return store.query(sql, of_log, **options)

    orders = [dict(zip(tables.ORDERS.columns, row, strict=True)) for row in rows(tables.ORDERS, binary=["facts"])]
    ledger = [dict(zip(tables.LEDGER.columns, row, strict=True)) for row in rows(tables.LEDGER, binary=["facts"])]
    letters = rows(tables.DEAD_LETTERS)
    return Held(
        {row["order_id"]: row for row in orders},
        cells_of(rows(tables.KPIS)),
        {(row["subject"], row["cost_id"]): row["amount"] for row in ledger if row["counted"]},
        {(row[1], row[2]) for row in letters if row[4] == "conflict"},
    )


def course(small: Settings, store: Store, log: Log) -> Course:
    """Workers of ``log``, of whom anything may be expected."""
    return Course(lambda: LogWorker(small, store, log, REPORT), log, wild=True)


async def settle(befallen: Course) -> None:
    """Let the owner do what it does between flushes, until nothing is left to mend."""
    for _ in range(50):
        try:
            await befallen.finish()
            await befallen.owner.engine.maintain()
        except AheadOfUsError:
            await befallen.succeed()
            continue
        owner = befallen.owner.engine
        if not owner.upkeep.busy and not any(one.tenure.disturbed for one in owner.partitions.values()):
            return
    raise AssertionError("it is never sound")


@examples(50)
@given(events(), partition_counts, orders_of_arrival, st.booleans(), courses)
def test_the_numbers_are_what_one_pass_over_the_log_gives(
    run: Runner,
    store: Store,
    small: Settings,
    sent: list[Event],
    count: int,
    order: bytes,
    live: bool,
    steps: list[bytes],
) -> None:
    number = next(numbers)
    log = log_of(sent, count, order, live=live, prefix=f"e{number}-", first=4 * number)

    async def befall() -> None:
        befallen = course(small, store, log)
        await befallen.run(steps)
        await settle(befallen)

    run(befall())
    check(held(store, log), define(log.events()))


def promise_moved_and_moved_back(number: int) -> Log:
    """A log whose second record moves an order's deadline, and whose third takes that back."""
    subject = f"e{number}-o1"

    def event(identity: str, kind: str, data: dict[str, Any]) -> Event:
        envelope = {"specversion": "1.0", "id": identity, "source": "/a", "type": f"milepost.{kind}.v1"}
        return {**envelope, "time": moment(0), "subject": subject, "data": data}

    order = {"order_id": subject, "promised_until": moment(5)}
    change = {"order_id": subject, "promised_until": moment(90), "requested_by": "customer"}
    retraction = {"retracts": {"source": "/a", "id": "e2"}, "reason": "did_not_occur"}
    return log_of(
        [
            event("e1", "order.placed", order | {"hub_id": "h1", "lines": [{"sku": "milk", "quantity": 1}]}),
            event("e2", "order.promise_changed", change),
            event("e3", "event.retracted", retraction),
        ],
        1,
        first=4 * number,
    )


@pytest.mark.parametrize("dies", [False, True], ids=["the owner notices", "the owner dies before it notices"])
async def test_a_minute_that_only_one_who_woke_late_has_written_is_mended(
    store: Store, small: Settings, dies: bool
) -> None:
    log = promise_moved_and_moved_back(next(numbers))
    (number,) = log.records
    workers = [LogWorker(small, store, log, REPORT) for _ in range(3)]
    sleeper, owner, heir = workers
    await sleeper.assign()
    await sleeper.read(number, 1)
    await sleeper.engine.flush()
    await owner.assign()
    await owner.read(number, 2)
    await owner.engine.flush()
    await sleeper.read(number, 1)
    await sleeper.engine.flush()
    with pytest.raises(AssertionError):
        check(held(store, log), define(log.events()))
    if dies:
        await heir.assign()
        owner = heir
    tenure = owner.engine.partitions[number].tenure
    for _ in range(10):
        await owner.engine.maintain()
        if not owner.engine.upkeep.busy:
            break
    assert not tenure.disturbed
    check(held(store, log), define(log.events()))


@examples(6)
@given(events(), partition_counts, courses)
def test_the_shelf_of_the_other_property_tests_keeps_rows_as_the_store_does(
    run: Runner, store: Store, small: Settings, sent: list[Event], count: int, steps: list[bytes]
) -> None:
    number = next(numbers)
    log = log_of(sent, count, prefix=f"e{number}-", first=4 * number)
    shelf = Both(store)
    run(Course(lambda: LogWorker(small, shelf, log, REPORT), log).run(steps))
    found, kept = held(store, log), Held.on(shelf.shelf)
    assert (found.orders, found.cells, found.costs, found.conflicts) == (
        kept.orders,
        kept.cells,
        kept.costs,
        kept.conflicts,
    )


class Both:
    """The real store, which writes on a shelf beside; what a loader asks must be the same on both."""

    def __init__(self, store: Store) -> None:
        self.shelf = Shelf()
        self._store = store

    def insert(self, table: tables.Table, rows: Any) -> int:
        """Into both."""
        rows = list(rows)
        if table.name in KEYS:
            self.shelf.insert(table, rows)
        return self._store.insert(table, rows)

    def query(self, sql: str, parameters: Any = None, *rest: Any, **options: Any) -> list[tuple[Any, ...]]:
        """From the store; a loader's question from the shelf too."""
        found = self._store.query(sql, parameters, *rest, **options)
        if parameters is not None and ("subjects" in parameters or "starts" in parameters):
            assert sorted(map(repr, found)) == sorted(map(repr, self.shelf.query(sql, parameters)))
        return found
