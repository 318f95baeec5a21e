"""What the orders count for less what the KPI rows hold: nothing, where all is well."""

from collections.abc import Callable
from typing import Any

from milepost.domain.contributions import HISTOGRAM_SLOT, CellKey, Contributions, Slots
from milepost.processor.state.cells import Cell, roll_up

DAY_MINUTES = 1440

Place = tuple[int, CellKey]


class Gap:
    """The difference, by cell and slot, over the whole days from minute ``first`` up to, not including, ``end``.

    Cells without a difference are not kept, so once both sides are in only what is wrong is left.
    """

    def __init__(self, first: int, end: int) -> None:
        self.first = first
        self.end = end
        self.cells: dict[Place, dict[int, int]] = {}

    def __len__(self) -> int:
        return len(self.cells)

    def count(self, contributions: Contributions, times: Callable[[int], int]) -> None:
        """Put in what an order or a cost counts for; ``times`` says how often in a given minute."""
        inside = {key: slots for key, slots in contributions.items() if self.first <= key[0] < self.end}
        for grain, key, slots in roll_up(inside):
            factor = times(key[0])
            if factor:
                self._put((grain, key), slots, factor)

    def take_out(self, grain: int, key: CellKey, cell: Cell) -> None:
        """Take out what a KPI row holds."""
        slots = [(slot, value) for slot, value in enumerate(cell.values) if value]
        slots += [(HISTOGRAM_SLOT + bucket, count) for bucket, count in (cell.buckets or {}).items() if count]
        self._put((grain, key), slots, -1)

    def _put(self, place: Place, slots: Slots, factor: int) -> None:
        cell = self.cells.setdefault(place, {})
        for slot, value in slots:
            left = cell.get(slot, 0) + factor * value
            if left:
                cell[slot] = left
            else:
                cell.pop(slot, None)
        if not cell:
            del self.cells[place]

    def halve(self) -> tuple[int, int] | None:
        """Give up the later half of the days; gives them, None where there is only one."""
        days = sorted({key[0] // DAY_MINUTES for _, key in self.cells})
        middle = days[len(days) // 2] * DAY_MINUTES if days else 0
        if middle <= self.first:
            return None
        rest = middle, self.end
        self.end = middle
        self.cells = {place: slots for place, slots in self.cells.items() if place[1][0] < middle}
        return rest


def once(_minute: Any) -> int:
    """Counted in every minute."""
    return 1
