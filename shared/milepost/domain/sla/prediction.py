"""The chance that a promise is kept: of the orders that lately stood where this one stands with as much time left, how
many kept theirs. Pure; all moments and durations are microseconds.
"""

from collections.abc import Iterable
from math import sqrt

from milepost.domain.order import Order
from milepost.domain.sla.estimates import Curve, Estimates
from milepost.domain.sla.milestones import Milestone, Passage, Situation, passages, situation
from milepost.domain.sla.tally import BINS, MIDDLES, MINUTE, Tally, bin_of, middle_before

__all__ = ["Forecast", "Milestone", "Passage", "Situation", "passages", "situation"]

SECOND = 1_000_000
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
    """Tallies kept, some 2 kB each."""

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
        if now >= s.deadline:
            return 0.0
        company = self._company(s)
        number = middle_before(s.deadline - now)
        chance = _between(self._among(company, number), self._among(company, number + 1), s.deadline - now, number)
        curve = self._told(s)
        if chance is None or curve is None:
            return chance
        return _together(chance, curve.chance(s.deadline - s.eta, now - s.eta))

    def falls_below(self, s: Situation, threshold: float, now: int) -> int | None:
        """The first moment from ``now`` on at which the chance is under ``threshold`` if nothing happens until then.

        To the second where an ETA counts. None where that is not before the deadline, or too little is known.
        """
        if now >= s.deadline:
            return None
        company, curve = self._company(s), self._told(s)
        moment = now
        number = middle_before(s.deadline - now)
        earlier = self._among(company, number + 1)
        while moment < s.deadline:
            later = self._among(company, number)
            ends = s.deadline - MIDDLES[number] if number >= 0 else s.deadline
            # Most stretches need no closer look: without an ETA the chance ends no lower than the bin's.
            if moment == now or curve is not None or (later is not None and later < threshold):
                falls = _falls(s, threshold, (moment, ends), (earlier, later), number, curve)
                if falls is not None:
                    return falls if falls < s.deadline else None
            # With the time left of the middle itself an order still belongs to the stretch before.
            moment, earlier, number = ends + 1, later, number - 1
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
        if not company or not 0 <= number < BINS or company[0].of[number] < self.FEWEST:
            return None
        chance = 0.5
        for tally, pull in zip(company, self.PULL, strict=False):
            chance = (tally.kept[number] + pull * chance) / (tally.of[number] + pull)
        return chance

    def _told(self, s: Situation) -> Curve | None:
        """What ETAs like that of ``s`` are worth; None where it has none, or one from before its milestone."""
        return self._estimates.curve(s.hub_id) if s.eta and s.eta_at >= s.since else None


def _between(later: float | None, earlier: float | None, left: int, number: int) -> float | None:
    """The chance with ``left``, which lies between the middles of the bins ``number`` and the next: straight between.

    Where one of them is unknown, or there is none, it is the other.
    """
    if later is None or earlier is None:
        return earlier if later is None else later
    low = MIDDLES[number]
    return later + (earlier - later) * (left - low) / (MIDDLES[number + 1] - low)


def _together(chance: float, told: float) -> float:
    """What the company and the ETA say together: the geometric mean of the odds."""
    odds = sqrt(chance / (1.0 - chance) * told / (1.0 - told))
    return odds / (1.0 + odds)


def _falls(
    s: Situation,
    threshold: float,
    span: tuple[int, int],
    chances: tuple[float | None, float | None],
    number: int,
    curve: Curve | None,
) -> int | None:
    """The first moment of ``span`` at which the chance is under ``threshold``; None where there is none.

    The company's chance goes straight from middle to middle, and the ETA's only falls: where both together are not
    under it at the end, they are taken not to have been before.
    """
    earlier, later = chances

    def under(moment: int) -> bool:
        chance = _between(later, earlier, s.deadline - moment, number)
        if chance is None:
            return False
        return (
            chance if curve is None else _together(chance, curve.chance(s.deadline - s.eta, moment - s.eta))
        ) < threshold

    low, high = span
    if under(low):
        return low
    if not under(high):
        return None
    if curve is None and later is not None and earlier is not None:
        left = MIDDLES[number] + (threshold - later) / (earlier - later) * (MIDDLES[number + 1] - MIDDLES[number])
        crossing = max(low, s.deadline - int(left) + 1)
        # Rounding must not give a moment at which it is not under: who waits for it would wait for ever.
        if under(crossing):
            return crossing
    while high - low > SECOND:
        middle = (low + high) // 2
        if under(middle):
            high = middle
        else:
            low = middle
    return high


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
