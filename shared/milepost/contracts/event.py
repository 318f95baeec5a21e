"""A decoded event, and how bytes become one: strict, typed, with every fault named by a JSON pointer."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal, NamedTuple

import msgspec
from msgspec import Raw, Struct

from milepost.contracts.catalogue import EVENT_TYPES, RESERVED_OWNERS, EventType
from milepost.contracts.fields import AMOUNT_LIMIT, EventBody, EventId, Identifier, JsonMediaType, Moment, Source

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EARLIEST_TIME = datetime(2000, 1, 1, tzinfo=UTC)
LATEST_SKEW = timedelta(minutes=10)
LONGEST_PROMISE = timedelta(days=5 * 365 + 2)
EXT_DEPTH = 32
"""Deepest nesting of a sender's own fields; deeper ones could not be read back everywhere."""
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
    id: EventId
    source: Source
    type: str
    time: Moment
    subject: Identifier
    data: Raw
    datacontenttype: JsonMediaType = "application/json"
    recordedtime: Moment | None = None
    testmode: bool = False


class _PlainEnvelope(Struct, frozen=True):
    """An envelope read without its patterns, which cost as much as all else; see ``_read_envelope``."""

    specversion: str
    id: str
    source: str
    type: str
    time: datetime
    subject: str
    data: Raw
    datacontenttype: str = "application/json"
    recordedtime: datetime | None = None
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


class _Canonical(Struct, frozen=True, kw_only=True, omit_defaults=True):
    specversion: str
    id: str
    source: str
    type: str
    time: datetime
    subject: str
    datacontenttype: str
    data: EventBody
    recordedtime: datetime | None = None
    testmode: bool = False


def micros(moment: datetime) -> int:
    """Microseconds of ``moment`` since 1970-01-01 UTC, exactly."""
    return (moment - EPOCH) // MICROSECOND


def moment_of(micros: int) -> datetime:
    """The moment ``micros`` microseconds after 1970-01-01 UTC, exactly."""
    return EPOCH + micros * MICROSECOND


_MISSING = "Object missing required field "


def pointer_of(message: str) -> Fault:
    """A decoding error of msgspec (``… - at `$.lines[0].sku```) as a fault."""
    detail, _, path = message.partition(" - at `$")
    path = path.rstrip("`")
    pointer = path.replace("[...]", "").replace("[", "/").replace("]", "").replace(".", "/")
    if detail.startswith(_MISSING):
        return Fault(f"{pointer}/{detail.removeprefix(_MISSING).strip('`')}", "is required")
    return Fault(pointer, detail)


_encode = msgspec.json.Encoder().encode
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


_decode_plain = msgspec.json.Decoder(_PlainEnvelope).decode
_known_sources: set[str] = set()
_MOST_KNOWN_SOURCES = 10_000


def _read_envelope(value: bytes) -> Envelope | _PlainEnvelope:
    """The envelope, checked: a plain one from a source known to be good without patterns, any other with them.

    Its ``subject`` needs no pattern where it must equal an id in ``data`` that has one.
    """
    plain = _decode_plain(value)
    kind = EVENT_TYPES.get(plain.type)
    if (
        plain.source in _known_sources
        and kind is not None
        and kind.subjects
        and plain.specversion == "1.0"
        and plain.datacontenttype == "application/json"
        and plain.id.isprintable()
        and 0 < len(plain.id) <= 256
        and plain.time.tzinfo is not None
        and (plain.recordedtime is None or plain.recordedtime.tzinfo is not None)
    ):
        return plain
    envelope = _decode_envelope(value)
    if len(_known_sources) < _MOST_KNOWN_SOURCES:
        _known_sources.add(envelope.source)
    return envelope


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
    place = ""
    try:
        envelope = _read_envelope(value)
        kind = EVENT_TYPES.get(envelope.type)
        if kind is None:
            raise InvalidEventError("unknown_type", [unknown_type(envelope.type)])
        place = "/data"
        body = _decode_body[kind.name](envelope.data)
        event = normal(kind, envelope, body)
    except msgspec.ValidationError as error:
        fault = pointer_of(str(error))
        raise InvalidEventError("invalid", [Fault(place + fault.pointer, fault.detail)]) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidEventError("not_json", [Fault("", f"not JSON: {error}")]) from None
    except OverflowError:
        raise InvalidEventError("invalid", [Fault("", "holds a moment outside the years 1 to 9999 in UTC")]) from None
    faults = rule_faults(event, currency, taken)
    if faults:
        raise InvalidEventError("invalid", faults)
    return event


def encode(event: Event) -> bytes:
    """The canonical form of ``event``, as it stands on the topic: structured, known fields only, moments in UTC."""
    return _encode(
        _Canonical(
            specversion="1.0",
            id=event.id,
            source=event.source,
            type=event.type.name,
            time=event.time,
            subject=event.subject,
            datacontenttype="application/json",
            data=event.body,
            recordedtime=event.recorded,
            testmode=event.testmode,
        )
    )


def normal(kind: EventType, envelope: Envelope | _PlainEnvelope, body: EventBody) -> Event:
    """The event with every moment in UTC, so that equal moments written with other offsets are equal."""
    moments = _MOMENT_FIELDS[kind.name]
    if moments:
        changes = {
            name: moment.astimezone(UTC)
            for name in moments
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
    """Every rule of the contract that spans fields and that the event breaks; empty for a good event.

    A field that is None (optional, or unreadable where every fault of a bad event is sought) breaks no rule.
    """
    faults: list[Fault] = []
    kind, body = event.type, event.body
    if event.time is not None:
        faults += envelope_faults(event.time, taken)
    for name in kind.subjects:
        value = getattr(body, name)
        if value is not None:
            if value != event.subject and event.subject is not None:
                faults.append(Fault("/subject", f"must be the {name} of data, {value!r}"))
            break
    if kind.name in _RULES:
        for rule in _RULES[kind.name]:
            faults += rule(event, currency)
    if body.ext is not None and _deeper_than(body.ext, EXT_DEPTH):
        faults.append(Fault("/data/ext", f"is nested deeper than {EXT_DEPTH} levels"))
    return faults


def _deeper_than(value: object, levels: int) -> bool:
    level = [value]
    for _ in range(levels):
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not level:
            return False
    return any(isinstance(value, dict | list) for value in level)


def envelope_faults(time: datetime, taken: datetime) -> list[Fault]:
    """Whether ``time`` lies in the span the contract allows for an event taken at ``taken``."""
    if time < EARLIEST_TIME:
        return [Fault("/time", "lies before 2000-01-01; send when it happened")]
    if time > taken + LATEST_SKEW:
        return [
            Fault("/time", f"lies more than 10 minutes after {taken.isoformat(timespec='seconds')}, when it was taken")
        ]
    return []


def _promise_faults(event: Event, _currency: str) -> list[Fault]:
    body: Any = event.body
    until = body.promised_until
    if until is None:
        return []
    faults = []
    if event.time is not None and until - event.time > LONGEST_PROMISE:
        faults.append(Fault("/data/promised_until", "lies more than 5 years after time"))
    if until < EARLIEST_TIME:
        faults.append(Fault("/data/promised_until", "lies before 2000-01-01"))
    if body.promised_from is not None and body.promised_from > until:
        faults.append(Fault("/data/promised_until", "lies before promised_from"))
    return faults


def _promise_changed_faults(event: Event, _currency: str) -> list[Fault]:
    body: Any = event.body
    if body.promised_until is not None and event.time is not None and body.promised_until < event.time:
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


def _currency_faults(found: str | None, currency: str, pointer: str) -> list[Fault]:
    if found is not None and found != currency:
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
    faults = [] if body.amount is None else amount_faults(body.amount, "/data/amount")
    return faults + _currency_faults(body.currency, currency, "/data/currency")


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
