"""The chance that a promise is kept, from how the stages still to come have lately gone. Pure.

All moments and durations are microseconds.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import NamedTuple

from milepost.domain.order import Order
from milepost.domain.sla.spread import AHEAD, AROUND, MINUTE, ROWS, Curve, Spread, blend, row_of, row_start

HOUR = 60 * MINUTE
BLOCK = 4 * HOUR
"""Hours of a day are told apart in blocks of so many."""


class Milestone(StrEnum):
    """The last that happened to an order that is under way."""

    PLACED = "placed"
    READY = "ready"
    ASSIGNED = "assigned"
    OUT = "out"
    ARRIVED = "arrived"
    FAILED = "failed"


class Situation(NamedTuple):
    """What is known of an order that is under way: its ``milestone`` and the moment of it, and the ``deadline``.

    ``eta`` is when it is expected, told at ``eta_at``; both 0 where nobody said.
    """

    hub_id: str
    service_level: str
    milestone: Milestone
    since: int
    eta: int
    eta_at: int
    deadline: int


class Passage(NamedTuple):
    """A milestone that a delivered order has passed: when, and when the next thing happened."""

    milestone: Milestone
    since: int
    until: int


def situation(order: Order, deadline: int) -> Situation | None:
    """Where ``order`` stands against ``deadline``; None where it is not placed, delivered, or closed."""
    placed = order.placed
    if placed is None or order.delivered_at or order.closed_at:
        return None
    milestone, since = _last(order)
    return Situation(placed.hub_id, placed.service_level, milestone, since, order.eta, order.eta_at, deadline)


def _last(order: Order) -> tuple[Milestone, int]:
    """The milestone it stands at. After a failed attempt what went before no longer counts."""
    failed = order.last_failed_at
    if order.last_arrived_at > failed:
        return Milestone.ARRIVED, order.last_arrived_at
    if failed:
        return (Milestone.OUT, order.out_again_at) if order.out_again_at else (Milestone.FAILED, failed)
    if order.out_at:
        return Milestone.OUT, order.out_at
    if order.holders and order.holders[-1][1]:
        return Milestone.ASSIGNED, max(order.assigned_at, order.ready_at)
    if order.ready_at:
        return Milestone.READY, order.ready_at
    placed = order.placed
    return Milestone.PLACED, placed.time if placed is not None else 0


def passages(order: Order, end: int) -> list[Passage]:
    """The milestones ``order`` has passed on its way to ``end``, each once, in order of time."""
    placed = order.placed
    if placed is None:
        return []
    assigned = max(order.assigned_at, order.ready_at) if order.assigned_at else 0
    marks = [
        (since, milestone)
        for milestone, since in (
            (Milestone.PLACED, placed.time),
            (Milestone.READY, order.ready_at if order.ready_at < assigned or not assigned else 0),
            (Milestone.ASSIGNED, assigned if not order.out_at or assigned < order.out_at else 0),
            (Milestone.OUT, order.out_at),
            (Milestone.FAILED, order.last_failed_at),
            (Milestone.OUT, order.out_again_at),
            (Milestone.ARRIVED, order.last_arrived_at),
        )
        if since and since <= end
    ]
    marks.sort()
    ends = [since for since, _ in marks[1:]] + [end]
    return [Passage(milestone, since, until) for (since, milestone), until in zip(marks, ends, strict=True)]


Key = tuple[str | int, ...]


class Forecast:
    """What the orders delivered so far teach about those under way; bounded memory, no clock of its own.

    How long it takes from a milestone to the delivery is counted by service level and time left, by hub, and by hub and
    hour; each is pulled towards the wider one where it has few. Where the courier's ETA was told after the
    milestone, it is how far beside their ETAs orders of the hub were delivered.
    """

    FEWEST = 30
    """Below so many outcomes nothing is said."""
    PULL = 12.0
    NEVER = 0.5
    MOST = (4000.0, 1500.0, 600.0, 200.0)
    """What is kept of each level, the most general first."""
    SPREADS = 12_000
    """How many spreads are kept."""

    def __init__(self) -> None:
        self._spreads: dict[Key, Spread] = {}
        self._curves: dict[tuple[Key, int], tuple[tuple[int, ...], Curve]] = {}

    def seed(self, orders: Iterable[Order]) -> None:
        """Learn from ``orders``, which were delivered in this order."""
        for order in orders:
            self.learn(order)

    def learn(self, order: Order) -> None:
        """Take in an order that was delivered, or that ended undelivered (returned or lost)."""
        placed, promises = order.placed, order.promises
        if placed is None or promises is None:
            return
        end = order.delivered_at or (order.closed_at if not order.cancelled else 0)
        if not end:
            return
        deadline = promises.in_force.deadline
        came = bool(order.delivered_at)
        for milestone, since, until in passages(order, end):
            bucket = bisect_left(AHEAD, end - since) if came else len(AHEAD)
            cell = bucket * ROWS + row_of(until - since)
            for key, most in zip(
                _keys(placed.hub_id, placed.service_level, milestone, since, deadline), self.MOST, strict=True
            ):
                self._add(key, cell, most)
        if order.eta and came:
            cell = bisect_left(AROUND, end - order.eta) * ROWS
            for key, most in zip(_eta_keys(placed.hub_id), self.MOST, strict=False):
                self._add(key, cell, most)

    def chance(self, s: Situation, now: int) -> float | None:
        """The chance, 0 to 1, that it is delivered by its deadline, given that it is not at ``now``.

        None where too little is known to say.
        """
        if now >= s.deadline:
            return 0.0
        origin, keys, edges = _reference(s)
        row = 0 if edges is AROUND else row_of(max(0, now - s.since))
        curve = self._curve(keys, edges, row)
        if curve is None:
            return None
        gone = curve.share(now - origin)
        return (curve.share(s.deadline - origin) - gone) / (1.0 - gone) if gone < 1.0 else 0.0

    def falls_below(self, s: Situation, threshold: float, now: int) -> int | None:
        """The first moment from ``now`` on at which the chance is under ``threshold`` if nothing happens until then.

        None where that is not before the deadline, or too little is known.
        """
        origin, keys, edges = _reference(s)
        moment = now
        while moment < s.deadline:
            row = 0 if edges is AROUND else row_of(max(0, moment - s.since))
            curve = self._curve(keys, edges, row)
            if curve is None:
                return None
            ends = s.deadline if edges is AROUND or row == ROWS - 1 else s.since + row_start(row + 1)
            # The chance is (F(d) - F(e)) / (1 - F(e)), which is under the threshold once F(e) is over this.
            needed = (curve.share(s.deadline - origin) - threshold) / (1.0 - threshold)
            falls = origin + int(curve.quantile(needed)) + 1 if needed >= 0 else moment
            if falls < ends:
                moment = max(moment, falls)
                return moment if moment < s.deadline else None
            moment = max(moment, ends)
        return None

    def _add(self, key: Key, cell: int, most: float) -> None:
        spread = self._spreads.get(key)
        if spread is None:
            if len(self._spreads) >= self.SPREADS:
                self._forget()
            spread = self._spreads[key] = Spread(most)
        spread.add(cell)

    def _forget(self) -> None:
        """Let go of the lighter half."""
        kept = sorted(self._spreads.items(), key=lambda item: item[1].weight)[len(self._spreads) // 2 :]
        self._spreads = dict(kept)
        self._curves.clear()

    def _curve(self, keys: Sequence[Key], edges: Sequence[int], row: int) -> Curve | None:
        """The curve of the most specific of ``keys``, made anew once any of them has learnt enough since."""
        spreads = [spread for key in keys if (spread := self._spreads.get(key)) is not None]
        if not spreads:
            return None
        place = (keys[-1], row)
        held = self._curves.get(place)
        if held is not None:
            stamps, curve = held
            if len(stamps) == len(spreads) and all(
                spread.seen - stamp <= spread.weight / 16 for spread, stamp in zip(spreads, stamps, strict=True)
            ):
                return curve if curve.known >= self.FEWEST else None
        curve = blend(edges, spreads, row, self.PULL, self.NEVER)
        if len(self._curves) >= self.SPREADS:
            self._curves.clear()
        self._curves[place] = (tuple(spread.seen for spread in spreads), curve)
        return curve if curve.known >= self.FEWEST else None


def _keys(hub_id: str, service_level: str, milestone: Milestone, since: int, deadline: int) -> tuple[Key, ...]:
    """The circles an outcome counts in, the widest first."""
    left = max(0, deadline - since) // MINUTE
    slack = left.bit_length()
    block = since // BLOCK % (24 * HOUR // BLOCK)
    return (
        (milestone,),
        (milestone, service_level, slack),
        (milestone, service_level, slack, hub_id),
        (milestone, service_level, slack, hub_id, block),
    )


def _eta_keys(hub_id: str) -> tuple[Key, ...]:
    return (("eta",), ("eta", hub_id))


def _reference(s: Situation) -> tuple[int, tuple[Key, ...], Sequence[int]]:
    """What the outcome is measured from, the circles it is looked up in, and the edges of their buckets."""
    if s.eta and s.eta_at >= s.since:
        return s.eta, _eta_keys(s.hub_id), AROUND
    return s.since, _keys(s.hub_id, s.service_level, s.milestone, s.since, s.deadline), AHEAD
