"""A decoded event, and how bytes become one: strict, typed, with every fault named by a JSON pointer."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
from msgspec import Meta, Raw, Struct

from milepost.contracts.catalogue import EVENT_TYPES, RESERVED_OWNERS, EventType
from milepost.contracts.fields import AMOUNT_LIMIT, EventBody, Identifier, Moment

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EARLIEST_TIME = datetime(2000, 1, 1, tzinfo=UTC)
LATEST_SKEW = timedelta(minutes=10)
LONGEST_PROMISE = timedelta(days=5 * 365 + 2)
MICROSECOND = timedelta(microseconds=1)


class Fault(NamedTuple):
    """What is wrong with an event: where (a JSON pointer into it) and what to do."""

    pointer: str
    detail: str


class InvalidEventError(ValueError):
    """The event breaks the contract: refuse it at the edge, dead-letter it behind.

    ``reason`` is one of ``not_json``, ``invalid``, ``unknown_type``.
    """

    def __init__(self, reason: str, faults: list[Fault]) -> None:
        super().__init__("; ".join(f"{fault.pointer or '/'}: {fault.detail}" for fault in faults))
        self.reason = reason
        self.faults = faults


class Envelope(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A CloudEvent 1.0 as it stands on the topic; ``data`` still undecoded."""

    specversion: Literal["1.0"]
    id: Annotated[str, Meta(min_length=1, max_length=256)]
    source: Annotated[str, Meta(min_length=1, max_length=256)]
    type: str
    time: Moment
    subject: Identifier
    data: Raw
    datacontenttype: str = "application/json"
    recordedtime: Moment | None = None
    testmode: bool = False


class Event(Struct, frozen=True):
    """An event that keeps the contract; all its moments are in UTC."""

    type: EventType
    source: str
    id: str
    time: datetime
    subject: str
    body: EventBody
    recorded: datetime | None = None
    testmode: bool = False


def micros(moment: datetime) -> int:
    """Microseconds of ``moment`` since 1970-01-01 UTC, exactly."""
    return (moment - EPOCH) // MICROSECOND


def pointer_of(message: str) -> Fault:
    """A decoding error of msgspec (``… - at `$.lines[0].sku```) as a fault."""
    detail, _, path = message.partition(" - at `$")
    path = path.rstrip("`")
    pointer = path.replace("[...]", "").replace("[", "/").replace("]", "").replace(".", "/")
    return Fault(pointer, detail)


_decode_envelope = msgspec.json.Decoder(Envelope).decode
_decode_body = {name: msgspec.json.Decoder(kind.body).decode for name, kind in EVENT_TYPES.items()}
_MOMENT_FIELDS = {
    kind.name: tuple(
        name
        for name in ("promised_from", "promised_until", "planned_arrival", "eta", "earliest", "latest")
        if name in kind.body.__struct_fields__
    )
    for kind in EVENT_TYPES.values()
}
_MONEY_FIELDS = {
    kind.name: tuple(name for name in ("delivery_fee", "goods_value") if name in kind.body.__struct_fields__)
    for kind in EVENT_TYPES.values()
}


def unknown_type(name: object) -> Fault:
    """The fault of a ``type`` that is not in the catalogue, with the nearest hint."""
    text = str(name)[:128]
    owner = text.split(".")[1] if text.startswith("milepost.") and text.count(".") >= 2 else ""
    if owner in RESERVED_OWNERS:
        return Fault("/type", f"the owner {owner!r} is reserved, nothing takes {text!r} yet")
    return Fault("/type", f"unknown event type {text!r}; the types are listed in docs/events.md")


def decode(value: bytes, currency: str, taken: datetime) -> Event:
    """The event in ``value``, a structured CloudEvent in JSON.

    ``currency`` is the reporting currency; ``taken`` the moment the event was taken (the edge's clock, on the topic
    the record's append time). Raises ``InvalidEventError`` with at least one fault.
    """
    try:
        envelope = _decode_envelope(value)
    except msgspec.ValidationError as error:
        raise InvalidEventError("invalid", [pointer_of(str(error))]) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidEventError("not_json", [Fault("", f"not JSON: {error}")]) from None
    kind = EVENT_TYPES.get(envelope.type)
    if kind is None:
        raise InvalidEventError("unknown_type", [unknown_type(envelope.type)])
    try:
        body = _decode_body[kind.name](envelope.data)
    except msgspec.ValidationError as error:
        fault = pointer_of(str(error))
        raise InvalidEventError("invalid", [Fault("/data" + fault.pointer, fault.detail)]) from None
    event = normal(kind, envelope, body)
    faults = rule_faults(event, currency, taken)
    if faults:
        raise InvalidEventError("invalid", faults)
    return event


def normal(kind: EventType, envelope: Envelope, body: EventBody) -> Event:
    """The event with every moment in UTC, so that equal moments written with other offsets are equal."""
    changes = {
        name: moment.astimezone(UTC)
        for name in _MOMENT_FIELDS[kind.name]
        if (moment := getattr(body, name)) is not None and moment.tzinfo is not UTC
    }
    if changes:
        body = msgspec.structs.replace(body, **changes)
    time = envelope.time
    recorded = envelope.recordedtime
    return Event(
        kind,
        envelope.source,
        envelope.id,
        time if time.tzinfo is UTC else time.astimezone(UTC),
        envelope.subject,
        body,
        recorded if recorded is None or recorded.tzinfo is UTC else recorded.astimezone(UTC),
        envelope.testmode,
    )


def rule_faults(event: Event, currency: str, taken: datetime) -> list[Fault]:
    """Every rule of the contract that spans fields and that the event breaks; empty for a good event."""
    faults: list[Fault] = []
    kind, body = event.type, event.body
    faults += envelope_faults(event.time, taken)
    subject = expected_subject(kind, {name: getattr(body, name) for name in kind.subjects})
    if subject is not None and subject != event.subject:
        faults.append(Fault("/subject", f"must be the {subject_field(kind, body)} of data, {subject!r}"))
    for rule in _RULES.get(kind.name, ()):
        faults += rule(event, currency)
    return faults


def envelope_faults(time: datetime, taken: datetime) -> list[Fault]:
    """Whether ``time`` lies in the span the contract allows for an event taken at ``taken``."""
    if time < EARLIEST_TIME:
        return [Fault("/time", "lies before 2000-01-01; send when it happened")]
    if time > taken + LATEST_SKEW:
        return [
            Fault("/time", f"lies more than 10 minutes after {taken.isoformat(timespec='seconds')}, when it was taken")
        ]
    return []


def expected_subject(kind: EventType, ids: dict[str, Any]) -> str | None:
    """What ``subject`` must be, from the ids in ``data``; None where any will do (a retraction)."""
    return next((value for name in kind.subjects if (value := ids.get(name)) is not None), None)


def subject_field(kind: EventType, body: EventBody) -> str:
    """The name of the field of ``data`` that is the subject."""
    return next(name for name in kind.subjects if getattr(body, name) is not None)


def _promise_faults(event: Event, _currency: str) -> list[Fault]:
    body: Any = event.body
    faults = []
    if body.promised_until > event.time + LONGEST_PROMISE:
        faults.append(Fault("/data/promised_until", "lies more than 5 years after time"))
    if body.promised_until < EARLIEST_TIME:
        faults.append(Fault("/data/promised_until", "lies before 2000-01-01"))
    if body.promised_from is not None and body.promised_from > body.promised_until:
        faults.append(Fault("/data/promised_until", "lies before promised_from"))
    return faults


def _promise_changed_faults(event: Event, _currency: str) -> list[Fault]:
    body: Any = event.body
    if body.promised_until < event.time:
        return [Fault("/data/promised_until", "lies before time; a promise cannot be changed to one already past")]
    return []


def _parcel_faults(event: Event, _currency: str) -> list[Fault]:
    body: Any = event.body
    seen: set[str] = set()
    faults = []
    for index, parcel in enumerate(body.parcels or ()):
        if parcel.parcel_id in seen:
            faults.append(Fault(f"/data/parcels/{index}/parcel_id", f"{parcel.parcel_id!r} is declared twice"))
        seen.add(parcel.parcel_id)
    return faults


def amount_faults(amount: Decimal, pointer: str) -> list[Fault]:
    """Whether an amount is finite, within bounds and has at most 4 decimals."""
    if not amount.is_finite() or abs(amount) > AMOUNT_LIMIT:
        return [Fault(pointer, "must be a decimal between ±1,000,000,000")]
    if amount != round(amount, 4):
        return [Fault(pointer, "has more than 4 decimals")]
    return []


def _currency_faults(found: str, currency: str, pointer: str) -> list[Fault]:
    if found != currency:
        return [Fault(pointer, f"is {found}, but the reporting currency is {currency}; convert before sending")]
    return []


def _money_faults(event: Event, currency: str) -> list[Fault]:
    faults = []
    for name in _MONEY_FIELDS[event.type.name]:
        money = getattr(event.body, name)
        if money is not None:
            faults += amount_faults(money.amount, f"/data/{name}/amount")
            faults += _currency_faults(money.currency, currency, f"/data/{name}/currency")
    return faults


def _cost_faults(event: Event, currency: str) -> list[Fault]:
    body: Any = event.body
    return amount_faults(body.amount, "/data/amount") + _currency_faults(body.currency, currency, "/data/currency")


def _feedback_faults(event: Event, _currency: str) -> list[Fault]:
    body: Any = event.body
    if body.score is None and body.nps is None:
        return [Fault("/data", "needs score or nps, at least one of the two")]
    return []


_RULES = {
    "milepost.order.placed.v1": (_promise_faults, _parcel_faults, _money_faults),
    "milepost.order.promise_changed.v1": (_promise_faults, _promise_changed_faults),
    "milepost.feedback.submitted.v1": (_feedback_faults,),
    "milepost.cost.recorded.v1": (_cost_faults,),
}
