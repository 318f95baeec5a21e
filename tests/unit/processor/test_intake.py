"""Records become facts and rows, or are rejected with a reason; nothing raises."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from milepost.contracts.catalogue import EVENT_TYPES
from milepost.processor.arrival.intake import Rejected, Taken, take
from milepost.processor.state.partition import Batch, Pending
from milepost.processor.writing.letters import dead_letter_row
from milepost.store import tables

PLACED = "milepost.order.placed.v1"
COST = "milepost.cost.recorded.v1"
DELIVERED = "milepost.delivery.delivered.v1"
RETRACTED = "milepost.event.retracted.v1"
ORDER = {
    "order_id": "o1",
    "hub_id": "h1",
    "promised_until": "2026-03-02T12:00:00Z",
    "lines": [{"sku": "milk", "quantity": 2}],
}
EXAMPLES = [
    pytest.param(name, number, id=f"{name}-{number}")
    for name, kind in EVENT_TYPES.items()
    for number in range(len(kind.examples))
]


def _taken(record: Any) -> Taken:
    taken = take(record, "EUR")
    assert isinstance(taken, Taken), taken
    return taken


def _rejected(record: Any) -> Rejected:
    rejected = take(record, "EUR")
    assert isinstance(rejected, Rejected), rejected
    return rejected


def _digest(record: Any) -> int:
    fact = _taken(record).fact
    assert fact is not None
    return fact.digest


def _subject(name: str, data: dict[str, Any]) -> str:
    return next((str(data[field]) for field in EVENT_TYPES[name].subjects if data.get(field)), "order-1001")


@pytest.mark.parametrize(("name", "number"), EXAMPLES)
def test_every_example_is_taken(record: Any, name: str, number: int) -> None:
    data = EVENT_TYPES[name].examples[number]
    taken = _taken(record(name, data, offset=7, subject=_subject(name, data)))
    assert taken.fact is not None
    assert (taken.fact.offset, taken.kind, taken.subject) == (7, name, _subject(name, data))
    row = dict(zip(tables.EVENTS.columns, taken.event_row, strict=True))
    assert (row["offset"], row["type"], row["testmode"], row["digest"]) == (7, name, 0, taken.fact.digest)
    stored = json.loads(row["data"])
    personal = {field for field in EVENT_TYPES[name].personal if data.get(field) is not None}
    assert not personal & set(stored), "personal data stays out of the log"
    assert (taken.personal_row is not None) == bool(personal)
    if taken.personal_row is not None:
        kept = dict(zip(tables.PERSONAL.columns, taken.personal_row, strict=True))
        assert kept["customer_ref"] == data.get("customer_ref", "")
        assert set(json.loads(kept["fields"])) == personal - {"customer_ref"}


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=st.none() | st.binary(max_size=200))
def test_any_bytes_are_rejected_never_raised(record: Any, value: bytes | None) -> None:
    rejected = _rejected(record(value))
    assert rejected.reason in {"not_json", "invalid", "unknown_type"}
    assert len(dead_letter_row(rejected)) == len(tables.DEAD_LETTERS.columns)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(2**80), 2**80)
    | st.floats()
    | st.text(st.characters(codec=None))
    | st.sampled_from(["2026-03-02T10:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:60Z", "EUR", "1e400"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_good_event_with_anything_in_any_place_is_taken_or_rejected(record: Any, data: st.DataObject) -> None:
    name, number = data.draw(st.sampled_from([tuple(example.values) for example in EXAMPLES]))
    body = json.loads(json.dumps(EVENT_TYPES[str(name)].examples[int(str(number))]))
    event = json.loads(record(str(name), body, subject=_subject(str(name), body)).value)
    place = data.draw(st.sampled_from([event, event["data"]]))
    field = data.draw(st.sampled_from([*place, "ext", "testmode", "recordedtime"]))
    place[field] = data.draw(json_values)
    taken = take(record(json.dumps(event).encode("utf-8", "surrogatepass")), "EUR")
    pending = Pending(0)
    pending.add(taken)
    if isinstance(taken, Taken) and taken.fact is not None:
        batch = Batch()
        batch.accept(taken)
        for table, rows in ((tables.EVENTS, batch.events), (tables.PERSONAL, batch.personal)):
            for row in rows:
                assert len(row) == len(table.columns)
                assert msgspec.msgpack.decode(msgspec.msgpack.encode(row)) == list(row)


@pytest.mark.parametrize(
    "value",
    [
        b'{"specversion":"1.0"' + b" " * 100,
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'"\\ud800"',
        b"\xff\xfe{}",
        b"\x00",
        b"null",
        b"[]",
        b"123",
        b'{"subject": 5, "id": ["x"], "source": null}',
        b'{"subject": "' + b"x" * 100_000 + b'"}',
    ],
)
def test_hostile_bytes(record: Any, value: bytes) -> None:
    rejected = _rejected(record(value))
    assert len(rejected.detail) <= 2000
    assert len(rejected.subject) <= 128


@pytest.mark.parametrize("amount", ["NaN", "Infinity", "-Infinity", "sNaN", "1e999999", "1e-999999", 1e300, "0.00001"])
def test_amounts_that_are_none(record: Any, amount: str | float) -> None:
    cost = {"cost_id": "k", "hub_id": "h", "component": "fuel", "amount": amount, "currency": "EUR"}
    assert _rejected(record(COST, cost, subject="h")).reason == "invalid"


def test_numbers_too_large_for_any_column_in_ext_are_no_crash(record: Any) -> None:
    taken = _taken(record(PLACED, {**ORDER, "ext": {"n": 2**70, "m": -(2**64)}}))
    assert taken.personal_row is not None
    assert json.loads(taken.personal_row[4]) == {"ext": {"n": 2**70, "m": -(2**64)}}


def test_what_a_rejected_record_says_of_itself_is_kept(record: Any) -> None:
    rejected = _rejected(record(PLACED, {"order_id": "o1"}))
    assert (rejected.reason, rejected.subject, rejected.source, rejected.id) == ("invalid", "o1", "/s", "e1")
    assert "/data/hub_id: is required" in rejected.detail


@pytest.mark.parametrize(
    ("envelope", "reason"),
    [
        ({"type": "milepost.order.placed.v2"}, "unknown_type"),
        ({"type": "milepost.sla.breached.v1"}, "unknown_type"),
        ({"specversion": "0.3"}, "invalid"),
        ({"subject": "other"}, "invalid"),
        ({"subject": "o 1"}, "invalid"),
        ({"time": "2026-03-02T10:00:00"}, "invalid"),
        ({"time": "1999-12-31T23:59:59Z"}, "invalid"),
        ({"time": "2026-12-31T23:59:59Z"}, "invalid"),
        ({"id": ""}, "invalid"),
    ],
)
def test_faults_of_the_envelope(record: Any, envelope: dict[str, Any], reason: str) -> None:
    assert _rejected(record(PLACED, ORDER, **{"subject": "o1", **envelope})).reason == reason


def test_time_may_be_ten_minutes_after_the_append_and_not_more(record: Any) -> None:
    # The records of these tests are appended at 2026-10-26T07:33:20Z.
    _taken(record(DELIVERED, {"order_id": "o1"}, time="2026-10-26T07:43:20Z"))
    _rejected(record(DELIVERED, {"order_id": "o1"}, time="2026-10-26T07:43:20.000001Z"))


def test_another_currency_is_rejected(record: Any) -> None:
    order = {**ORDER, "delivery_fee": {"amount": "4.90", "currency": "USD"}}
    rejected = _rejected(record(PLACED, order))
    assert "USD" in rejected.detail
    assert "EUR" in rejected.detail


SAME = [
    ({"promised_until": "2026-03-02T12:00:00Z"}, {"promised_until": "2026-03-02T13:30:00+01:30"}),
    ({"promised_until": "2026-03-02T12:00:00Z"}, {"promised_until": "2026-03-02T12:00:00.000000+00:00"}),
    (
        {"delivery_fee": {"amount": "31", "currency": "EUR"}},
        {"delivery_fee": {"amount": 31.00, "currency": "EUR"}},
    ),
    (
        {"delivery_fee": {"amount": "31.5", "currency": "EUR"}},
        {"delivery_fee": {"currency": "EUR", "amount": "31.5000"}},
    ),
    ({"ext": {"a": 1, "b": 2}}, {"ext": {"b": 2, "a": 1}}),
    ({}, {"zone_id": None}),
    ({}, {"unheard_of": 5}),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_the_same_content_has_the_same_digest(record: Any, one: dict[str, Any], other: dict[str, Any]) -> None:
    assert _digest(record(PLACED, {**ORDER, **one})) == _digest(record(PLACED, {**ORDER, **other}, offset=9))


def test_the_envelopes_time_may_be_written_with_another_offset_and_recorded_later(record: Any) -> None:
    one = record(PLACED, ORDER, time="2026-03-02T10:00:00Z", recordedtime="2026-03-02T10:00:01Z")
    other = record(PLACED, ORDER, time="2026-03-02T11:00:00+01:00", recordedtime="2026-03-02T17:00:00Z")
    assert _digest(one) == _digest(other)


def test_minus_zero_is_zero(record: Any) -> None:
    cost = {"cost_id": "k", "hub_id": "h", "component": "fuel", "currency": "EUR"}
    digests = {_digest(record(COST, {**cost, "amount": amount}, subject="h")) for amount in ("0", "-0", -0.0, "0.0000")}
    assert len(digests) == 1


def test_a_default_said_and_left_out_is_the_same(record: Any) -> None:
    cost = {"cost_id": "k", "hub_id": "h", "component": "fuel", "amount": "1", "currency": "EUR"}
    assert _digest(record(COST, cost, subject="h")) == _digest(
        record(COST, {**cost, "activity": "delivery"}, subject="h")
    )
    lines = {"order_id": "o1", "lines": [{"sku": "a", "quantity": 1}]}
    damaged = {"order_id": "o1", "lines": [{"sku": "a", "quantity": 1, "damaged": False}]}
    assert _digest(record(DELIVERED, lines)) == _digest(record(DELIVERED, damaged))


OTHER: list[dict[str, Any]] = [
    {"hub_id": "h2"},
    {"promised_until": "2026-03-02T12:00:00.000001Z"},
    {"promised_from": "2026-03-02T11:00:00Z"},
    {"lines": [{"sku": "milk", "quantity": 3}]},
    {"lines": [{"sku": "milk", "quantity": 1}, {"sku": "milk", "quantity": 1}]},
    {"zone_id": "z"},
    {"merchant_id": "z"},
    {"service_level": "z"},
    {"parcels": [{"parcel_id": "z"}]},
    {"delivery_fee": {"amount": "31.5001", "currency": "EUR"}},
    {"goods_value": {"amount": "31.5001", "currency": "EUR"}},
    {"customer_ref": "someone"},
    {"dropoff": {"lat": 1, "lon": 2}},
    {"dropoff": {"lat": 2, "lon": 1}},
    {"ext": {"a": 1}},
]


def test_other_content_has_another_digest(record: Any) -> None:
    digests = [_digest(record(PLACED, {**ORDER, **other})) for other in [{}, *OTHER]]
    digests.append(_digest(record(PLACED, ORDER, time="2026-03-02T10:00:00.000001Z")))
    assert len(set(digests)) == len(digests)


def test_another_type_with_the_same_data_has_another_digest(record: Any) -> None:
    kinds = ("milepost.dispatch.ready.v1", "milepost.dispatch.departed.v1", DELIVERED, "milepost.delivery.lost.v1")
    assert len({_digest(record(kind, {"order_id": "o1"})) for kind in kinds}) == len(kinds)


def test_where_each_event_belongs(record: Any) -> None:
    cost = {"cost_id": "k", "hub_id": "h", "component": "fuel", "amount": "1", "currency": "EUR"}
    order = _taken(record(PLACED, ORDER))
    of_order = _taken(record(COST, {**cost, "order_id": "o1"}))
    of_courier = _taken(record(COST, {**cost, "courier_id": "c1"}, subject="c1"))
    retraction = _taken(
        record(RETRACTED, {"retracts": {"source": "/s", "id": "e0"}, "reason": "did_not_occur"}, subject="c1")
    )
    assert (order.in_orders, order.in_ledger) == (of_order.in_orders, of_order.in_ledger) == (True, False)
    assert (of_courier.in_orders, of_courier.in_ledger) == (False, True)
    assert (retraction.in_orders, retraction.in_ledger) == (True, True)


@pytest.mark.parametrize(
    ("ids", "subject"),
    [
        ({"order_id": "o1", "route_id": "r1", "courier_id": "c1"}, "o1"),
        ({"route_id": "r1", "courier_id": "c1"}, "r1"),
        ({"courier_id": "c1"}, "c1"),
        ({}, "h"),
    ],
)
def test_the_subject_of_a_cost(record: Any, ids: dict[str, str], subject: str) -> None:
    cost = {"cost_id": "k", "hub_id": "h", "component": "fuel", "amount": "1", "currency": "EUR", **ids}
    assert _taken(record(COST, cost, subject=subject)).subject == subject
    for wrong in {"o1", "r1", "c1", "h"} - {subject}:
        assert _rejected(record(COST, cost, subject=wrong)).reason == "invalid"


def test_a_test_event_has_no_fact(record: Any) -> None:
    taken = _taken(record(PLACED, ORDER, testmode=True))
    assert taken.fact is None
    assert dict(zip(tables.EVENTS.columns, taken.event_row, strict=True))["testmode"] == 1


def test_the_first_copy_in_the_log_has_precedence(record: Any) -> None:
    precedence = list(tables.EVENTS.columns).index("precedence")
    rows = [_taken(record(PLACED, ORDER, offset=offset)).event_row[precedence] for offset in (0, 1, 10**12)]
    assert rows == sorted(rows, reverse=True)
    assert all(row > 0 for row in rows)


def test_credits_and_the_largest_amounts_are_exact(record: Any) -> None:
    cost = {"cost_id": "k", "hub_id": "h", "component": "fuel", "currency": "EUR"}
    for amount, wanted in (("-0.0001", -1), ("1000000000", 10**13), ("-999999999.9999", -9_999_999_999_999)):
        fact: Any = _taken(record(COST, {**cost, "amount": amount}, subject="h")).fact
        assert fact.amount == wanted
