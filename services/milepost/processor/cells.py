"""A partition's KPI cells in memory: absolute values, loaded by stretches of time, written when they changed."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from milepost.domain.contributions import HISTOGRAM_SLOT, CellKey, Contributions, Slots
from milepost.store.tables import GRAINS

MINUTE, HOUR, DAY, COURIER_DAY = GRAINS["minute"], GRAINS["hour"], GRAINS["day"], GRAINS["courier_day"]
STRETCH_MINUTES = {MINUTE: 60, HOUR: 1440, DAY: 1440 * 32, COURIER_DAY: 1440}
"""How much time one load brings into memory, by grain: what is read together lies together."""
CUT = GRAINS["cut"]


class Stretch(NamedTuple):
    """A stretch of time of one grain: the unit in which cells are loaded and evicted. ``start`` in minutes."""

    grain: int
    start: int


class Cell:
    """Absolute sums of one KPI row; ``buckets`` is made with the first histogram entry."""

    __slots__ = ("buckets", "values")

    def __init__(self) -> None:
        self.values: list[int] = [0] * HISTOGRAM_SLOT
        self.buckets: dict[int, int] | None = None

    def add(self, slots: Slots, sign: int) -> None:
        """Put ``slots`` in (``sign`` 1) or take them out (−1)."""
        values = self.values
        for slot, value in slots:
            if slot < HISTOGRAM_SLOT:
                values[slot] += sign * value
            else:
                self.add_bucket(slot - HISTOGRAM_SLOT, sign * value)

    def add_bucket(self, key: int, count: int) -> None:
        """Change the count of histogram bucket ``key``; a bucket of none leaves."""
        if self.buckets is None:
            self.buckets = {}
        left = self.buckets.get(key, 0) + count
        if left:
            self.buckets[key] = left
        else:
            self.buckets.pop(key, None)

    def row(self, grain: int, key: CellKey, partition: int, version: int) -> tuple[Any, ...]:
        """The cell as a row of ``kpi_store``."""
        buckets = sorted(self.buckets.items()) if self.buckets else ()
        return (
            grain,
            key[0] * 60,
            *key[1:],
            partition,
            version,
            *self.values,
            [bucket for bucket, _ in buckets],
            [count for _, count in buckets],
        )


def grains_of(key: CellKey) -> Iterator[tuple[int, CellKey]]:
    """The cells a minute's contribution belongs to: the minute and its roll-ups. ``day`` leaves the
    courier out, ``hour`` all but the hub."""
    minute, hub, zone, level, merchant, _, component, activity = key
    day = minute - minute % 1440
    yield MINUTE, key
    yield HOUR, CellKey(minute - minute % 60, hub, "", "", "", "", component, activity)
    yield DAY, CellKey(day, hub, zone, level, merchant, "", component, activity)
    yield COURIER_DAY, CellKey(day, *key[1:])


def stretch_of(grain: int, minute: int) -> Stretch:
    """The stretch that holds ``minute`` of ``grain``."""
    return Stretch(grain, minute - minute % STRETCH_MINUTES[grain])


class Cells:
    """All cells of a partition that are in memory. What is stored but not here is known by its stretch.

    A stretch is either wholly here, or it must be loaded (``load``) before one of its cells changes; stretches of
    which nothing is stored need no load.
    """

    def __init__(self, stored: Iterable[Stretch] = ()) -> None:
        self._stored = set(stored)
        self._here: dict[Stretch, dict[CellKey, Cell]] = {}
        self._changed: set[tuple[int, CellKey]] = set()
        self.size = 0

    def missing(self, keys: Iterable[CellKey]) -> set[Stretch]:
        """The stretches that must be loaded before the cells of ``keys`` change."""
        minutes = {key[0] for key in keys}
        touched = {stretch_of(grain, minute) for minute in minutes for grain in STRETCH_MINUTES}
        return {stretch for stretch in touched if stretch in self._stored and stretch not in self._here}

    def load(self, stretches: Iterable[Stretch], rows: Iterable[tuple[int, CellKey, Cell]]) -> None:
        """Bring stretches in whole: all their stored cells."""
        for stretch in stretches:
            self._here[stretch] = {}
        for grain, key, cell in rows:
            self._here[stretch_of(grain, key[0])][key] = cell
            self.size += 1

    def change(self, key: CellKey, slots: Slots, sign: int) -> None:
        """Add to (1) or take from (−1) the cell of a minute and its roll-ups."""
        for grain, cell_key in grains_of(key):
            self.touch(grain, cell_key).add(slots, sign)

    def touch(self, grain: int, key: CellKey) -> Cell:
        """The cell of ``key``, made where there is none, to be written with the next flush."""
        stretch = stretch_of(grain, key[0])
        # Put back last: the first stretches are those longest untouched.
        cells = self._here.pop(stretch, None)
        if cells is None:
            cells = {}
        self._here[stretch] = cells
        cell = cells.get(key)
        if cell is None:
            cell = cells[key] = Cell()
            self.size += 1
        self._changed.add((grain, key))
        return cell

    def replace(self, before: Contributions, after: Contributions) -> None:
        """Take out what an order counted for and put in what it counts for now; equal parts stay untouched."""
        for key, slots in before.items():
            if after.get(key) != slots:
                self.change(key, slots, -1)
        for key, slots in after.items():
            if before.get(key) != slots:
                self.change(key, slots, 1)

    def take_changed(self, partition: int, version: int) -> list[tuple[Any, ...]]:
        """Rows of all cells changed since the last call; their stretches now count as stored."""
        rows = []
        for grain, key in self._changed:
            stretch = stretch_of(grain, key[0])
            rows.append(self._here[stretch][key].row(grain, key, partition, version))
            self._stored.add(stretch)
        self._changed.clear()
        return rows

    def evict(self, most: int) -> None:
        """Forget the stretches longest untouched until at most ``most`` cells are here; only between flushes."""
        while self.size > most and len(self._here) > 1:
            oldest = next(iter(self._here))
            self.size -= len(self._here.pop(oldest))
