"""Hubs, the worst first, in a way that does not judge one by three orders. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt

from milepost.reading.rows import KpiRow

RANKED_BY = "promise_kept"
CONFIDENCE = 1.96
"""Standard deviations to either side of a share: 95 %."""

Rows = Mapping[str, KpiRow]


@dataclass(frozen=True)
class Interval:
    """Between which shares the one behind a sample lies, with 95 % confidence."""

    low: float
    high: float


@dataclass(frozen=True)
class Hub:
    """A hub with its KPIs, and how sure its share of kept promises is; None where nothing was due."""

    hub_id: str
    rows: Rows
    likely: Interval | None


def likely(good: float, of: int | None) -> Interval | None:
    """The score interval of a share (E. B. Wilson, 1927), which holds for few orders too; None where there are none."""
    if not of:
        return None
    # Sums that cannot be (a fault that `reconcile` tells) must not take the page away.
    z, share = CONFIDENCE, min(1.0, max(0.0, good / of))
    middle = share + z * z / (2 * of)
    reach = z * sqrt(share * (1 - share) / of + z * z / (4 * of * of))
    scale = 1 + z * z / of
    return Interval(max(0.0, (middle - reach) / scale), min(1.0, (middle + reach) / scale))


def worst_first(hubs: Mapping[str, Rows]) -> Sequence[Hub]:
    """The hubs by the best that their orders leave possible, lowest first: few orders prove little, so they rank low.

    Where nothing was due it is unknown, and last.
    """
    found = []
    for hub_id, rows in hubs.items():
        row = rows.get(RANKED_BY)
        found.append(Hub(hub_id, rows, likely(row.numerator, row.denominator) if row else None))
    return sorted(found, key=lambda hub: (hub.likely is None, hub.likely.high if hub.likely else 0.0, hub.hub_id))
