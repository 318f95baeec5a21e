"""Facts: what of an event the numbers follow from, compact enough to keep for the life of an order.

The state of an order is the set of its facts. Each carries its place in the log (``offset``), so that the state at
any earlier point of the log is the facts below it. All moments are microseconds since 1970-01-01 UTC; 0 is unknown.
"""

from collections.abc import Callable
from operator import attrgetter
from typing import Any

import msgspec
from msgspec import Struct

from milepost.contracts import catalogue
from milepost.contracts.event import Event, micros
from milepost.contracts.fields import AMOUNT_SCALE

MOST_REASONS = 10
"""Reasons of one answer that are counted: each is a row in the minute."""


class Fact(Struct, array_like=True, gc=False):
    """One event: its place in the log, when it happened, its identity, and a digest of all it says."""

    offset: int
    time: int
    source: str
    id: str
    digest: int

    @property
    def identity(self) -> tuple[str, str]:
        """What makes two copies the same event, within a subject."""
        return self.source, self.id


class Placed(Fact, tag=1, gc=False):
    """The order, its first promise, and its delivery fee, in ten-thousandths of the currency; None where not named."""

    hub_id: str
    zone_id: str
    service_level: str
    merchant_id: str
    merchant_order_ref: str
    promised_from: int
    promised_until: int
    lines: list[tuple[str, int]]
    parcels: list[str]
    # What earlier releases did not keep, an order's row does not have until it is folded from the log again.
    fee: int | None = None


class PromiseChanged(Fact, tag=2, gc=False):
    """Another promise."""

    promised_from: int
    promised_until: int
    requested_by: str


class Cancelled(Fact, tag=3, gc=False):
    """Called off, by whom."""

    requested_by: str


class Ready(Fact, tag=4, gc=False):
    """Waiting for a courier."""


class Assigned(Fact, tag=5, gc=False):
    """Given to a courier."""

    courier_id: str


class Unassigned(Fact, tag=6, gc=False):
    """Taken from its courier."""


class Departed(Fact, tag=7, gc=False):
    """Left the hub."""


class PickedUp(Fact, tag=8, gc=False):
    """In the courier's hands."""

    courier_id: str


class EtaUpdated(Fact, tag=9, gc=False):
    """The expected arrival."""

    eta: int


class Arrived(Fact, tag=10, gc=False):
    """At the door."""

    courier_id: str


class AttemptFailed(Fact, tag=11, gc=False):
    """Not handed over."""

    courier_id: str
    reason_code: str


class Delivered(Fact, tag=12, gc=False):
    """Handed over: ``lines`` None where unknown, ``parcels`` None for all."""

    courier_id: str
    lines: list[tuple[str, int, bool]] | None
    parcels: list[str] | None


class Returned(Fact, tag=13, gc=False):
    """Came back."""

    disposition: str
    parcels: list[str] | None


class Lost(Fact, tag=14, gc=False):
    """Will not come."""

    parcels: list[str] | None


class FeedbackRequested(Fact, tag=15, gc=False):
    """Survey sent."""


class FeedbackSubmitted(Fact, tag=16, gc=False):
    """Survey answered; −1 where not. ``reasons`` are the first ``MOST_REASONS`` it names, each once."""

    score: int
    nps: int
    reasons: list[str] = []


class CostRecorded(Fact, tag=17, gc=False):
    """A cost; ``amount`` in ten-thousandths of the currency."""

    cost_id: str
    hub_id: str
    courier_id: str
    component: str
    activity: str
    amount: int


class Retracted(Fact, tag=18, gc=False):
    """The event ``target`` (source, id) counts as never sent."""

    target: tuple[str, str]


AnyFact = (
    Placed
    | PromiseChanged
    | Cancelled
    | Ready
    | Assigned
    | Unassigned
    | Departed
    | PickedUp
    | EtaUpdated
    | Arrived
    | AttemptFailed
    | Delivered
    | Returned
    | Lost
    | FeedbackRequested
    | FeedbackSubmitted
    | CostRecorded
    | Retracted
)

encode: Callable[[list[AnyFact]], bytes] = msgspec.msgpack.Encoder().encode
"""Facts as bytes, as they stand in the ``facts`` column."""

decode: Callable[[bytes], list[AnyFact]] = msgspec.msgpack.Decoder(list[AnyFact]).decode
"""Facts from their bytes."""


def _optional(moment: Any) -> int:
    return 0 if moment is None else micros(moment)


def _placed(body: Any) -> tuple[Any, ...]:
    return (
        body.hub_id,
        body.zone_id or "",
        body.service_level or "",
        body.merchant_id or "",
        body.merchant_order_ref or "",
        _optional(body.promised_from),
        micros(body.promised_until),
        [(line.sku, line.quantity) for line in body.lines],
        [parcel.parcel_id for parcel in body.parcels or ()],
        None if body.delivery_fee is None else int(body.delivery_fee.amount * AMOUNT_SCALE),
    )


def _delivered(body: Any) -> tuple[Any, ...]:
    lines = None if body.lines is None else [(line.sku, line.quantity, line.damaged) for line in body.lines]
    return body.courier_id or "", lines, body.parcel_ids


def _cost(body: Any) -> tuple[Any, ...]:
    return (
        body.cost_id,
        body.hub_id,
        body.courier_id or "",
        body.component,
        body.activity,
        int(body.amount * AMOUNT_SCALE),
    )


def _nothing(_body: Any) -> tuple[Any, ...]:
    return ()


def _courier(body: Any) -> tuple[Any, ...]:
    return (body.courier_id or "",)


_MAKERS: dict[str, tuple[type[Any], Callable[[Any], tuple[Any, ...]]]] = {
    catalogue.PLACED.name: (Placed, _placed),
    catalogue.PROMISE_CHANGED.name: (
        PromiseChanged,
        lambda body: (_optional(body.promised_from), micros(body.promised_until), body.requested_by),
    ),
    catalogue.CANCELLED.name: (Cancelled, lambda body: (body.requested_by,)),
    catalogue.READY.name: (Ready, _nothing),
    catalogue.ASSIGNED.name: (Assigned, _courier),
    catalogue.UNASSIGNED.name: (Unassigned, _nothing),
    catalogue.DEPARTED.name: (Departed, _nothing),
    catalogue.PICKED_UP.name: (PickedUp, _courier),
    catalogue.ETA_UPDATED.name: (EtaUpdated, lambda body: (micros(body.eta),)),
    catalogue.ARRIVED.name: (Arrived, _courier),
    catalogue.ATTEMPT_FAILED.name: (AttemptFailed, lambda body: (body.courier_id or "", body.reason_code)),
    catalogue.DELIVERED.name: (Delivered, _delivered),
    catalogue.RETURNED.name: (Returned, lambda body: (body.disposition, body.parcel_ids)),
    catalogue.LOST.name: (Lost, lambda body: (body.parcel_ids,)),
    catalogue.FEEDBACK_REQUESTED.name: (FeedbackRequested, _nothing),
    catalogue.FEEDBACK_SUBMITTED.name: (
        FeedbackSubmitted,
        lambda body: (
            -1 if body.score is None else body.score,
            -1 if body.nps is None else body.nps,
            list(dict.fromkeys(body.reasons or ()))[:MOST_REASONS],
        ),
    ),
    catalogue.COST_RECORDED.name: (CostRecorded, _cost),
    catalogue.EVENT_RETRACTED.name: (Retracted, lambda body: ((body.retracts.source, body.retracts.id),)),
}


def fact_of(event: Event, offset: int, digest: int) -> AnyFact:
    """The fact in ``event``, which stands at ``offset`` of its partition's log."""
    return fact_in(event.type.name, event.body, (offset, micros(event.time), event.source, event.id, digest))


def fact_in(kind: str, body: Any, place: tuple[int, int, str, str, int]) -> AnyFact:
    """The fact in an event of type ``kind`` with ``body``; ``place`` is its offset, time, source, id and digest."""
    make, fields = _MAKERS[kind]
    fact: AnyFact = make(*place, *fields(body))
    return fact


def standing(facts: list[AnyFact]) -> list[AnyFact]:
    """The facts that count, without retracted ones, in order of (time, source, id).

    A retraction counts whether its target came before or after it, and cannot itself be retracted.
    """
    gone = {fact.target for fact in facts if type(fact) is Retracted}
    kept = facts if not gone else [f for f in facts if type(f) is Retracted or (f.source, f.id) not in gone]
    return sorted(kept, key=place_in_time)


place_in_time: Callable[[Fact], tuple[int, str, str]] = attrgetter("time", "source", "id")
"""Where a fact stands among others: by time, ties by source, then id."""
