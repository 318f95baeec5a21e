"""The additive measures a KPI minute holds, and the histograms beside them.

Everything is an integer (counts, microseconds, ten-thousandths of the currency), so that what was put in can be
taken out again and leaves nothing behind.
"""

from bisect import bisect_right
from typing import NamedTuple

STAGES = ("prepare", "assign", "collect", "transit", "reattempt", "door")
"""The stages of an order's way, in their order."""

MEASURES: tuple[str, ...] = (
    "delivered",
    "delivery_timed",
    "delivery_us",
    "on_time",
    "windowed",
    "early",
    "in_full_known",
    "in_full",
    "responded",
    "due",
    "kept",
    "repromised",
    "otif",
    "otif_unknown",
    "due_original",
    "kept_original",
    "attempted",
    "first_success",
    "tried",
    "not_attempted",
    "scored",
    "satisfied",
    "score_sum",
    "nps_answered",
    "promoters",
    "detractors",
    "closed",
    "cancelled",
    "returned",
    "cost",
    *(f"{stage}_{part}" for stage in STAGES for part in ("timed", "us")),
    "priced",
    "fee",
    "reasons",
)
"""Column names of the measures, in the order of a KPI row, which orders' rows list them in too: new ones come last.
``*_us`` are sums of microseconds, ``cost`` and ``fee`` sums of ten-thousandths, ``score_sum`` a sum of scores,
``reasons`` counts how often a reason was given, all others count orders."""

INDEX: dict[str, int] = {name: number for number, name in enumerate(MEASURES)}
"""Position of each measure in a row."""

HISTOGRAMS: tuple[str, ...] = ("delivery", *STAGES)
"""The durations of which quantiles are asked."""

BUCKETS_PER_HISTOGRAM = 4096
_GROWTH_IN_TEN_THOUSANDTHS = 10_195
GROWTH = _GROWTH_IN_TEN_THOUSANDTHS / 10_000
"""Each bucket is this many times as wide as the one before: a bucket's middle is within 1 % of all in it."""


def _boundaries() -> tuple[int, ...]:
    """Lower bounds, in microseconds, of buckets 1, 2, …: integers, so that every machine agrees."""
    bounds = [1]
    while bounds[-1] < 20 * 366 * 86_400_000_000:
        bounds.append(max(bounds[-1] + 1, bounds[-1] * _GROWTH_IN_TEN_THOUSANDTHS // 10_000))
    return tuple(bounds)


BOUNDARIES = _boundaries()


class Bucket(NamedTuple):
    """A histogram bucket: values from ``low`` up to, not including, ``high``, in microseconds."""

    low: int
    high: int

    @property
    def middle(self) -> float:
        """The value that stands for all in the bucket, with the smallest relative error."""
        return 2.0 * self.low * (self.high - 1) / max(1, self.low + self.high - 1)


def bucket_key(histogram: int, microseconds: int) -> int:
    """Key of the bucket that ``microseconds`` (≥ 0) falls in, over all histograms; bucket 0 holds exactly 0."""
    return histogram * BUCKETS_PER_HISTOGRAM + bisect_right(BOUNDARIES, microseconds)


def bucket_middle(key: int) -> float:
    """The value, in microseconds, that stands for all in the bucket ``key``."""
    number = key % BUCKETS_PER_HISTOGRAM
    if number == 0:
        return 0.0
    low = BOUNDARIES[number - 1]
    return Bucket(low, BOUNDARIES[number] if number < len(BOUNDARIES) else low + 1).middle


def quantile(counts: dict[int, int], q: float) -> float | None:
    """The ``q`` quantile (0 to 1) of a histogram, in microseconds; None where it is empty.

    ``counts`` maps bucket keys of one histogram to counts. Interpolates linearly between the two nearest ranks
    (Hyndman and Fan, type 7), each rank's value within 1 %.
    """
    total = sum(counts.values())
    if total <= 0:
        return None
    position = (total - 1) * q
    below = int(position)
    values: list[float] = []
    for rank in (below, min(below + 1, total - 1)):
        seen = 0
        for key in sorted(counts):
            seen += counts[key]
            if seen > rank:
                values.append(bucket_middle(key))
                break
    return values[0] + (values[1] - values[0]) * (position - below)
