"""What is generated must not only be fresh: references lead somewhere, and the examples keep the schemas."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from milepost.contracts.catalogue import EVENT_TYPES, example_events
from milepost.contracts.topics import TOPICS
from milepost.docs import registry

ASYNCAPI = yaml.safe_load(registry.GENERATED["docs/asyncapi.yaml"]())


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, list):
        for item in node:
            yield from _references(item)
    elif isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for value in node.values():
            yield from _references(value)


def _at(document: Any, reference: str) -> Any:
    for step in reference.removeprefix("#/").split("/"):
        document = document[step]
    return document


def test_asyncapi_references_lead_somewhere() -> None:
    references = set(_references(ASYNCAPI))
    assert len(references) > len(EVENT_TYPES)
    assert all(_at(ASYNCAPI, reference) for reference in references)


def test_asyncapi_has_every_topic_and_says_who_sends_and_receives() -> None:
    assert set(ASYNCAPI["channels"]) == {topic.name for topic in TOPICS}
    said = {
        (name.split(".")[0], each["action"], each["channel"]["$ref"]) for name, each in ASYNCAPI["operations"].items()
    }
    sent = {(service, "send", f"#/channels/{topic.name}") for topic in TOPICS for service in topic.producers}
    received = {(service, "receive", f"#/channels/{topic.name}") for topic in TOPICS for service in topic.consumers}
    assert said == sent | received


@pytest.mark.parametrize("event", example_events(), ids=lambda event: f"{event['type']}-{event['id']}")
def test_an_example_keeps_its_schema(event: dict[str, Any]) -> None:
    schema = json.loads(registry.GENERATED[f"docs/schemas/{event['type']}.json"]())
    checker = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())
    checker.validate(event)
    assert not checker.is_valid({**event, "type": "milepost.order.unheard.v1"})
    assert not checker.is_valid({**event, "data": {"ext": "not an object"}})


@pytest.mark.parametrize("name", EVENT_TYPES)
def test_events_md_has_a_section_and_the_examples_of_every_type(name: str) -> None:
    text = registry.GENERATED["docs/events.md"]()
    section = text.split(f"### `{name}`", 1)[1].split("\n### ", 1)[0]
    for example in EVENT_TYPES[name].examples:
        assert json.dumps(example, indent=2, ensure_ascii=False) in section


def test_stale_documents_are_found_and_written(tmp_path: Path) -> None:
    assert set(registry.write(tmp_path)) == set(registry.GENERATED)
    assert registry.stale(tmp_path) == []
    (tmp_path / "docs" / "events.md").write_text("old")
    (tmp_path / "docs" / "asyncapi.yaml").unlink()
    assert set(registry.stale(tmp_path)) == {"docs/events.md", "docs/asyncapi.yaml"}
    assert set(registry.write(tmp_path)) == {"docs/events.md", "docs/asyncapi.yaml"}
    assert registry.write(tmp_path) == []
