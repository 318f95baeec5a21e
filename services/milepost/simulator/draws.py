"""Chance, the same on every machine: only ``random()`` and IEEE arithmetic, never libm, hashes or the clock."""

import random
from bisect import bisect_right
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")

MILLISECOND = 1_000
SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR


class Draws:
    """A stream of draws of its own; two streams of one seed do not disturb each other."""

    def __init__(self, seed: str) -> None:
        """Begin the stream that ``seed`` names."""
        self._source = random.Random(seed)
        self.random = self._source.random

    def chance(self, probability: float) -> bool:
        """True with ``probability`` (0 to 1)."""
        return self.random() < probability

    def below(self, bound: int) -> int:
        """A whole number from 0 to ``bound`` - 1."""
        return int(self.random() * bound)

    def pick(self, choices: Sequence[T]) -> T:
        """One of ``choices``, all alike."""
        return choices[int(self.random() * len(choices))]

    def weighted(self, cumulative: Sequence[float]) -> int:
        """An index, by cumulative weights as :func:`cumulate` makes them."""
        return min(bisect_right(cumulative, self.random() * cumulative[-1]), len(cumulative) - 1)

    def along(self, quantiles: Sequence[float]) -> float:
        """A value from a distribution given by its equally spaced quantiles (first = least, last = greatest)."""
        place = self.random() * (len(quantiles) - 1)
        rank = int(place)
        low = quantiles[rank]
        return low + (quantiles[rank + 1] - low) * (place - rank)

    def minutes(self, quantiles: Sequence[float], pace: float = 1.0) -> int:
        """A duration in microseconds, on whole milliseconds, from quantiles in minutes stretched by ``pace``."""
        return int(self.along(quantiles) * pace * 60_000) * MILLISECOND

    def between(self, low: int, high: int) -> int:
        """A moment in ``[low, high)`` on a whole millisecond after ``low``; ``low`` where the span is empty."""
        return low + int(self.random() * max(0, high - low) / MILLISECOND) * MILLISECOND

    def token(self, bits: int = 96) -> str:
        """A random hexadecimal name."""
        return f"{self._source.getrandbits(bits):0{bits // 4}x}"


def cumulate(weights: Sequence[float]) -> list[float]:
    """Running totals of ``weights``."""
    total = 0.0
    totals = []
    for weight in weights:
        total += weight
        totals.append(total)
    return totals
