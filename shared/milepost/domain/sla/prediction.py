"""The chance that a promise is kept: of the orders that lately stood where this one stands with as much time left, how
many kept theirs. Pure; all moments and durations are microseconds.
"""

from collections.abc import Iterable
from math import sqrt

from milepost.domain.order import Order
from milepost.domain.sla.estimates import Curve, Estimates
from milepost.domain.sla.milestones import Milestone, Passage, Situation, passages, situation
from milepost.domain.sla.tally import EDGES, MINUTE, Tally, bin_of

__all__ = ["Forecast", "Milestone", "Passage", "Situation", "passages", "situation"]

BLOCK = 240 * MINUTE
"""Hours of the day are told apart in blocks of so many."""
BLOCKS = 6

Place = tuple[Milestone, str, int, str, int]
"""Where an order is counted: milestone, service level, span, hub, block."""


class Forecast:
    """What the promises decided so far teach about those still open. Bounded memory; it has no clock of its own.

    An order is compared with ever closer company: all at its milestone; of its service level; promised about as long
    from the milestone on; of its hub; at its hour. The wider circle counts like ``PULL`` orders in the closer one, so
    few orders of its own move little. Where an ETA was told since the milestone, what such ETAs have been worth says
    as much as the company does: the odds are the geometric mean of both.
    """

    FEWEST = 10
    """With fewer orders to compare with, nothing is said."""
    PULL = (1.0, 8.0, 12.0, 30.0, 30.0)
    """For each circle, the widest first; the first is drawn towards a half, so that no chance is quite 0 or 1."""
    MOST = 400.0
    """Orders a bin counts before it forgets by half."""
    TALLIES = 16_000
    """Tallies kept, some 700 bytes each."""

    def __init__(self) -> None:
        self._tallies: dict[tuple[str | int, ...], Tally] = {}
        self._companies: dict[Place, list[Tally]] = {}
        self._estimates = Estimates()

    def seed(self, orders: Iterable[Order]) -> None:
        """Learn from ``orders``, whose promises were decided in this order."""
        for order in orders:
            self.learn(order)

    def learn(self, order: Order) -> None:
        """Take in an order whose promise is decided: it was delivered, or its deadline has passed without it.

        To be called once for each, at the earlier of the two, so that a hub that stands still is noticed before
        its orders come. What was not due, because it was cancelled before, teaches nothing.
        """
        placed, promises = order.placed, order.promises
        if placed is None or promises is None:
            return
        deadline = promises.in_force.deadline
        if not order.due_by(deadline):
            return
        delivered_at = order.delivered_at
        kept = 0 < delivered_at <= deadline
        for milestone, since, until in passages(order, delivered_at if kept else deadline):
            first, last = bin_of(deadline - until), bin_of(deadline - since)
            place = _place(placed.hub_id, placed.service_level, milestone, since, deadline)
            for tally in self._companies.get(place) or self._joined(place):
                tally.add(first, last, kept=kept)
        if order.eta and delivered_at:
            self._estimates.learn(placed.hub_id, delivered_at - order.eta)
        elif order.eta and order.eta <= deadline:
            self._estimates.learn(placed.hub_id, None)

    def chance(self, s: Situation, now: int) -> float | None:
        """The chance, 0 to 1, that it is delivered by its deadline, given that it is not at ``now``.

        None where too little is known to say.
        """
        left = s.deadline - now
        if left <= 0:
            return 0.0
        chance = self._among(self._company(s), bin_of(left))
        curve = self._told(s)
        if chance is None or curve is None:
            return chance
        told = curve.chance(s.deadline - s.eta, now - s.eta)
        odds = sqrt(chance / (1.0 - chance) * told / (1.0 - told))
        return odds / (1.0 + odds)

    def falls_below(self, s: Situation, threshold: float, now: int) -> int | None:
        """The first moment from ``now`` on at which the chance is under ``threshold`` if nothing happens until then.

        None where that is not before the deadline, or too little is known.
        """
        left = s.deadline - now
        if left <= 0:
            return None
        company, curve = self._company(s), self._told(s)
        moment = now
        for number in range(bin_of(left), -1, -1):
            chance = self._among(company, number)
            ends = s.deadline - EDGES[number] + 1
            if chance is not None:
                falls = _falls(curve, chance, threshold, s, moment)
                if falls is not None and falls < ends:
                    return falls if falls < s.deadline else None
            moment = ends
        return None

    def _company(self, s: Situation) -> list[Tally]:
        """The tallies to compare with, the widest first; where none was counted in its place, those there are."""
        place = _place(s.hub_id, s.service_level, s.milestone, s.since, s.deadline)
        company = self._companies.get(place)
        if company is not None:
            return company
        return [tally for circle in _circles(place) if (tally := self._tallies.get(circle)) is not None]

    def _joined(self, place: Place) -> list[Tally]:
        """The tallies of ``place``, made where they are missing."""
        if len(self._tallies) >= self.TALLIES:
            kept = sorted(self._tallies.items(), key=lambda item: item[1].weight)[self.TALLIES // 4 :]
            self._tallies = dict(kept)
            self._companies.clear()
        company = []
        for circle in _circles(place):
            tally = self._tallies.get(circle)
            if tally is None:
                tally = self._tallies[circle] = Tally(self.MOST)
            company.append(tally)
        self._companies[place] = company
        return company

    def _among(self, company: list[Tally], number: int) -> float | None:
        """The share of ``company`` that kept the promise, of those with the time left of bin ``number``."""
        if not company or company[0].of[number] < self.FEWEST:
            return None
        chance = 0.5
        for tally, pull in zip(company, self.PULL, strict=False):
            chance = (tally.kept[number] + pull * chance) / (tally.of[number] + pull)
        return chance

    def _told(self, s: Situation) -> Curve | None:
        """What ETAs like that of ``s`` are worth; None where it has none, or one from before its milestone."""
        return self._estimates.curve(s.hub_id) if s.eta and s.eta_at >= s.since else None


def _falls(curve: Curve | None, chance: float, threshold: float, s: Situation, moment: int) -> int | None:
    """From when on, not before ``moment``, the company's ``chance`` and the ETA together are under ``threshold``."""
    if curve is None:
        return moment if chance < threshold else None
    # The ETA's odds must be under (the threshold's odds)² / (the company's odds).
    odds = (threshold / (1.0 - threshold)) ** 2 * (1.0 - chance) / chance
    falls = curve.falls_below(odds / (1.0 + odds), s.deadline - s.eta)
    if falls <= moment - s.eta:
        return moment
    return s.eta + int(falls) + 1 if falls < s.deadline - s.eta else None


def _place(hub_id: str, service_level: str, milestone: Milestone, since: int, deadline: int) -> Place:
    """Where an order at ``milestone`` since ``since`` is counted; its span is the bin of the time left then."""
    return milestone, service_level, bin_of(max(0, deadline - since)), hub_id, since // BLOCK % BLOCKS


def _circles(place: Place) -> tuple[tuple[str | int, ...], ...]:
    """The circles of ``place``, the widest first."""
    milestone = place[0].value
    return (
        (milestone,),
        (milestone, place[1]),
        (milestone, *place[1:3]),
        (milestone, *place[1:4]),
        (milestone, *place[1:]),
    )
