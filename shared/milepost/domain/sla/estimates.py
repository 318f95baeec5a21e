"""How far beside their ETAs orders come, by hub. Pure; all moments and durations are microseconds."""

from bisect import bisect_left, bisect_right
from itertools import accumulate

from milepost.domain.sla.tally import EDGES

AROUND = (*(-edge for edge in reversed(EDGES[1:])), *EDGES)
"""Ends of the bins on both sides of the moment told; beyond the last is what did not come."""
_BEYOND = len(AROUND)


class Curve:
    """How many came up to each of ``AROUND``, of ``whole`` in all."""

    __slots__ = ("stamps", "sums", "whole")

    def __init__(self, sums: list[float], whole: float, stamps: tuple[int, int]) -> None:
        self.sums = sums
        self.whole = whole
        self.stamps = stamps

    def came(self, beside: int) -> float:
        """How many came up to ``beside`` after the moment told (before it where negative)."""
        place = bisect_right(AROUND, beside)
        if place == 0:
            return 0.0
        below = self.sums[place - 1]
        if place == _BEYOND:
            return below
        low = AROUND[place - 1]
        return below + (self.sums[place] - below) * (beside - low) / (AROUND[place] - low)

    def chance(self, deadline: int, now: int) -> float:
        """The chance to come by ``deadline``, having not come by ``now``; both are measured from the moment told.

        One order in doubt, half come, is added, so that it is never quite 0 or 1.
        """
        gone = self.came(now)
        return (self.came(deadline) - gone + 0.5) / (self.whole - gone + 1.0)


class _Errors:
    """Counts by bin; once there are ``most``, all are halved."""

    __slots__ = ("counts", "most", "seen", "weight")

    def __init__(self, most: float) -> None:
        self.counts = [0.0] * (_BEYOND + 1)
        self.most = most
        self.seen = 0
        self.weight = 0.0

    def add(self, number: int) -> None:
        self.counts[number] += 1.0
        self.seen += 1
        self.weight += 1.0
        if self.weight > self.most:
            self.counts = [count / 2 for count in self.counts]
            self.weight /= 2


class Estimates:
    """What ETAs have been worth lately: over all, and by hub, drawn towards all like ``PULL`` orders."""

    FEWEST = 30
    """With fewer orders nothing is said."""
    PULL = 30.0
    MOST, MOST_OF_A_HUB = 4000.0, 400.0
    HUBS = 2_000
    """Hubs kept."""

    def __init__(self) -> None:
        self._all = _Errors(self.MOST)
        self._hubs: dict[str, _Errors] = {}
        self._curves: dict[str, Curve] = {}

    def learn(self, hub_id: str, beside: int | None) -> None:
        """An order of ``hub_id`` came ``beside`` after its ETA (negative: before); None where it did not come."""
        number = _BEYOND if beside is None else bisect_left(AROUND, beside)
        self._all.add(number)
        hub = self._hubs.get(hub_id)
        if hub is None:
            if len(self._hubs) >= self.HUBS:
                self._hubs.clear()
                self._curves.clear()
            hub = self._hubs[hub_id] = _Errors(self.MOST_OF_A_HUB)
        hub.add(number)

    def curve(self, hub_id: str) -> Curve | None:
        """The curve of ``hub_id``, made anew once there is a sixteenth more to know; None where too little is known."""
        every, hub = self._all, self._hubs.get(hub_id)
        if every.weight < self.FEWEST:
            return None
        stamps = every.seen, hub.seen if hub else 0
        held = self._curves.get(hub_id)
        if (
            held is not None
            and (stamps[1] - held.stamps[1]) * 16 <= held.whole
            and ((stamps[0] - held.stamps[0]) * 16 <= every.weight)
        ):
            return held
        share = self.PULL / every.weight
        counts = [count * share for count in every.counts]
        if hub:
            counts = [one + other for one, other in zip(counts, hub.counts, strict=True)]
        curve = Curve(list(accumulate(counts[:-1])), sum(counts), stamps)
        if hub:
            self._curves[hub_id] = curve
        return curve
