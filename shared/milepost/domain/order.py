"""The state of an order, as a pure function of the set of its facts."""

from collections.abc import Callable
from typing import Any

from msgspec import Struct

from milepost.contracts.reasons import DOOR_REASONS
from milepost.domain import facts as f
from milepost.domain.parcels import Outcome, in_full, outcome
from milepost.domain.promise import Promise, Promises, resolve


class Order(Struct, gc=False):
    """What is known of an order; moments in microseconds, 0 where unknown.

    ``holders`` lists who had the order from when on. ``on_road`` says whether it is out with a courier now: taken out,
    and neither handed over nor brought back since. ``last_failed_at`` is the last failed attempt, also one that never
    reached the door, and ``out_again_at`` when it first left after that. ``reasons`` are those of the latest answer
    that names any. The courier beside a moment is the one its event named, else "".
    """

    placed: f.Placed | None = None
    promises: Promises | None = None
    ready_at: int = 0
    assigned_at: int = 0
    assigned_courier: str = ""
    out_at: int = 0
    out_courier: str = ""
    out_again_at: int = 0
    on_road: bool = False
    first_arrived_at: int = 0
    first_arrived_courier: str = ""
    last_arrived_at: int = 0
    last_arrived_courier: str = ""
    door_at: int = 0
    first_failed_at: int = 0
    last_failed_at: int = 0
    failed_attempts: int = 0
    failures: dict[tuple[str, str], f.AttemptFailed] = {}
    first_attempt_at: int = 0
    first_attempt_courier: str = ""
    first_attempt_delivered: bool = False
    first_tried_at: int = 0
    first_tried_courier: str = ""
    never_reached: bool = False
    delivered_at: int = 0
    delivered_courier: str = ""
    in_full: bool | None = None
    cancelled_at: int = 0
    cancelled_by: str = ""
    closed_at: int = 0
    closed_courier: str = ""
    returned: bool = False
    lost: bool = False
    eta: int = 0
    eta_at: int = 0
    score: int = -1
    scored_at: int = 0
    nps: int = -1
    nps_at: int = 0
    responded: bool = False
    reasons: list[str] = []
    reasons_at: int = 0
    last_event_at: int = 0
    holders: list[tuple[int, str]] = []
    costs: dict[str, f.CostRecorded] = {}

    def holder_at(self, moment: int) -> str:
        """The courier who had the order at ``moment``; "" where nobody had."""
        courier = ""
        for since, holder in self.holders:
            if since > moment:
                break
            courier = holder
        return courier

    @property
    def cancelled(self) -> bool:
        """Called off, and not delivered before that."""
        return self.cancelled_at > 0 and self.delivered_at == 0

    def due_by(self, deadline: int) -> bool:
        """Whether it is due at ``deadline``: not where customer or merchant cancelled it at or before that."""
        return not (self.cancelled and self.cancelled_by != "carrier" and self.cancelled_at <= deadline)

    @property
    def state(self) -> str:
        """Where the order stands, in a word."""
        if self.placed is None:
            return "unplaced" if self.last_event_at else "unknown"
        for reached, word in (
            (self.delivered_at, "delivered"),
            (self.cancelled_at, "cancelled"),
            (self.closed_at and self.lost, "lost"),
            (self.closed_at, "returned"),
            (self.first_failed_at, "failed"),
            (self.first_arrived_at, "arrived"),
            (self.out_at, "out"),
            (self.holders and self.holders[-1][1], "assigned"),
            (self.ready_at, "ready"),
        ):
            if reached:
                return word
        return "placed"


class _Reading(Struct, gc=False):
    """An order while its facts are being read, in order of time."""

    order: Order
    deliveries: list[f.Delivered] = []
    ends: list[f.Returned | f.Lost] = []
    changes: list[f.PromiseChanged] = []
    arrivals: list[f.Arrived] = []
    cancellation: f.Cancelled | None = None


def fold(known: list[f.AnyFact]) -> Order:
    """The state of the order that has exactly the facts ``known``, in whatever order they stand."""
    order = Order()
    reading = _Reading(order)
    for fact in f.standing(known):
        read = _READERS.get(type(fact))
        if read is not None:
            read(reading, fact)
            order.last_event_at = fact.time
    placed = order.placed
    if placed is not None:
        _conclude(reading, placed, outcome(placed.parcels, reading.deliveries, reading.ends))
    if reading.arrivals:
        _at_the_door(order, reading.arrivals)
    return order


def _placed(reading: _Reading, fact: f.Placed) -> None:
    if reading.order.placed is None:
        reading.order.placed = fact


def _promise_changed(reading: _Reading, fact: f.PromiseChanged) -> None:
    reading.changes.append(fact)


def _cancelled(reading: _Reading, fact: f.Cancelled) -> None:
    order = reading.order
    if not order.cancelled_at:
        order.cancelled_at, order.cancelled_by = fact.time, fact.requested_by
        reading.cancellation = fact


def _ready(reading: _Reading, fact: f.Ready) -> None:
    order = reading.order
    order.ready_at = order.ready_at or fact.time


def _assigned(reading: _Reading, fact: f.Assigned) -> None:
    order = reading.order
    if not order.assigned_at:
        order.assigned_at, order.assigned_courier = fact.time, fact.courier_id
    order.holders.append((fact.time, fact.courier_id))


def _unassigned(reading: _Reading, fact: f.Unassigned) -> None:
    reading.order.holders.append((fact.time, ""))


def _departed(reading: _Reading, fact: f.Departed) -> None:
    _out(reading.order, fact.time)


def _picked_up(reading: _Reading, fact: f.PickedUp) -> None:
    order = reading.order
    if not order.out_at:
        order.out_courier = fact.courier_id
    _out(order, fact.time)
    _held(order, fact.time, fact.courier_id)


def _eta_updated(reading: _Reading, fact: f.EtaUpdated) -> None:
    reading.order.eta, reading.order.eta_at = fact.eta, fact.time


def _arrived(reading: _Reading, fact: f.Arrived) -> None:
    reading.arrivals.append(fact)
    _held(reading.order, fact.time, fact.courier_id)


def _attempt_failed(reading: _Reading, fact: f.AttemptFailed) -> None:
    order = reading.order
    order.last_failed_at, order.out_again_at = fact.time, 0
    order.failures[fact.identity] = fact
    if fact.reason_code in DOOR_REASONS:
        order.failed_attempts += 1
        order.first_failed_at = order.first_failed_at or fact.time
        _attempted(order, fact, delivered=False)
    else:
        order.never_reached = True
        _tried(order, fact)
    _held(order, fact.time, fact.courier_id)


def _delivered(reading: _Reading, fact: f.Delivered) -> None:
    reading.deliveries.append(fact)
    _attempted(reading.order, fact, delivered=True)
    _held(reading.order, fact.time, fact.courier_id)


def _returned(reading: _Reading, fact: f.Returned) -> None:
    reading.order.on_road = False
    if fact.disposition != "back_to_hub":
        reading.order.returned = True
    if fact.disposition == "to_sender":
        reading.ends.append(fact)


def _lost(reading: _Reading, fact: f.Lost) -> None:
    reading.order.lost = True
    reading.ends.append(fact)


def _feedback_requested(_reading: _Reading, _fact: f.FeedbackRequested) -> None:
    """Heard of, no more: the response counts."""


def _feedback_submitted(reading: _Reading, fact: f.FeedbackSubmitted) -> None:
    order = reading.order
    order.responded = True
    if fact.score >= 0:
        order.score, order.scored_at = fact.score, fact.time
    if fact.nps >= 0:
        order.nps, order.nps_at = fact.nps, fact.time
    if fact.reasons:
        order.reasons, order.reasons_at = fact.reasons, fact.time


def _cost_recorded(reading: _Reading, fact: f.CostRecorded) -> None:
    reading.order.costs[fact.cost_id] = fact


_READERS: dict[type[f.AnyFact], Callable[[_Reading, Any], None]] = {
    f.Placed: _placed,
    f.PromiseChanged: _promise_changed,
    f.Cancelled: _cancelled,
    f.Ready: _ready,
    f.Assigned: _assigned,
    f.Unassigned: _unassigned,
    f.Departed: _departed,
    f.PickedUp: _picked_up,
    f.EtaUpdated: _eta_updated,
    f.Arrived: _arrived,
    f.AttemptFailed: _attempt_failed,
    f.Delivered: _delivered,
    f.Returned: _returned,
    f.Lost: _lost,
    f.FeedbackRequested: _feedback_requested,
    f.FeedbackSubmitted: _feedback_submitted,
    f.CostRecorded: _cost_recorded,
}
"""What each fact does to the order; a retraction does its work before (``facts.standing``)."""


def _out(order: Order, moment: int) -> None:
    order.out_at = order.out_at or moment
    order.on_road = True
    if order.last_failed_at:
        order.out_again_at = order.out_again_at or moment


def _held(order: Order, since: int, courier_id: str) -> None:
    if courier_id:
        order.holders.append((since, courier_id))


def _attempted(order: Order, fact: f.Delivered | f.AttemptFailed, *, delivered: bool) -> None:
    if not order.first_attempt_at:
        order.first_attempt_at = fact.time
        order.first_attempt_courier = fact.courier_id
        order.first_attempt_delivered = delivered
    _tried(order, fact)


def _tried(order: Order, fact: f.Delivered | f.AttemptFailed) -> None:
    if not order.first_tried_at:
        order.first_tried_at = fact.time
        order.first_tried_courier = fact.courier_id


def _conclude(reading: _Reading, placed: f.Placed, end: Outcome) -> None:
    """Delivered, cancelled, closed, and the promises, which all hang on the delivery."""
    order = reading.order
    if end.last is not None and not (0 < order.cancelled_at < end.last.time):
        order.delivered_at = end.last.time
        order.delivered_courier = end.last.courier_id
        order.in_full = in_full(placed.lines, end.counted)
    closing: f.Delivered | f.Returned | f.Lost | f.Cancelled | None = end.ended
    cancellation = reading.cancellation
    if (
        cancellation is not None
        and order.cancelled
        and (closing is None or f.place_in_time(cancellation) < f.place_in_time(closing))
    ):
        closing = cancellation
    if closing is not None:
        order.closed_at = closing.time
        order.closed_courier = closing.courier_id if isinstance(closing, f.Delivered) else ""
    original = Promise(placed.promised_from, placed.promised_until)
    order.promises = resolve(original, reading.changes, order.delivered_at)


def _at_the_door(order: Order, arrivals: list[f.Arrived]) -> None:
    first, last = arrivals[0], arrivals[-1]
    order.first_arrived_at, order.first_arrived_courier = first.time, first.courier_id
    order.last_arrived_at, order.last_arrived_courier = last.time, last.courier_id
    if order.delivered_at:
        order.door_at = max((fact.time for fact in arrivals if fact.time <= order.delivered_at), default=0)
