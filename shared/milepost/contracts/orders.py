"""Events the orders service owns: placed, promise changed, cancelled."""

from typing import Annotated

from msgspec import Meta

from milepost.contracts.fields import (
    EventBody,
    Identifier,
    Moment,
    Money,
    OrderLine,
    Parcel,
    Party,
    Position,
    ShortText,
    Text,
)


class Placed(EventBody, frozen=True, kw_only=True):
    """A customer's order with the promise made for it."""

    order_id: Identifier
    hub_id: Identifier
    promised_until: Moment
    lines: Annotated[list[OrderLine], Meta(min_length=1, max_length=1000)]
    promised_from: Moment | None = None
    zone_id: Identifier | None = None
    merchant_id: Identifier | None = None
    merchant_order_ref: ShortText | None = None
    service_level: Identifier | None = None
    parcels: Annotated[list[Parcel], Meta(min_length=1, max_length=1000)] | None = None
    delivery_fee: Money | None = None
    goods_value: Money | None = None
    dropoff: Position | None = None
    customer_ref: Annotated[str, Meta(min_length=1, max_length=256)] | None = None


class PromiseChanged(EventBody, frozen=True, kw_only=True):
    """A new promise, and who asked for it."""

    order_id: Identifier
    promised_until: Moment
    requested_by: Party
    promised_from: Moment | None = None
    reason: Text | None = None


class Cancelled(EventBody, frozen=True, kw_only=True):
    """The order is called off."""

    order_id: Identifier
    requested_by: Party
    reason: Text | None = None
