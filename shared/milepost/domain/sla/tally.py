"""Tallies: how many promises were kept of how many, by the time that was left. Pure.

All durations are microseconds.
"""

from bisect import bisect_right

MINUTE = 60_000_000
_GROWTH = 1.5
_LONGEST = 120 * 1440 * MINUTE


def _edges() -> tuple[int, ...]:
    """Lower ends of the bins of time left: 0, a minute, and each half as long again as the one before, to 120 days."""
    edges = [0, MINUTE]
    while edges[-1] < _LONGEST:
        edges.append(int(edges[-1] * _GROWTH))
    return tuple(edges)


EDGES = _edges()
BINS = len(EDGES)
MIDDLES = tuple((low + high) // 2 for low, high in zip(EDGES, (*EDGES[1:], 2 * EDGES[-1]), strict=True))


def bin_of(left: int) -> int:
    """The bin of the time ``left``, 0 or more."""
    return bisect_right(EDGES, left) - 1


def middle_before(left: int) -> int:
    """The last bin whose middle is not over ``left``; −1 below the first."""
    return bisect_right(MIDDLES, left) - 1


class Tally:
    """How many orders stood somewhere with so much time left (``of``), and how many of them kept the promise.

    Where a bin has counted ``most`` orders both counts are halved: what came last weighs most.
    """

    __slots__ = ("kept", "most", "of")

    def __init__(self, most: float) -> None:
        self.of = [0.0] * BINS
        self.kept = [0.0] * BINS
        self.most = most

    def add(self, first: int, last: int, *, kept: bool) -> None:
        """Count an order that stood here while its time left went through the bins ``first`` to ``last``."""
        of, good, most = self.of, self.kept, self.most
        for number in range(first, last + 1):
            count = of[number] + 1.0
            of[number] = count
            if kept:
                good[number] += 1.0
            if count > most:
                of[number] = count / 2
                good[number] /= 2

    @property
    def weight(self) -> float:
        """How much it has counted."""
        return max(self.of)
