"""What happens to an order, as the city itself records it; moments are microseconds since 1970 in UTC.

Events are made from these facts (:mod:`milepost.simulator.wire`), and so is the truth
(:mod:`milepost.simulator.truth`): neither is made from the other.
"""

from typing import TypeVar, get_args

import msgspec

from milepost.contracts.reasons import DoorReason, NeverReachedReason

DOOR_CODES: tuple[str, ...] = get_args(DoorReason)
"""Reasons of an attempt that reached the door."""

NEVER_REACHED_CODES: tuple[str, ...] = get_args(NeverReachedReason)
"""Reasons of a stop that was never reached."""


class Fact(msgspec.Struct, kw_only=True):
    """Something that happened ``at`` a moment; ``skew`` is how far the reporting device's clock was ahead."""

    at: int
    skew: int = 0


class Placed(Fact):
    """An order was placed; no ``parcels`` means one undeclared parcel. ``fee`` is in ten-thousandths."""

    hub_id: str
    promised_until: int
    lines: tuple[tuple[str, int], ...]
    promised_from: int | None = None
    zone_id: str | None = None
    merchant_id: str | None = None
    service_level: str | None = None
    parcels: tuple[str, ...] = ()
    fee: int | None = None


class PromiseChanged(Fact):
    """Somebody asked for, or announced, another window."""

    promised_until: int
    requested_by: str
    promised_from: int | None = None
    reason: str | None = None


class Cancelled(Fact):
    """Somebody cancelled the order."""

    requested_by: str
    reason: str | None = None


class Ready(Fact):
    """Picked and packed; ``numbered``: reported by a warehouse that counts its reports anew for each order."""

    parcels: tuple[str, ...] = ()
    numbered: bool = False


class Assigned(Fact):
    """Given to a courier."""

    courier_id: str
    vehicle_id: str | None = None
    route_id: str | None = None
    stop: int | None = None
    planned: int | None = None


class Unassigned(Fact):
    """Taken from its courier."""

    reason: str | None = None


class Departed(Fact):
    """Left the hub."""

    route_id: str
    parcels: tuple[str, ...] = ()


class PickedUp(Fact):
    """Taken over by a courier."""

    courier_id: str | None = None
    parcels: tuple[str, ...] = ()


class EtaUpdated(Fact):
    """A new estimate."""

    eta: int
    earliest: int | None = None
    latest: int | None = None


class Arrived(Fact):
    """At the door."""

    courier_id: str | None = None
    parcels: tuple[str, ...] = ()


class AttemptFailed(Fact):
    """The visit failed, at the door or before it."""

    reason_code: str
    courier_id: str | None = None
    parcels: tuple[str, ...] = ()


class Delivered(Fact):
    """Parcels were handed over; ``lines`` (sku, quantity, damaged) is None where nobody wrote them down."""

    lines: tuple[tuple[str, int, bool], ...] | None = None
    courier_id: str | None = None
    parcels: tuple[str, ...] = ()


class Returned(Fact):
    """Parcels went back."""

    disposition: str
    reason_code: str | None = None
    parcels: tuple[str, ...] = ()


class Lost(Fact):
    """Parcels are gone."""

    reason_code: str | None = None
    parcels: tuple[str, ...] = ()


class FeedbackRequested(Fact):
    """The customer was asked."""

    channel: str | None = None


class Response(Fact):
    """The customer answered: ``score`` 1 to 5, ``nps`` 0 to 10, and perhaps why."""

    score: int | None = None
    nps: int | None = None
    reasons: tuple[str, ...] = ()


class Cost(Fact):
    """Money spent (or, below 0, given back), in ten-thousandths of the currency."""

    cost_id: str
    hub_id: str
    component: str
    amount: int
    activity: str | None = None
    order_id: str | None = None
    route_id: str | None = None
    courier_id: str | None = None

    @property
    def subject(self) -> str:
        """Whom it is charged to: the order, else the route, else the courier, else the hub."""
        return self.order_id or self.route_id or self.courier_id or self.hub_id


F = TypeVar("F", bound=Fact)


class Life:
    """One order's record: everything that truly happened to it, each fact once."""

    __slots__ = ("facts", "order_id")

    def __init__(self, order_id: str, facts: list[Fact] | None = None) -> None:
        """Open the record of ``order_id``, with ``facts`` in any order."""
        self.order_id = order_id
        self.facts: dict[type[Fact], list[Fact]] = {}
        for fact in facts or ():
            self.record(fact)

    def record(self, fact: Fact) -> None:
        """Add a fact."""
        self.facts.setdefault(type(fact), []).append(fact)

    def of(self, kind: type[F]) -> list[F]:
        """The facts of one kind, by time."""
        found = self.facts.get(kind)
        return sorted(found, key=_moment) if found else []  # type: ignore[arg-type]


def _moment(fact: Fact) -> int:
    return fact.at
