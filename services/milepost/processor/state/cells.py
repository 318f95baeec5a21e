"""A partition's KPI cells in memory: absolute values, loaded by stretches of time, written when they changed."""

from collections.abc import Iterable
from typing import Any

from milepost.domain.contributions import HISTOGRAM_SLOT, CellKey, Contributions, Slots
from milepost.store.tables import GRAINS

MINUTE, HOUR, DAY, COURIER_DAY = GRAINS["minute"], GRAINS["hour"], GRAINS["day"], GRAINS["courier_day"]
CUT = GRAINS["cut"]
STRETCH_MINUTES = {MINUTE: 60, HOUR: 1440, DAY: 1440 * 32, COURIER_DAY: 1440}
"""How much time one load brings into memory, by grain: what is read together lies together."""
KEPT_AT_EVICTION = 0.5
"""Share of the limit that is still here after an eviction, so that evictions are few."""

Stretch = tuple[int, int]
"""A stretch of time of one grain, the unit in which cells are loaded and evicted: grain, and start in minutes."""


class Cell:
    """Absolute sums of one KPI row; ``buckets`` is made with the first histogram entry."""

    __slots__ = ("buckets", "values")

    def __init__(self) -> None:
        self.values: list[int] = [0] * HISTOGRAM_SLOT
        self.buckets: dict[int, int] | None = None

    def put_in(self, slots: Slots) -> None:
        """Add what something counts for; a histogram bucket left with none goes."""
        values, buckets = self.values, self.buckets
        for slot, value in slots:
            if slot < HISTOGRAM_SLOT:
                values[slot] += value
                continue
            if buckets is None:
                buckets = self.buckets = {}
            key = slot - HISTOGRAM_SLOT
            left = buckets.get(key, 0) + value
            if left:
                buckets[key] = left
            else:
                del buckets[key]

    def take_out(self, slots: Slots) -> None:
        """Take away what something counted for."""
        self.put_in([(slot, -value) for slot, value in slots])

    def row(self, grain: int, key: CellKey, partition: int, version: int) -> tuple[Any, ...]:
        """The cell as a row of ``kpi_store``."""
        if self.buckets:
            keys = sorted(self.buckets)
            counts = [self.buckets[key] for key in keys]
        else:
            keys = counts = []
        return grain, key[0] * 60, *key[1:], partition, version, *self.values, keys, counts


def roll_up(cells: Contributions) -> list[tuple[int, CellKey, Slots]]:
    """All cells that contributions belong to, with grain: the minutes and their roll-ups, each once.

    ``day`` leaves the courier out, ``hour`` every dimension but the hub; what a cost is for stays in all.
    """
    found: list[tuple[int, CellKey, Slots]] = []
    sums: dict[tuple[int, CellKey], Slots] = {}
    for key, slots in cells.items():
        minute, hub, zone, level, merchant, courier, component, activity = key
        found.append((MINUTE, key, slots))
        day = minute - minute % 1440
        for cell in (
            (HOUR, (minute - minute % 60, hub, "", "", "", "", component, activity)),
            (DAY, (day, hub, zone, level, merchant, "", component, activity)),
            (COURIER_DAY, (day, hub, zone, level, merchant, courier, component, activity)),
        ):
            known = sums.get(cell)
            sums[cell] = slots if known is None else known + slots
    found.extend((grain, key, slots) for (grain, key), slots in sums.items())
    return found


def stretch_of(grain: int, minute: int) -> Stretch:
    """The stretch that holds ``minute`` of ``grain``."""
    return grain, minute - minute % STRETCH_MINUTES[grain]


class Cells:
    """All cells of a partition that are in memory. What is stored but not here is known by its stretch.

    A stretch is either wholly here, or it must be loaded (``load``) before one of its cells changes; stretches of
    which nothing is stored need no load.
    """

    def __init__(self, stored: Iterable[Stretch] = ()) -> None:
        self._stored = set(stored)
        self._here: dict[Stretch, int] = {}
        self._cells: dict[int, dict[CellKey, Cell]] = {grain: {} for grain in STRETCH_MINUTES}
        self._changed: dict[int, dict[CellKey, Cell]] = {grain: {} for grain in STRETCH_MINUTES}
        self._flush = 0

    def __len__(self) -> int:
        return sum(len(cells) for cells in self._cells.values())

    def missing(self, keys: Iterable[CellKey]) -> set[Stretch]:
        """The stretches that must be loaded before the cells of ``keys`` change."""
        minutes = {key[0] for key in keys}
        touched = {stretch_of(grain, minute) for minute in minutes for grain in STRETCH_MINUTES}
        return self.absent(touched)

    def absent(self, stretches: Iterable[Stretch]) -> set[Stretch]:
        """Those of ``stretches`` that must be loaded before one of their cells changes."""
        return {stretch for stretch in stretches if stretch in self._stored and stretch not in self._here}

    def reset(self, stored: Iterable[Stretch]) -> None:
        """Forget every cell, all of them being in the store, where the stretches ``stored`` lie."""
        self._stored.update(stored)
        self._here.clear()
        for cells in self._cells.values():
            cells.clear()

    def load(self, stretches: Iterable[Stretch], rows: Iterable[tuple[int, CellKey, Cell]]) -> None:
        """Bring stretches in whole: all their stored cells."""
        self._here.update(dict.fromkeys(stretches, self._flush))
        for grain, key, cell in rows:
            self._cells[grain][key] = cell

    def touch(self, grain: int, key: CellKey) -> Cell:
        """The cell of ``key``, made where there is none, to be written with the next flush."""
        cells = self._cells[grain]
        cell = cells.get(key)
        if cell is None:
            cell = cells[key] = Cell()
        self._changed[grain][key] = cell
        return cell

    def replace(self, before: Contributions, after: Contributions) -> tuple[Contributions, Contributions]:
        """Take out what an order counted for and put in what it counts for now; equal parts stay untouched.

        Gives what was taken out and what was put in.
        """
        gone: Contributions = {}
        if before:
            gone = {key: slots for key, slots in before.items() if after.get(key) != slots}
            after = {key: slots for key, slots in after.items() if before.get(key) != slots}
            for grain, key, slots in roll_up(gone):
                self.touch(grain, key).take_out(slots)
        for grain, key, slots in roll_up(after):
            self.touch(grain, key).put_in(slots)
        return gone, after

    def take_changed(self, partition: int, version: int) -> list[tuple[Any, ...]]:
        """Rows of all cells changed since the last call; their stretches now count as stored."""
        self._flush += 1
        rows = []
        for grain, changed in self._changed.items():
            rows += [cell.row(grain, key, partition, version) for key, cell in changed.items()]
            for minute in {key[0] for key in changed}:
                stretch = stretch_of(grain, minute)
                self._stored.add(stretch)
                self._here[stretch] = self._flush
            changed.clear()
        return rows

    def evict(self, most: int) -> None:
        """Forget the stretches longest untouched where more than ``most`` cells are here.

        What the last ``take_changed`` gave is never forgotten: it is not in the store yet.
        """
        surplus = len(self) - most
        if surplus <= 0:
            return
        surplus += int(most * (1 - KEPT_AT_EVICTION))
        sizes: dict[Stretch, int] = {}
        for grain, cells in self._cells.items():
            length = STRETCH_MINUTES[grain]
            for key in cells:
                stretch = grain, key[0] - key[0] % length
                sizes[stretch] = sizes.get(stretch, 0) + 1
        gone: set[Stretch] = set()
        for stretch in sorted(sizes, key=self._here.__getitem__):
            if surplus <= 0 or self._here[stretch] == self._flush:
                break
            surplus -= sizes[stretch]
            gone.add(stretch)
            del self._here[stretch]
        for grain, cells in self._cells.items():
            length = STRETCH_MINUTES[grain]
            kept = {key: cell for key, cell in cells.items() if (grain, key[0] - key[0] % length) not in gone}
            self._cells[grain] = kept
