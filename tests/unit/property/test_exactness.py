"""Whatever comes, in whatever order, however it is cut and whoever dies: the numbers are what they are said to be."""

from collections.abc import Iterator

import pytest
from definition import define
from held import Held, check
from hypothesis import given
from hypothesis import strategies as st
from lives import Event, Log, events, examples, log_of, logs, orders_of_arrival, partition_counts
from shelf import Shelf
from workers import Course, Runner, ShelfWorker

from milepost.processor.report import Report
from milepost.settings import Settings
from milepost.store import tables

SMALL = Settings().model_copy(update={"cache_orders": 1, "cache_minutes": 1, "flush_events": 1_000_000})
LARGE = Settings().model_copy(update={"flush_events": 1_000_000})
REPORT = Report()

courses = st.lists(st.binary(min_size=4, max_size=4), max_size=24)
caches = st.sampled_from([SMALL, LARGE])


@pytest.fixture(scope="module")
def run() -> Iterator[Runner]:
    """Runs coroutines."""
    runner = Runner()
    yield runner
    runner.close()


def course(settings: Settings, shelf: Shelf, log: Log, upto: dict[int, int] | None = None) -> Course:
    """Workers of ``log`` over ``shelf``."""
    return Course(lambda: ShelfWorker(settings, shelf, log, REPORT), log, upto)


@examples(1_500)
@given(logs(), courses, caches)
def test_the_numbers_are_what_one_pass_over_the_log_gives(
    run: Runner, log: Log, steps: list[bytes], cache: Settings
) -> None:
    shelf = Shelf()
    run(course(cache, shelf, log).run(steps))
    check(Held.on(shelf), define(log.events()))


def test_an_identity_is_one_within_a_subject_whatever_it_is_of(run: Runner) -> None:
    ids = {"cost_id": "k", "hub_id": "h1", "route_id": "r1"}
    cost = {
        "specversion": "1.0",
        "id": "e1",
        "source": "/a",
        "type": "milepost.cost.recorded.v1",
        "time": "2026-03-02T10:00:00Z",
        "subject": "r1",
        "data": {**ids, "component": "fuel", "amount": "1", "currency": "EUR"},
    }
    data = {"retracts": {"source": "/a", "id": "e1"}, "reason": "did_not_occur"}
    log, shelf = log_of([cost, cost | {"type": "milepost.event.retracted.v1", "data": data}], 1), Shelf()
    run(course(SMALL, shelf, log).run([]))
    assert Held.on(shelf).conflicts == {(0, 1)}
    check(Held.on(shelf), define(log.events()))


@examples(500)
@given(
    events(), st.tuples(orders_of_arrival, orders_of_arrival), st.tuples(partition_counts, partition_counts), courses
)
def test_no_order_of_arrival_and_no_number_of_partitions_changes_a_number(
    run: Runner, sent: list[Event], orders: tuple[bytes, bytes], counts: tuple[int, int], steps: list[bytes]
) -> None:
    first = {(event["subject"], event["source"], event["id"]): event for event in reversed(sent)}
    alone = [event for event in sent if _same(event, first[event["subject"], event["source"], event["id"]])]
    seen = []
    for order, count, cache in zip(orders, counts, (LARGE, SMALL), strict=True):
        shelf = Shelf()
        run(course(cache, shelf, log_of(alone, count, order)).run(steps if cache is SMALL else []))
        seen.append(Held.on(shelf).seen())
    assert seen[0] == seen[1]


def _same(one: Event, other: Event) -> bool:
    """Whether two copies of an event say the same."""
    return next(iter(define([(0, 0, 1 << 60, one), (0, 1, 1 << 60, other)]).conflicts), None) is None


@examples(500)
@given(logs(), st.integers(0, 255), courses, courses)
def test_two_workers_at_the_same_place_of_the_log_have_written_the_same(
    run: Runner, log: Log, place: int, one: list[bytes], other: list[bytes]
) -> None:
    upto = {number: len(records) * place // 255 for number, records in log.records.items()}
    shelves = Shelf(), Shelf()
    for shelf, steps, cache in zip(shelves, (one, other), (LARGE, SMALL), strict=True):
        run(course(cache, shelf, log, upto).run(steps))
    for table in (tables.EVENTS, tables.PERSONAL, tables.ORDERS, tables.LEDGER, tables.DEAD_LETTERS):
        assert shelves[0].content(table) == shelves[1].content(table), table.name
    assert shelves[0].cells() == shelves[1].cells()
    for name, written in shelves[0].written.items():
        both = written.keys() & shelves[1].written[name].keys()
        assert {key: written[key] for key in both} == {key: shelves[1].written[name][key] for key in both}, name
    check(Held.on(shelves[0]), define(log.events(upto)))
    assert {number: shelves[0].cut(number) for number in upto} == upto
