"""KPI cells as the peers keep them: pairs of slot and value, their roll-ups, and their rows."""

from typing import Any

from milepost.domain.contributions import HISTOGRAM_SLOT, Contributions
from milepost.store.tables import GRAINS

Cell = list[tuple[int, int]]
"""What a cell counts, as ``(slot, value)`` pairs still to be summed: most cells hold few."""
CellName = tuple[int, tuple[Any, ...]]
"""Grain and key."""

_MINUTE, _HOUR, _DAY, _COURIER_DAY = GRAINS["minute"], GRAINS["hour"], GRAINS["day"], GRAINS["courier_day"]


def roll_up(contributions: Contributions) -> list[tuple[CellName, Cell]]:
    """All cells that contributions belong to: the minutes and their hours, days and days by courier."""
    found: list[tuple[CellName, Cell]] = []
    sums: dict[CellName, Cell] = {}
    for key, slots in contributions.items():
        minute, hub, zone, level, merchant, courier, component, activity = key
        found.append(((_MINUTE, key), slots))
        day = minute - minute % 1440
        for name in (
            (_HOUR, (minute - minute % 60, hub, "", "", "", "", component, activity)),
            (_DAY, (day, hub, zone, level, merchant, "", component, activity)),
            (_COURIER_DAY, (day, hub, zone, level, merchant, courier, component, activity)),
        ):
            known = sums.get(name)
            sums[name] = slots if known is None else known + slots
    found.extend(sums.items())
    return found


def summed(cell: Cell) -> Cell:
    """The cell with one pair a slot, in order of slot, and none that is 0."""
    sums: dict[int, int] = {}
    for slot, value in cell:
        sums[slot] = sums.get(slot, 0) + value
    return [pair for pair in sorted(sums.items()) if pair[1]]


def columns(name: CellName, cell: Cell) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """The columns of a row before and after partition and version; ``cell`` as ``summed`` gives it."""
    values = [0] * HISTOGRAM_SLOT
    buckets = []
    counts = []
    for slot, value in cell:
        if slot < HISTOGRAM_SLOT:
            values[slot] = value
        else:
            buckets.append(slot - HISTOGRAM_SLOT)
            counts.append(value)
    grain, key = name
    return (grain, key[0] * 60, *key[1:]), (*values, buckets, counts)
