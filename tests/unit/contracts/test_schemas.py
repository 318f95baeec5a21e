"""The generated JSON Schemas are valid, complete and readable outside Python."""

import re
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from milepost.contracts import schemas
from milepost.contracts.catalogue import EVENT_TYPES, EventType, example_events

KINDS = pytest.mark.parametrize("kind", EVENT_TYPES.values(), ids=list(EVENT_TYPES))


def _nodes(node: Any) -> Any:
    if isinstance(node, dict):
        yield node
        for value in node.values():
            yield from _nodes(value)
    elif isinstance(node, list):
        for value in node:
            yield from _nodes(value)


@KINDS
def test_the_schemas_of_a_type_are_valid_schemas(kind: EventType) -> None:
    for schema in (schemas.data_schema(kind), schemas.event_schema(kind)):
        Draft202012Validator.check_schema(schema)
        assert schema["$schema"] == schemas.DIALECT
        assert schema["description"]


@KINDS
def test_every_reference_leads_somewhere_in_the_document(kind: EventType) -> None:
    schema = schemas.event_schema(kind)
    references = [node["$ref"] for node in _nodes(schema) if isinstance(node.get("$ref"), str)]
    assert references
    for reference in references:
        assert reference.removeprefix("#/$defs/") in schema["$defs"]


@KINDS
def test_the_examples_fit_their_schema(kind: EventType) -> None:
    validator = Draft202012Validator(schemas.data_schema(kind))
    for data in kind.examples:
        validator.validate(data)


def test_every_example_event_fits_the_schema_of_its_type() -> None:
    for event in example_events():
        Draft202012Validator(schemas.event_schema(EVENT_TYPES[event["type"]])).validate(event)


def test_an_event_of_another_type_does_not_fit() -> None:
    events = example_events()
    validator = Draft202012Validator(schemas.event_schema(EVENT_TYPES[events[0]["type"]]))
    assert not validator.is_valid(events[-1])


def test_patterns_are_ecmascript() -> None:
    """No look-behind, no inline flags, no named groups, no \\A \\Z: what other languages' validators lack."""
    patterns = {node["pattern"] for node in _nodes(schemas.components()) if isinstance(node.get("pattern"), str)}
    assert patterns
    for pattern in patterns:
        re.compile(pattern)
        assert not re.search(r"\(\?(<|P|[aiLmsux]+[-):])|\\[AZzG]", pattern), pattern


def test_a_pattern_does_not_take_a_last_newline() -> None:
    kind = EVENT_TYPES["milepost.dispatch.ready.v1"]
    validator = Draft202012Validator(schemas.data_schema(kind))
    assert validator.is_valid({"order_id": "a"})
    assert not validator.is_valid({"order_id": "a\n"})
