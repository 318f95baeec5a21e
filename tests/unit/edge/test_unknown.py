"""Fields that no event has are found wherever they stand."""

import copy
from typing import Any

from milepost.contracts.catalogue import example_events
from milepost.edge.unknown import unknown_fields


def _event(type_name: str) -> dict[str, Any]:
    return copy.deepcopy([event for event in example_events() if event["type"] == type_name][-1])


def test_the_examples_have_none() -> None:
    assert [unknown_fields(event, event["type"]) for event in example_events()] == [[]] * len(example_events())


def test_they_are_found_in_envelope_data_objects_and_lists() -> None:
    event = _event("milepost.order.placed.v1")
    event["traceparent"] = "00-1"
    event["data"]["colour"] = "red"
    event["data"]["lines"][1]["price"] = 3
    event["data"]["dropoff"]["floor"] = 2
    event["data"]["parcels"][0]["a/b~c"] = 1
    assert unknown_fields(event, event["type"]) == [
        "/data/colour",
        "/data/dropoff/floor",
        "/data/lines/1/price",
        "/data/parcels/0/a~1b~0c",
        "/traceparent",
    ]


def test_a_senders_own_fields_are_not_looked_into() -> None:
    event = _event("milepost.dispatch.ready.v1")
    event["data"]["ext"] = {"anything": {"at": ["all"]}}
    assert unknown_fields(event, event["type"]) == []


def test_optional_objects_that_are_null_are_no_matter() -> None:
    event = _event("milepost.order.placed.v1")
    event["data"]["dropoff"] = None
    assert unknown_fields(event, event["type"]) == []


def test_a_very_long_name_is_cut() -> None:
    event = _event("milepost.dispatch.ready.v1")
    event["data"]["x" * 10_000] = 1
    (pointer,) = unknown_fields(event, event["type"])
    assert len(pointer) < 200
