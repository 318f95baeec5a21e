"""JSON Schemas (2020-12) of the events: one of each type's complete CloudEvent."""

import json
from typing import Any

import msgspec

from milepost.contracts.catalogue import EventType
from milepost.contracts.event import Envelope

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def body_schema(kind: EventType) -> dict[str, Any]:
    """The schema of the type's ``data``, nested types under ``$defs``."""
    schema = _plain(msgspec.json.schema(kind.body))
    definitions: dict[str, Any] = schema["$defs"]
    body: dict[str, Any] = definitions.pop(kind.body.__name__)
    return body | ({"$defs": definitions} if definitions else {})


def event_schema(kind: EventType) -> dict[str, Any]:
    """The schema of a complete CloudEvent of the type, as it stands on the topic."""
    body = body_schema(kind)
    definitions = body.pop("$defs", {})
    envelope = envelope_schema()
    properties = envelope["properties"] | {"type": {"const": kind.name}, "data": body}
    return {
        "$schema": DIALECT,
        "title": kind.name,
        "description": describe(kind),
        "type": "object",
        "properties": properties,
        "required": envelope["required"],
        "$defs": definitions,
    }


def describe(kind: EventType) -> str:
    """What the event says, in Markdown."""
    return kind.description.replace("``", "`")


def envelope_schema() -> dict[str, Any]:
    """The schema of the CloudEvents attributes every event has, ``data`` left open."""
    schema: dict[str, Any] = _plain(msgspec.json.schema(Envelope))["$defs"]["Envelope"]
    return schema


def render(kind: EventType) -> str:
    """The text of the type's schema file."""
    return json.dumps(event_schema(kind), indent=2, ensure_ascii=False) + "\n"


def _plain(node: Any) -> Any:
    """``node`` without the optional fields' ``null``: an absent field is left out, not sent as null."""
    if isinstance(node, list):
        return [_plain(item) for item in node]
    if not isinstance(node, dict):
        return node
    options = [option for option in node.get("anyOf", ()) if option != {"type": "null"}]
    if len(options) == 1:
        return _plain(options[0])
    if node.get("format") == "decimal":
        node = {name: value for name, value in node.items() if name != "format"}
        node |= {"type": ["string", "number"], "pattern": r"^-?[0-9]{1,10}(\.[0-9]{1,4})?$"}
    if isinstance(description := node.get("description"), str):
        node = node | {"description": description.replace("``", "`")}
    return {name: _plain(value) for name, value in node.items()}
