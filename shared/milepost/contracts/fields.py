"""Types of the fields events are made of, with the limits the contract sets on them."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

IDENTIFIER_PATTERN = r"^[A-Za-z0-9._:\-]{1,128}(?!\n)$"
"""Python's ``$`` also matches before a last newline; the look-ahead closes that gap."""

Identifier = Annotated[
    str, Meta(pattern=IDENTIFIER_PATTERN, description="1 to 128 characters of `A-Z a-z 0-9 . _ : -`.")
]
Moment = Annotated[datetime, Meta(tz=True, description="RFC 3339 with an offset.")]
EventId = Annotated[
    str,
    Meta(
        pattern=r"^[^\x00-\x1f\x7f]{1,256}(?!\n)$",
        description="1 to 256 characters, no control characters; with `source` the event's identity.",
    ),
]
Source = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]{1,256}(?!\n)$",
        description="A URI-reference of 1 to 256 characters: who sends it.",
    ),
]
JsonMediaType = Annotated[
    str, Meta(pattern=r"^application/([A-Za-z0-9.+\-]+\+)?json *(;.*)?$", description="A JSON media type.")
]
Text = Annotated[str, Meta(max_length=4000)]
ShortText = Annotated[str, Meta(min_length=1, max_length=128)]
Amount = Annotated[
    Decimal,
    Meta(description="A decimal string or number with at most 4 decimals, between ±1,000,000,000."),
]
Currency = Annotated[str, Meta(pattern=r"^[A-Z]{3}(?!\n)$", description="An ISO 4217 code; the reporting currency.")]
OrderedQuantity = Annotated[int, Meta(ge=1, le=1_000_000_000)]
DeliveredQuantity = Annotated[int, Meta(ge=0, le=1_000_000_000)]
ParcelIds = Annotated[
    list[Identifier],
    Meta(min_length=1, max_length=1000, description="Only these parcels; without, all of the order's."),
]
Extension = Annotated[dict[str, Any], Meta(description="The sender's own fields: kept, never read.")]

Party = Literal["customer", "merchant", "carrier"]

AMOUNT_SCALE = 10_000
"""Money is counted in ten-thousandths of the reporting currency."""
AMOUNT_LIMIT = Decimal(1_000_000_000)


class Fields(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Base of everything nested in an event: unknown fields are dropped, absent optional ones stay absent."""


class Position(Fields, frozen=True, kw_only=True):
    """A place: WGS 84 degrees."""

    lat: Annotated[float, Meta(ge=-90, le=90)]
    lon: Annotated[float, Meta(ge=-180, le=180)]


class Money(Fields, frozen=True, kw_only=True):
    """An amount in the reporting currency."""

    amount: Amount
    currency: Currency


class OrderLine(Fields, frozen=True, kw_only=True):
    """What was ordered."""

    sku: ShortText
    quantity: OrderedQuantity


class DeliveredLine(Fields, frozen=True, kw_only=True):
    """What was handed over."""

    sku: ShortText
    quantity: DeliveredQuantity
    damaged: bool = False


class Parcel(Fields, frozen=True, kw_only=True):
    """One of the parcels an order travels in."""

    parcel_id: Identifier


class Proof(Fields, frozen=True, kw_only=True):
    """Proof of delivery: its kind and where it is kept."""

    kind: Literal["photo", "signature", "code", "scan"]
    ref: Annotated[str, Meta(min_length=1, max_length=512)]


class EventReference(Fields, frozen=True, kw_only=True):
    """The identity of an event of the same subject."""

    source: Source
    id: EventId


class EventBody(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Base of every event's ``data``."""

    ext: Extension | None = None
