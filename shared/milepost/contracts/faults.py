"""Every fault of a bad event at once: slower than ``decode``, which stops at the first, and of the same mind."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from functools import cache
from itertools import islice
from typing import Any, cast

import msgspec
from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.exceptions import ValidationError

from milepost.contracts import schemas
from milepost.contracts.catalogue import EVENT_TYPES, EventType
from milepost.contracts.event import Event, Fault, InvalidEventError, decode, rule_faults, unknown_type
from milepost.contracts.fields import Moment

MAX_FAULTS = 50
"""Most faults named of one event."""

_FORMATS = FormatChecker(formats=())
_document = msgspec.json.Decoder(float_hook=Decimal).decode
_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def every_fault(value: bytes | msgspec.Raw, currency: str, taken: datetime) -> list[Fault]:
    """All that is wrong with the event in ``value``, up to ``MAX_FAULTS``; empty where ``decode`` takes it.

    Parameters as for ``decode``.
    """
    try:
        decode(value, currency, taken)
    except InvalidEventError as error:
        if error.reason == "not_json":
            return error.faults
        return listed(value, currency, taken) or error.faults
    return []


def schema_faults(document: Any) -> list[Fault]:
    """What the schema of its type says against a decoded document whose numbers with a point are ``Decimal``."""
    kind = _kind(document)
    errors = _validator(kind.name if kind else None).iter_errors(document)
    found = list(islice((fault for error in errors for fault in _faults(error)), MAX_FAULTS))
    if kind is None and isinstance(document, dict) and isinstance(document.get("type"), str):
        found.append(unknown_type(document["type"]))
    return found


def listed(value: bytes | msgspec.Raw, currency: str, taken: datetime) -> list[Fault]:
    """The faults of a JSON document by its schema and the rules alone, without ``decode``'s word."""
    try:
        document = _document(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return [Fault("", f"not JSON: {error}")]
    found = schema_faults(document)
    kind = _kind(document)
    if kind is not None:
        known = {fault.pointer for fault in found}
        event = _readable(kind, value, known)
        found += [fault for fault in rule_faults(event, currency, taken) if fault.pointer not in known]
    return found[:MAX_FAULTS]


def _kind(document: Any) -> EventType | None:
    name = document.get("type") if isinstance(document, dict) else None
    return EVENT_TYPES.get(name) if isinstance(name, str) else None


@cache
def _validator(type_name: str | None) -> Draft202012Validator:
    schema = schemas.envelope_schema() if type_name is None else schemas.event_schema(EVENT_TYPES[type_name])
    return Draft202012Validator(schema, format_checker=_FORMATS)


@_FORMATS.checks("date-time", raises=(msgspec.ValidationError, OverflowError))
def _is_moment(value: object) -> bool:
    if isinstance(value, str):
        msgspec.convert(value, Moment).astimezone(UTC)
    return True


@_FORMATS.checks("decimal", raises=(InvalidOperation, ValueError))
def _is_decimal(value: object) -> bool:
    if isinstance(value, str):
        Decimal(value)
    return True


def _readable(kind: EventType, value: bytes | msgspec.Raw, at_fault: set[str]) -> Event:
    """The event with what can be read of it, so that the rules can be tried on that; the rest is None."""
    envelope = _fields(value)
    data = _fields(envelope["data"]) if "data" in envelope and "/data" not in at_fault else {}
    body = kind.body(
        **{
            field.name: _field(field.type, data.get(field.encode_name), f"/data/{field.encode_name}", at_fault)
            for field in msgspec.structs.fields(kind.body)
        }
    )
    return Event(
        kind,
        "",
        "",
        cast(datetime, _field(Moment, envelope.get("time"), "/time", at_fault)),
        cast(str, _field(str, envelope.get("subject"), "/subject", at_fault)),
        body,
    )


def _field(kind: Any, raw: msgspec.Raw | None, pointer: str, at_fault: set[str]) -> Any:
    if raw is None or any(fault == pointer or fault.startswith(pointer + "/") for fault in at_fault):
        return None
    try:
        return _decoder(kind)(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


@cache
def _decoder(kind: Any) -> Callable[[msgspec.Raw], Any]:
    return msgspec.json.Decoder(kind).decode


def _faults(error: ValidationError) -> Iterator[Fault]:
    """An error of the schema as faults: each missing field one of its own, an optional object's own faults."""
    pointer = "".join(f"/{_escaped(str(part))}" for part in error.absolute_path)
    if error.validator == "required":
        wanted = cast(list[str], error.validator_value)
        missing = [name for name in wanted if name not in cast(dict[str, Any], error.instance)]
        # jsonschema reports each missing field on its own, with the whole list: take the one its message names.
        named = next((name for name in missing if error.message.startswith(repr(name))), missing[0])
        yield Fault(f"{pointer}/{named}", "is required")
    elif error.validator == "anyOf":
        for inner in islice(error.context or (), MAX_FAULTS):
            if inner.schema != {"type": "null"}:
                yield from _faults(inner)
    else:
        yield Fault(pointer, _detail(error))


def _escaped(part: str) -> str:
    return part.replace("~", "~0").replace("/", "~1")


_FORMAT_DETAILS: dict[str, str] = {
    "date-time": "must be a time with its offset (RFC 3339), such as 2026-03-02T09:30:00+01:00",
    "decimal": "must be a decimal number, such as 12.40",
}
_DETAILS: dict[str, Callable[[Any, Any], str]] = {
    "type": lambda wanted, _: f"must be {_types(wanted)}",
    "const": lambda wanted, _: f"must be {wanted!r}",
    "enum": lambda wanted, _: "must be one of " + ", ".join(str(value) for value in wanted if value is not None),
    "pattern": lambda wanted, schema: f"must be {_lower(schema.get('description', f'as {wanted}'))}",
    "minimum": lambda wanted, _: f"must be at least {wanted}",
    "maximum": lambda wanted, _: f"must be at most {wanted}",
    "minLength": lambda _, __: "must not be empty",
    "maxLength": lambda wanted, _: f"must have at most {wanted} characters",
    "minItems": lambda _, __: "must not be empty",
    "maxItems": lambda wanted, _: f"must have at most {wanted} entries",
    "format": lambda wanted, _: _FORMAT_DETAILS.get(wanted, f"must be a {wanted}"),
}


def _detail(error: ValidationError) -> str:
    say = _DETAILS.get(str(error.validator))
    return say(error.validator_value, error.schema) if say else error.message[:200]


def _types(wanted: Any) -> str:
    names = [wanted] if isinstance(wanted, str) else [name for name in wanted if name != "null"]
    return " or ".join(("an " if name[0] in "aeiou" else "a ") + name for name in names)


def _lower(text: str) -> str:
    """``text`` as the rest of a sentence; an abbreviation stays as it is."""
    return text.rstrip(".") if text[1:2].isupper() else text[:1].lower() + text[1:].rstrip(".")
