"""JSON Schemas (2020-12) of every event, generated from the types that decode it."""

from functools import cache
from typing import Any

import msgspec

from milepost.contracts.catalogue import EVENT_TYPES, EventType
from milepost.contracts.event import Envelope

DIALECT = "https://json-schema.org/draft/2020-12/schema"
IN_PLACE = "#/$defs/{name}"
IN_OPENAPI = "#/components/schemas/{name}"
"""Where a ``$ref`` leads: into the same document, or into the components of an OpenAPI or AsyncAPI document."""

Schema = dict[str, Any]


def data_schema(kind: EventType) -> Schema:
    """The schema of the ``data`` of one type, complete in itself."""
    definitions = components(IN_PLACE)
    return _standalone(dict(definitions[data_name(kind)]), definitions)


def event_schema(kind: EventType) -> Schema:
    """The schema of one type's whole structured CloudEvent, complete in itself."""
    definitions = components(IN_PLACE)
    return _standalone(dict(definitions[event_name(kind)]), definitions)


def envelope_schema() -> Schema:
    """The schema of what every event has in common; ``data`` may be anything."""
    return {"$schema": DIALECT, **_envelope()}


def data_name(kind: EventType) -> str:
    """The name of the schema of a type's ``data``, such as ``Placed``."""
    return kind.body.__name__


def event_name(kind: EventType) -> str:
    """The name of the schema of a type's CloudEvent, such as ``PlacedEvent``."""
    return f"{kind.body.__name__}Event"


@cache
def components(ref_template: str = IN_OPENAPI) -> dict[str, Schema]:
    """Every schema by name: each type's data and event, and what they are made of. Not to be changed by the caller."""
    bodies = [kind.body for kind in EVENT_TYPES.values()]
    _, generated = msgspec.json.schema_components(bodies, ref_template=ref_template)
    schemas = {name: _tidy(schema) for name, schema in generated.items()}
    for kind in EVENT_TYPES.values():
        schemas[data_name(kind)]["examples"] = [dict(example) for example in kind.examples]
        schemas[event_name(kind)] = _event(kind, ref_template)
    return schemas


def _event(kind: EventType, ref_template: str) -> Schema:
    envelope = _envelope()
    properties = dict(envelope["properties"])
    properties["type"] = {"const": kind.name}
    properties["data"] = {"$ref": ref_template.format(name=data_name(kind))}
    return {**envelope, "title": event_name(kind), "description": kind.description, "properties": properties}


@cache
def _envelope() -> Schema:
    _, generated = msgspec.json.schema_components([Envelope])
    schema: Schema = _tidy(generated["Envelope"])
    schema["title"] = "CloudEvent"
    schema["description"] = "A CloudEvent 1.0 in structured JSON."
    schema["properties"]["recordedtime"]["description"] = "When the edge took it; stamped there, whatever was sent."
    schema["properties"]["testmode"]["description"] = "True: goes the whole way without touching any number."
    return schema


def _standalone(schema: Schema, definitions: dict[str, Schema]) -> Schema:
    needed: dict[str, Schema] = {}
    _collect(schema, definitions, needed)
    return {"$schema": DIALECT, **schema, **({"$defs": needed} if needed else {})}


def _collect(node: Any, definitions: dict[str, Schema], needed: dict[str, Schema]) -> None:
    """Add to ``needed`` every definition that ``node`` refers to, also through others."""
    if isinstance(node, list):
        for item in node:
            _collect(item, definitions, needed)
    elif isinstance(node, dict):
        reference = node.get("$ref")
        if isinstance(reference, str):
            name = reference.rpartition("/")[2]
            if name not in needed:
                needed[name] = definitions[name]
                _collect(definitions[name], definitions, needed)
        for value in node.values():
            _collect(value, definitions, needed)


def _tidy(node: Any) -> Any:
    """``node`` as people write it: optional fields as ``type: [..., null]``, amounts as string or number."""
    if isinstance(node, list):
        return [_tidy(item) for item in node]
    if not isinstance(node, dict):
        return node
    tidy = {name: _tidy(value) for name, value in node.items() if not (name == "default" and value is None)}
    if tidy.get("format") == "decimal":
        tidy["type"] = ["string", "number"]
    branches = tidy.get("anyOf")
    if isinstance(branches, list) and {"type": "null"} in branches:
        given = [branch for branch in branches if branch != {"type": "null"}]
        if len(given) == 1 and "$ref" not in given[0]:
            del tidy["anyOf"]
            tidy = {**given[0], **tidy}
            types = tidy.get("type")
            if types is not None:
                tidy["type"] = [*(types if isinstance(types, list) else [types]), "null"]
            if "enum" in tidy:
                tidy["enum"] = [*tidy["enum"], None]
    return tidy
