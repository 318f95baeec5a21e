"""The list of every fault is of one mind with the fast path, which stops at the first."""

import copy
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from milepost.contracts.catalogue import example_events
from milepost.contracts.event import InvalidEventError, decode, encode
from milepost.contracts.faults import MAX_FAULTS, every_fault, listed

TAKEN = datetime(2026, 3, 3, tzinfo=UTC)
EXAMPLES = example_events()

MOMENTS = [
    "2026-03-02T09:30:00Z",
    "2026-03-02T09:30:00+05:30",
    "2026-03-02T09:30:00.123456-03:00",
    "2026-03-02T09:30:00",
    "2026-03-02",
    "2026-02-30T00:00:00Z",
    "1999-12-31T23:59:59Z",
    "2000-01-01T00:30:00+01:00",
    "2026-03-03T00:10:00Z",
    "2026-03-03T00:10:01Z",
    "0001-01-01T00:00:00+10:00",
    "9999-12-31T23:59:59-10:00",
    "2031-03-09T00:00:00Z",
    "not a time",
]
VALUES = st.one_of(
    st.sampled_from(MOMENTS),
    st.sampled_from(["EUR", "BRL", "eur", "customer", "nobody", "1.0", "/shop", "a b", "", "x" * 128, "x" * 129]),
    st.sampled_from(["12.40", "-3", "1e3", "12.40000", "0.00001", "NaN", "Infinity", "1000000001", "twelve"]),
    st.sampled_from([0, -1, 1, 5, 6, 10, 11, 2.0, 1.5, 1e9, 10**9, 10**9 + 1, 90.0001, -181, True, False, None]),
    st.sampled_from([[], {}, [{}], [None], {"a": {"b": [1]}}, ["p1", "p1"], [{"sku": "a", "quantity": 1}]]),
    st.sampled_from([example["type"] for example in EXAMPLES] + ["milepost.order.placed.v2", "milepost.sla.x.v1"]),
    st.text(max_size=5),
).map(copy.deepcopy)


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    """An example event with a few things changed, taken out or put in, anywhere."""
    document = copy.deepcopy(draw(st.sampled_from(EXAMPLES)))
    for _ in range(draw(st.integers(0, 3))):
        places = list(_places(document))
        container, key = draw(st.sampled_from(places))
        action = draw(st.sampled_from(["change", "remove", "add"]))
        if action == "remove" and isinstance(container, dict):
            container.pop(key, None)
        elif action == "add" and isinstance(container, dict):
            container[draw(st.sampled_from(["ext", "testmode", "reason", "score", "parcel_ids", "hub_id", "q"]))] = (
                draw(VALUES)
            )
        else:
            container[key] = draw(VALUES)
    return document


def _places(node: Any) -> Any:
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in items:
        yield node, key
        yield from _places(value)


@settings(max_examples=600, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(documents())
@example(EXAMPLES[0])
def test_the_fast_path_refuses_exactly_what_has_a_listed_fault(document: dict[str, Any]) -> None:
    raw = msgspec.json.encode(document)
    first = None
    try:
        decode(raw, "EUR", TAKEN)
    except InvalidEventError as error:
        first = error.faults[0]
    assert bool(listed(raw, "EUR", TAKEN)) == (first is not None), first


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(documents())
def test_what_is_taken_survives_its_canonical_form(document: dict[str, Any]) -> None:
    try:
        event = decode(msgspec.json.encode(document), "EUR", TAKEN)
    except InvalidEventError:
        return
    again = decode(encode(event), "EUR", TAKEN)
    assert again == event
    assert encode(again) == encode(event)


def test_every_fault_of_a_thoroughly_bad_event_is_named() -> None:
    event = copy.deepcopy(EXAMPLES[1])
    del event["id"]
    event["time"] = "1999-12-31T00:00:00Z"
    event["subject"] = "another"
    event["data"].update(
        hub_id="a b",
        promised_until="2026-03-02T13:00:00",
        lines=[{"sku": "milk", "quantity": 0}, {"quantity": -1}],
        dropoff={"lat": 91, "lon": 0},
        goods_value={"amount": "1.00001", "currency": "BRL"},
        parcels=[{"parcel_id": "p1"}, {"parcel_id": "p1"}],
    )
    faults = {fault.pointer: fault.detail for fault in every_fault(msgspec.json.encode(event), "EUR", TAKEN)}
    assert set(faults) == {
        "/id",
        "/time",
        "/subject",
        "/data/hub_id",
        "/data/promised_until",
        "/data/lines/0/quantity",
        "/data/lines/1/quantity",
        "/data/lines/1/sku",
        "/data/dropoff/lat",
        "/data/goods_value/amount",
        "/data/goods_value/currency",
        "/data/parcels/1/parcel_id",
    }
    assert "BRL" in faults["/data/goods_value/currency"]
    assert "EUR" in faults["/data/goods_value/currency"]
    assert faults["/data/lines/1/sku"] == "is required"


def test_the_number_of_faults_is_bounded() -> None:
    event = copy.deepcopy(EXAMPLES[0])
    event["data"]["lines"] = [{"sku": "a", "quantity": 0}] * 1000
    assert len(every_fault(msgspec.json.encode(event), "EUR", TAKEN)) == MAX_FAULTS


@pytest.mark.parametrize("raw", [b"", b"{", b"[1,", b'{"a":\xff}', b"[" * 100_000])
def test_what_is_not_json_is_said_to_be_so(raw: bytes) -> None:
    (fault,) = every_fault(raw, "EUR", TAKEN)
    assert fault.pointer == ""
    assert "not JSON" in fault.detail


@pytest.mark.parametrize("raw", [b"5", b"null", b'"x"', b"[]", b"{}"])
def test_json_that_is_no_event_is_refused(raw: bytes) -> None:
    assert every_fault(raw, "EUR", TAKEN)


def test_a_good_event_has_none() -> None:
    for event in EXAMPLES:
        assert every_fault(msgspec.json.encode(event), "EUR", TAKEN) == []
