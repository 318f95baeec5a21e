"""A partition's open orders and the moments at which something may be broken.

Events move what is watched (``note``), time brings it about (``tick``). Nothing here waits for anything: what SLAs have
reached is handed out as ``Told`` (``take``), for others to write and to publish.
"""

import heapq
import logging
from collections.abc import Callable
from typing import NamedTuple

from msgspec import Struct
from rbloom import Bloom

from milepost.domain.order import Order
from milepost.domain.sla.life import FRESH_US, Raised, Step, due_of, settle, vanish
from milepost.domain.sla.policy import Limits, Policies, limits_for
from milepost.domain.sla.prediction import Forecast, Situation, situation
from milepost.domain.sla.spans import Span, spans
from milepost.domain.sla.words import PROMISE, RANKS, SILENCE, Cause, State

log = logging.getLogger(__name__)

QUIET_US = 45 * 60 * 1_000_000
"""Where no policy limits silence: an order of which nothing was heard for so long is silent, not known to be late."""

_AT_RISK, _BREACHED = RANKS[State.AT_RISK], RANKS[State.BREACHED]
_EXPECTED_RAISED = 1_000_000
_LIMITS_KEPT = 50_000
_NEVER = 1 << 62
WEIGHED_AFTER_US = 1_000_000
"""How long after its last event an order's chance is weighed: often the next event is there before."""
WEIGHED_AGAIN_US = 10_000_000
"""How long after it was put off, where the partition lags."""


class Place(NamedTuple):
    """Where an order belongs, and who has it."""

    hub_id: str
    zone_id: str
    service_level: str
    merchant_id: str
    courier_id: str


class Told(NamedTuple):
    """A state that an SLA of an order has reached, and what was known of the order then."""

    order_id: str
    place: Place
    step: Step
    seen: Situation | None
    last_event_at: int


class Running(NamedTuple):
    """A span that runs, and when it became known."""

    span: Span
    known_at: int


class Watched(Struct, gc=False):
    """An open order: what runs, when to weigh the chance of its promise, and when to look at it next."""

    place: Place
    running: list[Running]
    last_event_at: int
    seen: Situation | None
    weigh_at: int
    next: int = _NEVER
    planned: int = _NEVER


class Watch:
    """The SLAs of a partition's orders; moments in microseconds."""

    def __init__(self, policies: Policies, forecast: Forecast) -> None:
        self._policies = policies
        self._forecast = forecast
        self._limits_of: dict[tuple[str, ...], Limits] = {}
        self._orders: dict[str, Watched] = {}
        self._raised: dict[str, list[Raised]] = {}
        self._ever = Bloom(_EXPECTED_RAISED, 0.01)
        self._heap: list[tuple[int, str]] = []
        self._told: list[Told] = []
        self.failures = 0
        """Orders that are watched no more because looking at them failed: a fault of ours."""
        self._touched: set[str] | None = set()
        """Orders noted while not all that is stored is known here; None once it is."""

    def __len__(self) -> int:
        return len(self._orders)

    def knows(self, order_id: str) -> bool:
        """Whether events have told of the order, who tell more than what is stored."""
        return order_id in self._orders or (self._touched is not None and order_id in self._touched)

    @property
    def warm(self) -> bool:
        """Whether all that is stored is known here."""
        return self._touched is None

    def is_warm(self) -> None:
        """Note that all that is stored is known here."""
        self._touched = None

    def remember(self, order_ids: list[str]) -> None:
        """Note that something was raised of these orders, some time."""
        self._ever.update(order_ids)

    def wants(self, order_id: str, order: Order, appended: int) -> bool:
        """Whether ``note`` could do anything with the order; of most orders of a backlog nothing can be raised."""
        return (
            order_id in self._orders
            or order_id in self._raised
            or self._touched is not None
            or order_id in self._ever
            or not self._long_past(order, appended)
        )

    def note(self, order_id: str, order: Order, appended: int, *, first: bool) -> bool:
        """An order as it is after events of which the last was appended at ``appended``.

        ``first`` says that nothing was known of it before. Gives False, and does nothing, where it must be looked up
        what was raised of it before: then it is to be ``found``.
        """
        if order_id not in self._orders and order_id not in self._raised:
            if not first and (self._touched is not None or order_id in self._ever):
                return False
            if self._long_past(order, appended):
                return True
        self._look(order_id, order, appended, appended)
        return True

    def forget(self, order_id: str) -> None:
        """Watch the order no more."""
        self._orders.pop(order_id, None)
        self._raised.pop(order_id, None)

    def learn(self, order_id: str, order: Order) -> None:
        """Take in what became of the promise of an order that has ended, unless that was known with its breach."""
        raised = self._raised.get(order_id, ())
        if not any(one.rule == PROMISE and one.rank >= _BREACHED for one in raised):
            self._forecast.learn(order)

    def found(self, order_id: str, order: Order, raised: list[Raised], known_at: int, now: int | None = None) -> None:
        """An order with all that was ever raised of it, as far as it is by ``now``.

        ``known_at`` is when its last stored event was appended, ``now`` the same of events that came since.
        """
        if raised:
            self._ever.add(order_id)
            self._raised[order_id] = raised
        if raised or not self._long_past(order, known_at):
            self._look(order_id, order, known_at, known_at if now is None else now)

    def _long_past(self, order: Order, known_at: int) -> bool:
        """Whether nothing of the order could be raised any more when this became known."""
        placed, promises = order.placed, order.promises
        if placed is None or promises is None:
            return True
        latest = max(promises.in_force.deadline, order.last_event_at) + FRESH_US
        return latest < known_at and latest + self._limits(_place(order)).longest < known_at

    def _limits(self, place: Place) -> Limits:
        key = place[:4]
        limits = self._limits_of.get(key)
        if limits is None:
            if len(self._limits_of) >= _LIMITS_KEPT:
                self._limits_of.clear()
            limits = self._limits_of[key] = _limits(self._policies, place)
        return limits

    def _look(self, order_id: str, order: Order, known_at: int, now: int) -> None:
        if self._touched is not None:
            self._touched.add(order_id)
        before = self._orders.get(order_id)
        place = before.place if before is not None and order.placed is None else _place(order)
        known = {one.span[:2]: one.known_at for one in before.running} if before is not None else {}
        current = [Running(span, known.get(span[:2], known_at)) for span in spans(order)]
        open_promise = next((one.span for one in current if one.span.rule == PROMISE and not one.span.end), None)
        seen = situation(order, open_promise.base) if open_promise is not None else None
        watched = Watched(place, current, order.last_event_at, seen, now + WEIGHED_AFTER_US)
        if before is not None:
            watched.planned = before.planned
        self._end_what_vanished(order_id, watched, now)
        self._proceed(order_id, watched, now, before.last_event_at if before is not None else 0)
        watched.running = [one for one in current if not one.span.end]
        if watched.running:
            self._orders[order_id] = watched
        else:
            self._orders.pop(order_id, None)
            self._raised.pop(order_id, None)

    def _end_what_vanished(self, order_id: str, watched: Watched, now: int) -> None:
        current = {one.span.rule: one.span for one in watched.running}
        for raised in list(self._raised.get(order_id, ())):
            span = current.get(raised.rule)
            if span is None or span.base != raised.base:
                step = vanish(raised, span, watched.last_event_at, now)
                if step is not None:
                    self._tell(order_id, watched, step)

    def _proceed(self, order_id: str, watched: Watched, now: int, decided: int = 0) -> None:
        """Take every SLA of the order as far as it is by ``now``, and plan when to look again.

        What ended up to ``decided`` without anything being raised was in order by the policies of its time.
        """
        limits = self._limits(watched.place)
        upcoming = _NEVER
        for span, known_at in watched.running:
            raised = self._raised_of(order_id, span)
            if raised is not None:
                rank, due, version = raised.rank, raised.due, raised.policy_version
            elif span.end and span.end <= decided:
                continue
            else:
                promised = due_of(span, limits)
                if promised is None:
                    continue
                rank, due, version = 0, promised, limits.version
            if span.end or now >= due:
                for step in settle(span, due, version, rank, known_at, now, _breach_cause(watched, span, due, limits)):
                    self._tell(order_id, watched, step)
                continue
            upcoming = min(upcoming, due)
            if span.rule == PROMISE and rank <= _AT_RISK and watched.seen is not None:
                upcoming = min(upcoming, max(watched.weigh_at, now))
        self._plan(order_id, watched, upcoming)

    def _plan(self, order_id: str, watched: Watched, moment: int) -> None:
        """Look at the order at ``moment``. One entry an order is enough: it is put off when its time has come."""
        watched.next = moment
        if moment < watched.planned:
            watched.planned = moment
            heapq.heappush(self._heap, (moment, order_id))

    def _weigh(self, order_id: str, watched: Watched, now: int) -> None:
        """Raise a risk of the promise, or ease it, where the chance says so, and say when to weigh it again."""
        seen, limits = watched.seen, self._limits(watched.place)
        promise = next((one.span for one in watched.running if one.span.rule == PROMISE), None)
        watched.weigh_at = _NEVER
        if seen is None or promise is None or not limits.promise:
            return
        raised = self._raised_of(order_id, promise)
        rank = 0 if raised is None else raised.rank
        due = promise.base + limits.grace if raised is None else raised.due
        if now >= due or rank > _AT_RISK:
            return
        if rank < _AT_RISK:
            falls = self._forecast.falls_below(seen, limits.risk_below, now)
            if falls is None or falls > now:
                watched.weigh_at = _NEVER if falls is None else falls
                return
        chance = self._forecast.chance(seen, now)
        if chance is None:
            return
        if rank < _AT_RISK:
            state = State.AT_RISK
        elif chance > limits.eased_above:
            state = State.EASED
        else:
            return
        step = Step(promise.rule, promise.base, due, state, Cause.PREDICTED, now, limits.version, chance)
        self._tell(order_id, watched, step)

    def _raised_of(self, order_id: str, span: Span) -> Raised | None:
        for raised in self._raised.get(order_id, ()):
            if raised.rule == span.rule and raised.base == span.base:
                return raised
        return None

    def _tell(self, order_id: str, watched: Watched, step: Step) -> None:
        self._told.append(Told(order_id, watched.place, step, watched.seen, watched.last_event_at))
        self._ever.add(order_id)
        raised = [one for one in self._raised.get(order_id, ()) if one.rule != step.rule or one.base != step.base]
        raised.append(Raised(step.rule, step.base, step.due, RANKS[step.state], step.policy_version))
        self._raised[order_id] = raised

    def tick(self, now: int, is_pending: Callable[[str], bool], *, lags: bool = False) -> None:
        """Let time pass up to ``now``; an order that events wait for (``is_pending``) is looked at after them.

        Nothing is foretold while the partition ``lags``: what is known of its orders is old.
        """
        heap, orders = self._heap, self._orders
        postponed = []
        while heap and heap[0][0] <= now:
            moment, order_id = heapq.heappop(heap)
            watched = orders.get(order_id)
            if watched is None or watched.planned != moment:
                continue
            watched.planned = _NEVER
            if watched.next > moment:
                self._plan(order_id, watched, watched.next)
                continue
            if is_pending(order_id):
                postponed.append((order_id, watched))
                continue
            try:
                self._pass(order_id, watched, now, lags=lags)
            except Exception:
                # Whatever it is, other orders' time goes on.
                log.exception("the SLAs of order %s cannot be watched", order_id)
                self.forget(order_id)
                self.failures += 1
        for order_id, watched in postponed:
            self._plan(order_id, watched, watched.next)

    def _pass(self, order_id: str, watched: Watched, now: int, *, lags: bool) -> None:
        if watched.weigh_at <= now:
            if lags:
                watched.weigh_at = now + WEIGHED_AGAIN_US
            else:
                self._weigh(order_id, watched, now)
        self._proceed(order_id, watched, now)

    def learn_policies(self, policies: Policies, now: int) -> None:
        """These policies held before ``now`` already, and were not known here."""
        self._policies = policies
        self._limits_of.clear()
        for order_id, watched in self._orders.items():
            self._proceed(order_id, watched, now)

    def apply(self, policies: Policies, now: int) -> None:
        """From ``now`` on these policies hold. What is raised stands; a new limit counts as known from now on."""
        before, self._policies = self._policies, policies
        self._limits_of.clear()
        for order_id, watched in self._orders.items():
            place = watched.place
            old, new = _limits(before, place), self._limits(place)
            watched.running = [
                one if due_of(one.span, old) == due_of(one.span, new) else Running(one.span, now)
                for one in watched.running
            ]
            self._proceed(order_id, watched, now)

    def take(self) -> list[Told]:
        """What was reached since the last call."""
        told, self._told = self._told, []
        return told


def _limits(policies: Policies, place: Place) -> Limits:
    return limits_for(policies, place.service_level, place.hub_id, place.zone_id, place.merchant_id)


def _place(order: Order) -> Place:
    placed = order.placed
    courier = order.holders[-1][1] if order.holders else ""
    if placed is None:
        return Place("", "", "", "", courier)
    return Place(placed.hub_id, placed.zone_id, placed.service_level, placed.merchant_id, courier)


def _breach_cause(watched: Watched, span: Span, due: int, limits: Limits) -> Cause:
    """Whether a breach at ``due`` is known lateness, or nothing was heard of the order for too long to tell."""
    quiet = limits.silence or QUIET_US
    silent = span.rule == SILENCE or (not span.end and watched.last_event_at + quiet <= due)
    return Cause.SILENT if silent else Cause.LATE
