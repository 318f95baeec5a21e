"""How durations spread: counts in logarithmic buckets that forget what is old, and the curves read off them. Pure.

All durations are microseconds.
"""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate

MINUTE = 60_000_000
_FINEST = MINUTE // 4
_LONGEST = 120 * 1440 * MINUTE
_GROWTH = 1.2


def _edges() -> tuple[int, ...]:
    """Where buckets end: 0, 15 s, and each 1.2 times as far as the one before, up to 120 days."""
    edges = [0, _FINEST]
    while edges[-1] < _LONGEST:
        edges.append(int(edges[-1] * _GROWTH))
    return tuple(edges)


AHEAD = _edges()
"""The ends of the buckets of durations; the bucket after the last edge holds what never came."""
AROUND = (*(-edge for edge in reversed(AHEAD[1:])), *AHEAD)
"""The same on both sides of a moment that was told, for how far beside it things happen."""

ROWS = 18
"""In how many rows dwell times are told apart: below a minute, then by doubling."""


def row_of(dwell: int) -> int:
    """The row of a dwell time: 0 below a minute, else the n-th for 2ⁿ⁻¹ to 2ⁿ minutes."""
    row = (dwell // MINUTE).bit_length()
    return row if row < ROWS else ROWS - 1


def row_start(row: int) -> int:
    """The shortest dwell time in ``row``."""
    return MINUTE << (row - 1) if row else 0


class Spread:
    """Counts by dwell time (rows) and outcome (buckets).

    Once ``most`` are counted, every count is halved: what came last weighs most, and memory stays bounded.
    ``seen`` counts what was ever added.
    """

    __slots__ = ("counts", "most", "seen", "weight")

    def __init__(self, most: float) -> None:
        self.counts: dict[int, float] = {}
        self.most = most
        self.seen = 0
        self.weight = 0.0

    def add(self, cell: int) -> None:
        """Count one in ``cell`` (bucket × ``ROWS`` + row)."""
        counts = self.counts
        counts[cell] = counts.get(cell, 0.0) + 1.0
        self.seen += 1
        self.weight += 1.0
        if self.weight > self.most:
            self.counts = {cell: count / 2 for cell, count in counts.items() if count > 0.1}
            self.weight = sum(self.counts.values())

    def buckets(self, row: int, width: int) -> list[float]:
        """Counts by bucket, of those who dwelt for at least ``row``."""
        found = [0.0] * width
        for cell, count in self.counts.items():
            bucket, dwelt = divmod(cell, ROWS)
            if dwelt >= row:
                found[bucket] += count
        return found


class Curve:
    """A cumulative distribution: at ``edges[i]`` a share of ``shares[i]``; straight in between."""

    __slots__ = ("edges", "known", "shares")

    def __init__(self, edges: Sequence[int], shares: list[float], known: float) -> None:
        self.edges = edges
        self.shares = shares
        self.known = known

    def share(self, duration: int) -> float:
        """The share of outcomes up to ``duration``."""
        edges, shares = self.edges, self.shares
        place = bisect_right(edges, duration)
        if place == 0:
            return 0.0
        if place == len(edges):
            return shares[-1]
        low, below = edges[place - 1], shares[place - 1]
        return below + (shares[place] - below) * (duration - low) / (edges[place] - low)

    def quantile(self, share: float) -> float:
        """The smallest duration up to which more than ``share`` of the outcomes lie; the last edge where none."""
        shares = self.shares
        place = bisect_right(shares, share)
        if place == 0:
            return self.edges[0]
        if place == len(shares):
            return self.edges[-1]
        below = shares[place - 1]
        low, high = self.edges[place - 1], self.edges[place]
        return low + (high - low) * (share - below) / (shares[place] - below)


def blend(edges: Sequence[int], spreads: Sequence[Spread], row: int, pull: float, never: float) -> Curve:
    """One curve of ``spreads``, the most general first: each pulls the next towards itself like ``pull`` outcomes.

    So a place with few outcomes of its own is judged by the wider circle, and one with many by itself. ``never`` more
    outcomes stand for those that are not heard of again.
    """
    width = len(edges) + 1
    shares = [0.0] * width
    known = 0.0
    for number, spread in enumerate(spreads):
        counts = spread.buckets(row, width)
        weight = sum(counts)
        known = max(known, weight)
        if number == 0:
            whole = weight + never
            shares = [count / whole for count in counts]
        elif weight:
            whole = weight + pull
            shares = [(count + pull * share) / whole for count, share in zip(counts, shares, strict=True)]
    return Curve(edges, list(accumulate(shares[:-1])), known)
