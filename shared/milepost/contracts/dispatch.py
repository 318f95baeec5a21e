"""Events the dispatch service owns: ready, assigned, unassigned, departed."""

from typing import Annotated

from msgspec import Meta

from milepost.contracts.fields import EventBody, Identifier, Moment, ParcelIds, Text


class Ready(EventBody, frozen=True, kw_only=True):
    """Picked, packed, waiting for a courier."""

    order_id: Identifier
    parcel_ids: ParcelIds | None = None


class Assigned(EventBody, frozen=True, kw_only=True):
    """A courier was given the order."""

    order_id: Identifier
    courier_id: Identifier
    vehicle_id: Identifier | None = None
    route_id: Identifier | None = None
    stop_sequence: Annotated[int, Meta(ge=0, le=1_000_000)] | None = None
    planned_arrival: Moment | None = None


class Unassigned(EventBody, frozen=True, kw_only=True):
    """The order was taken from its courier."""

    order_id: Identifier
    reason: Text | None = None


class Departed(EventBody, frozen=True, kw_only=True):
    """It left the hub."""

    order_id: Identifier
    route_id: Identifier | None = None
    parcel_ids: ParcelIds | None = None
