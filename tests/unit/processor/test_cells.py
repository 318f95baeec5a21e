"""KPI cells: whatever is replaced, evicted and loaded again, the rows say what a sum over everything says."""

from collections import Counter
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from milepost.domain.contributions import HISTOGRAM_SLOT, Contributions
from milepost.domain.measures import MEASURES
from milepost.processor.state.cells import COURIER_DAY, DAY, HOUR, MINUTE, STRETCH_MINUTES, Cell, Cells, stretch_of
from milepost.store import tables

COST = MEASURES.index("cost")
DUE = MEASURES.index("due")

minutes = st.sampled_from([0, 1, 59, 60, 61, 1439, 1440, 1441, 1440 * 32, 1440 * 33, 30_000_000])
keys = st.tuples(
    minutes,
    st.sampled_from(["h1", "h2"]),
    st.sampled_from(["", "z"]),
    st.sampled_from(["", "l"]),
    st.just("m"),
    st.sampled_from(["", "c"]),
    st.sampled_from(["", "fuel"]),
    st.just(""),
)
slots = st.lists(
    st.tuples(st.sampled_from([DUE, COST]), st.integers(-5, 5))
    | st.tuples(st.integers(HISTOGRAM_SLOT, HISTOGRAM_SLOT + 3), st.just(1)),
    min_size=1,
    max_size=3,
)
contributions = st.dictionaries(keys, slots, max_size=4)
Row = dict[str, Any]


class StoredRows:
    """What has been written, by key: the latest version counts."""

    def __init__(self) -> None:
        self.rows: dict[tuple[Any, ...], Row] = {}
        self.version = 0

    def write(self, cells: Cells) -> None:
        self.version += 1
        for row in cells.take_changed(3, self.version):
            named = dict(zip(tables.KPIS.columns, row, strict=True))
            assert (named["partition"], named["version"]) == (3, self.version)
            self.rows[(named["grain"], named["minute"], *row[2:9])] = named

    def read(self, stretches: set[Any]) -> list[tuple[int, Any, Cell]]:
        found = []
        for (grain, seconds, *labels), row in self.rows.items():
            if stretch_of(grain, seconds // 60) in stretches:
                cell = Cell()
                cell.values = [row[name] for name in MEASURES]
                cell.buckets = dict(zip(row["hist_bucket"], row["hist_count"], strict=True))
                found.append((grain, (seconds // 60, *labels), cell))
        return found

    def stretches(self) -> set[Any]:
        return {stretch_of(grain, seconds // 60) for grain, seconds, *_ in self.rows}

    def sums(self) -> dict[Any, int]:
        found: dict[Any, int] = {}
        for key, row in self.rows.items():
            for name in MEASURES:
                found[(*key, name)] = row[name]
            for bucket, count in zip(row["hist_bucket"], row["hist_count"], strict=True):
                assert count != 0
                found[(*key, bucket)] = count
        return {key: value for key, value in found.items() if value}


def _expected(orders: dict[int, Contributions]) -> dict[Any, int]:
    sums: Counter[Any] = Counter()
    for cells in orders.values():
        for (minute, hub, zone, level, merchant, courier, component, activity), found in cells.items():
            day = minute - minute % 1440
            cost = (component, activity)
            for cell in (
                (MINUTE, minute * 60, hub, zone, level, merchant, courier, *cost),
                (HOUR, (minute - minute % 60) * 60, hub, "", "", "", "", *cost),
                (DAY, day * 60, hub, zone, level, merchant, "", *cost),
                (COURIER_DAY, day * 60, hub, zone, level, merchant, courier, *cost),
            ):
                for slot, value in found:
                    measure = MEASURES[slot] if slot < HISTOGRAM_SLOT else slot - HISTOGRAM_SLOT
                    sums[*cell, measure] += value
    return {key: value for key, value in sums.items() if value}


changes = st.lists(st.tuples(st.integers(0, 3), contributions), max_size=4)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(changes, st.sampled_from([0, 1, 3, 1000]), st.booleans()), max_size=8))
def test_rows_are_the_sum_over_all_orders(flushes: list[tuple[Any, int, bool]]) -> None:
    stored, cells = StoredRows(), Cells()
    orders: dict[int, Contributions] = {}
    for flush, most, restarted in flushes:
        if restarted:
            cells = Cells(stored.stretches())
        differences = []
        for order, after in flush:
            differences.append((orders.get(order, {}), after))
            orders[order] = after
        missing = cells.missing({key for before, after in differences for key in (*before, *after)})
        cells.load(missing, stored.read(missing))
        for before, after in differences:
            cells.replace(before, after)
        stored.write(cells)
        cells.evict(most)
        assert stored.sums() == _expected(orders)


def test_equal_parts_are_not_written_again() -> None:
    cells = Cells()
    keep: Any = (10, "h1", "", "", "", "", "", "")
    move: Any = (20, "h1", "", "", "", "", "", "")
    cells.replace({}, {keep: [(DUE, 1)]})
    assert len(cells.take_changed(0, 1)) == 4
    cells.replace({keep: [(DUE, 1)]}, {keep: [(DUE, 1)]})
    assert cells.take_changed(0, 2) == []
    cells.replace({keep: [(DUE, 1)]}, {keep: [(DUE, 1)], move: [(DUE, 1)]})
    rows = [dict(zip(tables.KPIS.columns, row, strict=True)) for row in cells.take_changed(0, 3)]
    assert sorted((row["grain"], row["minute"], row["due"]) for row in rows) == [
        (MINUTE, 1200, 1),
        (HOUR, 0, 2),
        (DAY, 0, 2),
        (COURIER_DAY, 0, 2),
    ]


def test_what_is_taken_out_again_leaves_a_row_of_nothing() -> None:
    cells = Cells()
    key: Any = (10, "h1", "", "", "", "", "", "")
    full = {key: [(DUE, 1), (HISTOGRAM_SLOT + 7, 1)]}
    cells.replace({}, full)
    cells.take_changed(0, 1)
    cells.replace(full, {})
    rows = [dict(zip(tables.KPIS.columns, row, strict=True)) for row in cells.take_changed(0, 2)]
    assert len(rows) == 4
    assert all(row["due"] == 0 and row["hist_bucket"] == row["hist_count"] == [] for row in rows)


def test_a_stretch_not_stored_needs_no_load_and_one_evicted_does() -> None:
    cells = Cells()
    key: Any = (10, "h1", "", "", "", "", "", "")
    assert cells.missing([key]) == set()
    cells.replace({}, {key: [(DUE, 1)]})
    cells.take_changed(0, 1)
    assert cells.missing([key]) == set()
    cells.evict(0)
    assert cells.missing([key]) == set(), "what was taken last is not stored yet"
    cells.take_changed(0, 2)
    cells.evict(0)
    assert cells.missing([key]) == {stretch_of(grain, 10) for grain in STRETCH_MINUTES}


def test_eviction_forgets_what_was_longest_untouched() -> None:
    cells = Cells()
    old: Any = (10, "h1", "", "", "", "", "", "")
    new: Any = (10 + 1440 * 40, "h1", "", "", "", "", "", "")
    for key in (old, new):
        cells.replace({}, {key: [(DUE, 1)]})
        cells.take_changed(0, 1)
    assert len(cells) == 8
    cells.evict(4)
    assert cells.missing([new]) == set()
    assert cells.missing([old]) == {stretch_of(grain, 10) for grain in STRETCH_MINUTES}
