"""What must not get in, and what its sender is told."""

import copy
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from milepost.contracts.catalogue import example_events

ONE = {"content-type": "application/cloudevents+json"}
MANY = {"content-type": "application/cloudevents-batch+json"}
PLACED = example_events()[0]
READY = next(event for event in example_events() if event["type"] == "milepost.dispatch.ready.v1")


def _event(base: dict[str, Any] = PLACED, data: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    event = copy.deepcopy(base) | changes
    event["data"] |= data or {}
    return event


def _pointers(answer: httpx.Response) -> set[str]:
    assert answer.headers["content-type"] == "application/problem+json"
    document = answer.json()
    assert document["status"] == answer.status_code
    assert document["title"]
    assert document["detail"]
    return {error["pointer"] for error in document["errors"]}


async def _post(http: httpx.AsyncClient, event: Any, headers: dict[str, str] = ONE) -> httpx.Response:
    return await http.post("/v1/events", content=json.dumps(event), headers=headers)


FUTURE = (datetime.now(UTC) + timedelta(minutes=11)).isoformat()


@pytest.mark.parametrize(
    ("event", "pointer"),
    [
        (_event(type="milepost.order.placed.v2"), "/type"),
        (_event(type="milepost.stock.moved.v1"), "/type"),
        (_event(type="nonsense"), "/type"),
        (_event(time="2026-03-02T09:30:00"), "/time"),
        (_event(time=FUTURE), "/time"),
        (_event(time="1999-12-31T23:59:59Z"), "/time"),
        (_event(subject="another-order"), "/subject"),
        (_event(subject="order 1"), "/subject"),
        (_event(data={"order_id": "x" * 129}, subject="x" * 129), "/data/order_id"),
        (_event(data={"order_id": "a b"}, subject="a b"), "/data/order_id"),
        (_event(data={"lines": [{"sku": "milk", "quantity": 0}]}), "/data/lines/0/quantity"),
        (_event(data={"lines": [{"sku": "milk", "quantity": -1}]}), "/data/lines/0/quantity"),
        (_event(data={"lines": [{"sku": "milk", "quantity": 1.5}]}), "/data/lines/0/quantity"),
        (_event(data={"lines": []}), "/data/lines"),
        (_event(data={"promised_from": "2026-03-02T12:00:01Z"}), "/data/promised_until"),
        (_event(data={"promised_until": "2031-03-10T00:00:00Z"}), "/data/promised_until"),
        (_event(data={"goods_value": {"amount": "1", "currency": "BRL"}}), "/data/goods_value/currency"),
        (_event(data={"goods_value": {"amount": "1.00001", "currency": "EUR"}}), "/data/goods_value/amount"),
        (_event(data={"dropoff": {"lat": 91, "lon": 0}}), "/data/dropoff/lat"),
        (_event(specversion="0.3"), "/specversion"),
        (_event(source="not a uri"), "/source"),
        ({name: value for name, value in PLACED.items() if name != "subject"}, "/subject"),
        ({name: value for name, value in PLACED.items() if name != "data"}, "/data"),
        (_event(data={"hub_id": None}), "/data/hub_id"),
        (5, ""),
        ("text", ""),
        (None, ""),
    ],
)
async def test_a_bad_event_is_refused_with_a_pointer_to_its_fault(
    http: httpx.AsyncClient, event: Any, pointer: str
) -> None:
    answer = await _post(http, event)
    assert answer.status_code == 422
    assert pointer in _pointers(answer)
    document = answer.json()
    assert document["accepted"] == 0
    (refused,) = document["refused"]
    assert refused["index"] == 0
    assert pointer in {error["pointer"] for error in refused["errors"]}
    if isinstance(event, dict):
        assert (refused["source"], refused["id"]) == (event.get("source"), event.get("id"))


async def test_the_currency_refused_and_the_reporting_one_are_both_named(http: httpx.AsyncClient) -> None:
    answer = await _post(http, _event(data={"goods_value": {"amount": "1", "currency": "BRL"}}))
    assert "BRL" in answer.json()["errors"][0]["detail"]
    assert "EUR" in answer.json()["errors"][0]["detail"]


async def test_a_missing_field_is_named(http: httpx.AsyncClient) -> None:
    event = _event()
    del event["data"]["hub_id"]
    del event["data"]["lines"]
    assert _pointers(await _post(http, event)) == {"/data/hub_id", "/data/lines"}


async def test_a_batch_points_at_each_of_its_bad_events(http: httpx.AsyncClient) -> None:
    answer = await _post(http, [_event(subject="x"), _event(type="y"), 7], MANY)
    assert answer.status_code == 422
    assert _pointers(answer) == {"/0/subject", "/1/type", "/2"}
    assert [refused["index"] for refused in answer.json()["refused"]] == [0, 1, 2]


async def test_one_bad_event_stops_an_atomic_batch(http: httpx.AsyncClient) -> None:
    answer = await http.post("/v1/events?atomic=true", content=json.dumps([READY, _event(type="y")]), headers=MANY)
    assert answer.status_code == 422
    assert answer.json()["accepted"] == 0
    assert [refused["index"] for refused in answer.json()["refused"]] == [1]


async def test_a_flag_that_is_neither_is_refused(http: httpx.AsyncClient) -> None:
    answer = await http.post("/v1/events?atomic=perhaps", content="[]", headers=MANY)
    assert answer.status_code == 422
    assert _pointers(answer) == {"/query/atomic"}


@pytest.mark.parametrize("body", [b"", b"nonsense", b"{", b'{"a": 1,}', b"[1,", b"\xff\xfe", b"{} trailing"])
async def test_what_is_not_json_is_a_bad_request(http: httpx.AsyncClient, body: bytes) -> None:
    answer = await http.post("/v1/events", content=body, headers=ONE)
    assert answer.status_code == 400
    assert _pointers(answer) == {""}


async def test_bad_text_deep_within_is_a_bad_request(http: httpx.AsyncClient) -> None:
    body = json.dumps(PLACED).encode().replace(b"hub-north", b"hub-\xff")
    assert (await http.post("/v1/events", content=body, headers=ONE)).status_code == 400


async def test_what_is_not_json_on_a_form_is_a_bad_request(http: httpx.AsyncClient) -> None:
    answer = await http.post("/v1/orders", content=b"{", headers={"content-type": "application/json"})
    assert answer.status_code == 400
    assert _pointers(answer) == {""}


@pytest.mark.parametrize(
    "headers",
    [{}, {"content-type": "text/plain"}, {"content-type": "application/xml"}, {**ONE, "content-encoding": "gzip"}],
)
async def test_another_content_type_is_not_read(http: httpx.AsyncClient, headers: dict[str, str]) -> None:
    answer = await http.post("/v1/events", content=json.dumps(PLACED).encode(), headers=headers)
    assert answer.status_code == 415
    _pointers(answer)


async def test_a_body_over_the_limit_is_too_large(http: httpx.AsyncClient) -> None:
    answer = await http.post("/v1/events", content=b" " * 200_001, headers=ONE)
    assert answer.status_code == 413
    _pointers(answer)


async def test_a_body_without_a_length_is_too_large_all_the_same(http: httpx.AsyncClient) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(10_000):
            yield b" " * 10_000

    answer = await http.post("/v1/events", content=endless(), headers=ONE)
    assert answer.status_code == 413
    assert answer.headers["connection"] == "close"


async def test_too_many_events_are_too_large(http: httpx.AsyncClient) -> None:
    answer = await http.post("/v1/events", content=b"[" + b",".join([b"1"] * 51) + b"]", headers=MANY)
    assert answer.status_code == 413
    assert "51" in answer.json()["detail"]


async def test_an_event_larger_than_a_record_may_be_is_refused(call: Any) -> None:
    from milepost.orders.app import create_app
    from milepost.settings import Settings

    async with call(create_app(Settings(kafka="127.0.0.1:1"))) as client:
        event = _event(READY, data={"ext": {"blob": "x" * 1_100_000}})
        answer = await client.post("/v1/events", content=json.dumps(event), headers=ONE)
    assert answer.status_code == 422
    assert "larger" in answer.json()["errors"][0]["detail"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("GET", "/v1/events", 405),
        ("DELETE", "/v1/orders", 405),
        ("POST", "/v1/events/", 404),
        ("POST", "/v1/orders//promise", 404),
    ],
)
async def test_what_is_not_served_is_a_problem_too(
    http: httpx.AsyncClient, method: str, path: str, status: int
) -> None:
    answer = await http.request(method, path)
    assert answer.status_code == status
    assert _pointers(answer) == set()


async def test_faults_of_very_many_events_stay_within_bounds(http: httpx.AsyncClient) -> None:
    bad = _event(data={"hub_id": "a b", "lines": []})
    answer = await _post(http, [bad] * 50, MANY)
    document = answer.json()
    assert len(document["refused"]) == 50
    assert len(document["errors"]) <= 20


async def test_a_good_event_is_not_acknowledged_without_a_broker(http: httpx.AsyncClient) -> None:
    answer = await _post(http, READY)
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    _pointers(answer)


@pytest.mark.parametrize("event", example_events(), ids=lambda event: event["id"])
async def test_every_example_passes_every_check(http: httpx.AsyncClient, event: dict[str, Any]) -> None:
    assert (await _post(http, event)).status_code == 503


async def test_an_empty_batch_is_taken(http: httpx.AsyncClient) -> None:
    answer = await http.post("/v1/events", content=b"[]", headers=MANY)
    assert answer.status_code == 202
    assert answer.json() == {"accepted": 0, "refused": [], "warnings": []}
