"""Whether what is stored is what the definition says."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from definition import Defined
from shelf import Row, Shelf

from milepost.domain.measures import BUCKETS_PER_HISTOGRAM, HISTOGRAMS, MEASURES, bucket_middle
from milepost.store import tables
from milepost.store.tables import GRAINS

QUANTILE_ERROR = 0.01

Cells = dict[tuple[int, Row], dict[str | int, int]]


@dataclass
class Held:
    """What a store holds of a log: orders by id, KPI rows (``shelf.cells_of``), costs of no order, conflicts."""

    orders: dict[str, dict[str, Any]]
    cells: Cells
    costs: dict[tuple[str, str], int]
    conflicts: set[tuple[int, int]]

    @classmethod
    def on(cls, shelf: Shelf) -> "Held":
        """What a shelf holds."""
        ledger = [dict(zip(tables.LEDGER.columns, row, strict=True)) for row in shelf.rows[tables.LEDGER.name].values()]
        letters = shelf.rows[tables.DEAD_LETTERS.name].values()
        return cls(
            shelf.orders(),
            shelf.cells(),
            {(row["subject"], row["cost_id"]): row["amount"] for row in ledger if row["counted"]},
            {(row[1], row[2]) for row in letters if row[4] == "conflict"},
        )

    def seen(self) -> tuple[Any, ...]:
        """What people see of it: without offsets and versions, summed over partitions."""
        hidden = ("partition", "version", "facts")
        orders = {
            subject: {name: value for name, value in row.items() if name not in hidden}
            for subject, row in self.orders.items()
        }
        return orders, summed(self.cells), self.costs


def summed(cells: Cells) -> dict[tuple[int, Row], dict[str | int, int]]:
    """The cells summed over partitions, the last field of their keys."""
    sums: dict[tuple[int, Row], Counter[str | int]] = {}
    for (grain, key), held in cells.items():
        sums.setdefault((grain, key[:-1]), Counter()).update(held)
    return {place: {name: value for name, value in held.items() if value} for place, held in sums.items()}


def check(held: Held, defined: Defined) -> None:
    """Raises ``AssertionError`` where ``held`` is something else than ``defined``."""
    assert held.orders.keys() == defined.orders.keys()
    for subject, wanted in defined.orders.items():
        row = held.orders[subject]
        row = row | {"measures": {name: n for name, n in zip(MEASURES, row["measures"], strict=True) if n}}
        assert {name: row[name] for name in wanted} == wanted, subject
    assert held.costs == defined.costs
    assert held.conflicts == defined.conflicts
    cells = {place: sums for place, sums in summed(held.cells).items() if sums}
    minutes = {
        (key[0] // 60, *key[1:]): {name: value for name, value in sums.items() if isinstance(name, str)}
        for (grain, key), sums in cells.items()
        if grain == GRAINS["minute"]
    }
    assert minutes == defined.minutes
    _check_durations(cells, defined)
    assert cells == _with_roll_ups(cells)


def _check_durations(cells: Cells, defined: Defined) -> None:
    wanted = {place: sorted(durations) for place, durations in defined.durations.items()}
    found: dict[Any, list[float]] = {}
    for (grain, key), sums in cells.items():
        for bucket, count in sums.items():
            if grain == GRAINS["minute"] and isinstance(bucket, int):
                place = (key[0] // 60, *key[1:]), HISTOGRAMS[bucket // BUCKETS_PER_HISTOGRAM]
                found.setdefault(place, []).extend([bucket_middle(bucket)] * count)
    assert found.keys() == wanted.keys()
    for place, middles in found.items():
        for middle, duration in zip(sorted(middles), wanted[place], strict=True):
            assert abs(middle - duration) <= QUANTILE_ERROR * duration, (place, middle, duration)


def _with_roll_ups(cells: Cells) -> dict[tuple[int, Row], dict[str | int, int]]:
    """The minutes of ``cells``, with the roll-ups that belong to them."""
    sums: dict[tuple[int, Row], Counter[str | int]] = {}
    for (grain, key), held in cells.items():
        if grain != GRAINS["minute"]:
            continue
        at, hub, zone, level, merchant, courier, *cost = key
        hour, day = at - at % 3_600, at - at % 86_400
        for place in (
            ("minute", key),
            ("hour", (hour, hub, "", "", "", "", *cost)),
            ("day", (day, hub, zone, level, merchant, "", *cost)),
            ("courier_day", (day, hub, zone, level, merchant, courier, *cost)),
        ):
            sums.setdefault((GRAINS[place[0]], place[1]), Counter()).update(held)
    found = {place: {name: value for name, value in held.items() if value} for place, held in sums.items()}
    return {place: held for place, held in found.items() if held}
