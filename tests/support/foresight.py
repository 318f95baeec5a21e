"""How well breaches are foreseen, told by a replay that may not look ahead: events as they arrive, a virtual clock,
and a forecast that has learnt from nothing but what came before.
"""

import gzip
import math
from collections.abc import Iterable, Iterator, Mapping
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
    """An undelivered order some time before its deadline: how long, and the chance it was given (None: unknown)."""

    left: int
    case: tuple[str, int]
    chance: float | None


class Outcome(NamedTuple):
    """What a replay gave: when each promise (order and deadline) was first at risk, from when until when it was known
    to be open, and the chances given at each arrival and at the marks.
    """

    warned: dict[tuple[str, int], int]
    open: dict[tuple[str, int], tuple[int, int]]
    told: list[Look]
    marked: list[Look]


def replay(found: Trace, forecast: Forecast, marks: Iterable[int] = (), limits: Limits | None = None) -> Outcome:
    """Decide as the processor does, at every arrival and at every moment at which a chance falls.

    ``marks`` are times left at which every open order's chance is recorded besides.
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
        self._outcome = Outcome({}, {}, [], [])

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
        elif kind == "mark":
            chance = self._forecast.chance(stands, moment)
            self._outcome.marked.append(Look(deadline - moment, (order_id, deadline), chance))
        else:
            self._decide(order_id, stands, moment)

    def _arrive(self, step: Step) -> None:
        order, order_id = step.order, step.order_id
        self._orders[order_id] = order
        deadline = order.promises.in_force.deadline if order.promises else 0
        case = (order_id, deadline)
        stands = situation(order, deadline) if deadline > step.at else None
        if stands is None:
            self._stands.pop(order_id, None)
            if case in self._outcome.open and step.at < self._outcome.open[case][1]:
                self._outcome.open[case] = (self._outcome.open[case][0], step.at)
            if order.delivered_at:
                self._teach(order_id)
            return
        self._stands[order_id] = stands
        if case not in self._outcome.open:
            self._set(deadline, "due", order_id, deadline)
            for mark in self._marks:
                if deadline - mark >= step.at:
                    self._set(deadline - mark, "mark", order_id, deadline)
        self._outcome.open[case] = (self._outcome.open.get(case, (step.at, 0))[0], deadline)
        self._decide(order_id, stands, step.at, told=True)

    def _teach(self, order_id: str) -> None:
        if order_id not in self._taught:
            self._taught.add(order_id)
            self._forecast.learn(self._orders[order_id])

    def _decide(self, order_id: str, stands: Situation, now: int, *, told: bool = False) -> None:
        case = (order_id, stands.deadline)
        chance = self._forecast.chance(stands, now)
        if told:
            self._outcome.told.append(Look(stands.deadline - now, case, chance))
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


class Rule(NamedTuple):
    """What warnings were worth: how many, the share of them that broke, the share of the broken that had one before
    the deadline, and by how long before (the median, and what nine in ten had at least).
    """

    warned: int
    precision: float
    recall: float
    lead_p50: float
    lead_p10: float


def judge(warned: Mapping[tuple[str, int], int], cases: Mapping[tuple[str, int], bool]) -> Rule:
    """What ``warned`` was worth over ``cases`` (whether each promise was kept)."""
    leads = sorted(case[1] - at for case, at in warned.items() if cases.get(case) is False)
    told = sum(case in cases for case in warned)
    broken = sum(not kept for kept in cases.values())
    if not leads:
        return Rule(told, 0.0, 0.0, 0.0, 0.0)
    return Rule(told, len(leads) / told, len(leads) / broken, leads[len(leads) // 2], leads[len(leads) // 10])


def naive(outcome: Outcome, before: int) -> dict[tuple[str, int], int]:
    """The rule that everything undelivered ``before`` its deadline is at risk, from the same knowledge."""
    found = {}
    for case, (first, last) in outcome.open.items():
        at = max(case[1] - before, first)
        if at < last:
            found[case] = at
    return found


def area(looks: Iterable[tuple[float, bool]]) -> float:
    """How often a kept promise was given a higher chance than a broken one (the area under the ROC curve).

    By the ranks, ties halved (Mann and Whitney, 1947).
    """
    ranked = sorted(looks)
    kept = sum(good for _, good in ranked)
    broken = len(ranked) - kept
    if not kept or not broken:
        return math.nan
    total, begin = 0.0, 0
    while begin < len(ranked):
        end = begin
        while end < len(ranked) and ranked[end][0] == ranked[begin][0]:
            end += 1
        total += sum(good for _, good in ranked[begin:end]) * (begin + 1 + end) / 2
        begin = end
    return (total - kept * (kept + 1) / 2) / (kept * broken)
