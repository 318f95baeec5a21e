"""Which rows of ``kpi_store`` a window is read from: roll-ups where they serve, minutes at its edges. No I/O."""

from collections.abc import Set
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from milepost.domain.kpis import REASONS_OF
from milepost.store.tables import GRAINS

WHOLE = "component = '' AND activity = ''"
"""The rows of all measures but those that are split further: of costs, two thirds of all, and of reasons."""
REASONS = "component IN ('" + "', '".join(REASONS_OF) + "')"
COSTS = f"component != '' AND NOT {REASONS}"

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Span(NamedTuple):
    """Rows of one grain whose moment lies in ``[start, end)``."""

    grain: str
    start: datetime
    end: datetime


def spans(start: datetime, end: datetime, used: Set[str]) -> tuple[Span, ...]:
    """The rows that make up ``[start, end)`` without gap or overlap; the dimensions ``used`` are asked."""
    grain, step = rollup(used)
    first = start + (_EPOCH - start) % step
    last = end - (end - _EPOCH) % step
    if first >= last:
        found = [Span("minute", start, end)]
    else:
        found = [Span("minute", start, first), Span(grain, first, last), Span("minute", last, end)]
    return tuple(span for span in found if span.start < span.end)


def rollup(used: Set[str]) -> tuple[str, timedelta]:
    """The coarsest grain whose rows carry the dimensions ``used``, and how long one of its rows is.

    Hours have the hub alone, so that they are few; what needs more goes to the days.
    """
    if "courier_id" in used:
        return "courier_day", DAY
    if used - {"hub_id", "component", "activity"}:
        return "day", DAY
    return "hour", HOUR


def condition(found: tuple[Span, ...]) -> str:
    """The spans as a condition on ``grain`` and ``minute``."""
    parts = [
        f"(grain = {GRAINS[span.grain]} AND minute >= {_seconds(span.start)} AND minute < {_seconds(span.end)})"
        for span in found
    ]
    return "(" + " OR ".join(parts) + ")" if parts else "0"


def _seconds(moment: datetime) -> int:
    return int(moment.timestamp())
