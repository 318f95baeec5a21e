"""Restatements: KPI minutes that change long after they ended, and how late events are.

Both follow from the log alone: a record is as late as its append time says, whenever it is read.
"""

from collections.abc import Iterable
from typing import Any

from milepost.domain.contributions import CellKey, Contributions
from milepost.domain.kpis import MINUTE_US
from milepost.store import tables

GRACE_MINUTES = 1
"""A minute that changes within this long after its end is no restatement: events take a moment to come."""

_COLUMNS = list(tables.EVENTS.columns)
_TIME, _APPENDED, _TESTMODE = (_COLUMNS.index(name) for name in ("time", "appended", "testmode"))


class Restated:
    """The KPI minute rows that one flush of a partition changes late, each once, by its latest record."""

    def __init__(self) -> None:
        self._rows: dict[CellKey, int] = {}

    def note(self, changed: Iterable[Contributions], appended: int) -> None:
        """The cells of ``changed`` change, by records of which the last was appended at ``appended`` (microseconds)."""
        latest = (appended - 1) // MINUTE_US - 1 - GRACE_MINUTES
        for cells in changed:
            for key in cells:
                if key[0] <= latest:
                    self._rows[key] = appended

    def lateness(self) -> list[int]:
        """For each row, microseconds from the end of its minute to its record's append time."""
        return [appended - (key[0] + 1) * MINUTE_US for key, appended in self._rows.items()]


def event_lateness(rows: Iterable[tuple[Any, ...]]) -> list[int]:
    """Microseconds from event to append time, of rows of ``events_store``; test events are left out."""
    return [row[_APPENDED] - row[_TIME] for row in rows if not row[_TESTMODE]]
