"""Events the deliveries service owns: from the pick-up to the door, and what went wrong."""

from typing import Annotated, Literal

from msgspec import Meta

from milepost.contracts.fields import (
    DeliveredLine,
    EventBody,
    Identifier,
    Moment,
    ParcelIds,
    Position,
    Proof,
    Text,
)
from milepost.contracts.reasons import DoorReason, NeverReachedReason


class PickedUp(EventBody, frozen=True, kw_only=True):
    """The courier has it."""

    order_id: Identifier
    courier_id: Identifier | None = None
    parcel_ids: ParcelIds | None = None


class EtaUpdated(EventBody, frozen=True, kw_only=True):
    """The courier's expected arrival."""

    order_id: Identifier
    eta: Moment
    earliest: Moment | None = None
    latest: Moment | None = None


class Arrived(EventBody, frozen=True, kw_only=True):
    """The courier is at the door."""

    order_id: Identifier
    courier_id: Identifier | None = None
    position: Position | None = None
    parcel_ids: ParcelIds | None = None


class AttemptFailed(EventBody, frozen=True, kw_only=True):
    """It was not handed over, and why."""

    order_id: Identifier
    reason_code: DoorReason | NeverReachedReason
    courier_id: Identifier | None = None
    note: Text | None = None
    parcel_ids: ParcelIds | None = None


class Delivered(EventBody, frozen=True, kw_only=True):
    """It was handed over; without ``lines`` nobody knows whether it was in full."""

    order_id: Identifier
    lines: Annotated[list[DeliveredLine], Meta(max_length=1000)] | None = None
    courier_id: Identifier | None = None
    proof: Proof | None = None
    parcel_ids: ParcelIds | None = None


class Returned(EventBody, frozen=True, kw_only=True):
    """It came back: to be tried again, to its sender, or after delivery."""

    order_id: Identifier
    disposition: Literal["back_to_hub", "to_sender", "after_delivery"]
    reason_code: DoorReason | NeverReachedReason | None = None
    parcel_ids: ParcelIds | None = None


class Lost(EventBody, frozen=True, kw_only=True):
    """It will not come."""

    order_id: Identifier
    reason_code: DoorReason | NeverReachedReason | None = None
    parcel_ids: ParcelIds | None = None
