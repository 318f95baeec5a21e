"""How well breaches are foreseen, told by a replay that may not look ahead: events as they arrive, a virtual clock,
and a forecast that has learnt from nothing but what came before.
"""

import gzip
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from heapq import heappop, heappush
from pathlib import Path
from typing import NamedTuple

import xxhash

from milepost.contracts.event import InvalidEventError, decode, micros
from milepost.domain.facts import AnyFact, fact_of
from milepost.domain.order import Order, fold
from milepost.domain.sla.policy import Limits
from milepost.domain.sla.prediction import Forecast, Situation, situation
from milepost.simulator.city import City
from milepost.simulator.files import parse_moment
from milepost.simulator.simulation import Options, Simulation, placements
from milepost.simulator.stamps import Stamps

MINUTE = 60_000_000
START = "2026-03-02T00:00:00Z"
_TAKEN = datetime(2030, 1, 1, tzinfo=UTC)


class Step(NamedTuple):
    """An event's arrival: what is known of its order from then on."""

    at: int
    order_id: str
    order: Order


class Case(NamedTuple):
    """A promise that came due, as all events together tell it."""

    order_id: str
    deadline: int
    kept: bool


class Trace(NamedTuple):
    """What arrived, in order, and how it ended."""

    steps: list[Step]
    cases: list[Case]


def city(orders: int, seed: str) -> Iterator[tuple[int, bytes]]:
    """The simulated city's events with their moments of arrival."""
    options = Options(orders=orders, seed=seed, start=parse_moment(START))
    place = City(options.seed, hubs=options.hubs, orders_per_day=options.orders / options.period)
    for sent in Simulation(options, place, Stamps()).run(placements(options)):
        yield sent.arrival, sent.payload


def real_orders(folder: Path) -> list[tuple[int, bytes]]:
    """The real orders' events, each arriving when it happened: the file does not know when they were sent."""
    with gzip.open(folder / "events.jsonl.gz") as file:
        lines = file.read().splitlines()
    return sorted((micros(decode(line, "BRL", _TAKEN).time), line) for line in lines)


def trace(events: Iterable[tuple[int, bytes]], currency: str) -> Trace:
    """Every event folded into its order, as the processor does."""
    known: dict[str, list[AnyFact]] = {}
    identities: set[tuple[str, str, str]] = set()
    steps: list[Step] = []
    for number, (at, line) in enumerate(events):
        try:
            event = decode(line, currency, _TAKEN)
        except InvalidEventError:
            continue
        identity = (event.subject, event.source, event.id)
        if event.testmode or identity in identities:
            continue
        identities.add(identity)
        facts = known.setdefault(event.subject, [])
        facts.append(fact_of(event, number, xxhash.xxh64_intdigest(line)))
        steps.append(Step(at, event.subject, fold(facts)))
    return Trace(steps, [case for subject, facts in known.items() if (case := _case(subject, fold(facts)))])


def _case(order_id: str, order: Order) -> Case | None:
    if order.promises is None:
        return None
    deadline = order.promises.in_force.deadline
    if not order.due_by(deadline):
        return None
    return Case(order_id, deadline, 0 < order.delivered_at <= deadline)


class Look(NamedTuple):
    """An undelivered order some time before its deadline: how long, at which clock, and the chance it was given."""

    before: int
    at: int
    case: tuple[str, int]
    chance: float | None


class Outcome(NamedTuple):
    """What a replay gave: when each promise (order and deadline) was first at risk, and the chances on the way."""

    warned: dict[tuple[str, int], int]
    looks: list[Look]
    told: list[Look]


def replay(found: Trace, forecast: Forecast, marks: Iterable[int], limits: Limits | None = None) -> Outcome:
    """Decide as the processor does, at every arrival and at every moment at which a chance falls.

    ``marks`` are how long before a deadline to look besides, for the record.
    """
    return _Replay(forecast, tuple(marks), limits or Limits()).run(found)


class _Replay:
    def __init__(self, forecast: Forecast, marks: tuple[int, ...], limits: Limits) -> None:
        self._forecast = forecast
        self._marks = marks
        self._limits = limits
        self._timers: list[tuple[int, int, str, int, str]] = []
        self._number = 0
        self._stands: dict[str, Situation] = {}
        self._orders: dict[str, Order] = {}
        self._taught: set[str] = set()
        self._at_risk: set[tuple[str, int]] = set()
        self._marked: set[tuple[str, int]] = set()
        self._outcome = Outcome({}, [], [])

    def run(self, found: Trace) -> Outcome:
        for step in found.steps:
            while self._timers and self._timers[0][0] <= step.at:
                self._ring()
            self._arrive(step)
        return self._outcome

    def _set(self, moment: int, kind: str, order_id: str, deadline: int) -> None:
        self._number += 1
        heappush(self._timers, (moment, self._number, order_id, deadline, kind))

    def _ring(self) -> None:
        moment, _, order_id, deadline, kind = heappop(self._timers)
        stands = self._stands.get(order_id)
        if stands is None or stands.deadline != deadline:
            return
        if kind == "due":
            self._teach(order_id)
        elif kind == "look":
            chance = self._forecast.chance(stands, moment)
            self._outcome.looks.append(Look(deadline - moment, moment, (order_id, deadline), chance))
        else:
            self._decide(order_id, stands, moment)

    def _arrive(self, step: Step) -> None:
        order, order_id = step.order, step.order_id
        self._orders[order_id] = order
        deadline = order.promises.in_force.deadline if order.promises else 0
        stands = situation(order, deadline) if deadline > step.at else None
        if stands is None:
            self._stands.pop(order_id, None)
            if order.delivered_at or (order.closed_at and not order.cancelled):
                self._teach(order_id)
            return
        self._stands[order_id] = stands
        if (order_id, deadline) not in self._marked:
            self._marked.add((order_id, deadline))
            self._set(deadline, "due", order_id, deadline)
            for mark in self._marks:
                if deadline - mark >= step.at:
                    self._set(deadline - mark, "look", order_id, deadline)
        self._decide(order_id, stands, step.at, told=True)

    def _teach(self, order_id: str) -> None:
        if order_id not in self._taught:
            self._taught.add(order_id)
            self._forecast.learn(self._orders[order_id])

    def _decide(self, order_id: str, stands: Situation, now: int, *, told: bool = False) -> None:
        case = (order_id, stands.deadline)
        chance = self._forecast.chance(stands, now)
        if told:
            self._outcome.told.append(Look(stands.deadline - now, now, case, chance))
        if chance is None:
            return
        if chance < self._limits.risk_below:
            self._at_risk.add(case)
            self._outcome.warned.setdefault(case, now)
            return
        if case in self._at_risk and chance > self._limits.eased_above:
            self._at_risk.discard(case)
        falls = self._forecast.falls_below(stands, self._limits.risk_below, now)
        if falls is not None:
            self._set(falls, "falls", order_id, stands.deadline)
