"""What an edge service takes is on the topic when it answers, in its canonical form."""

import copy
import json
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiokafka.partitioner import murmur2

from milepost.access.keys import KeyFile, Right, new_key, write_keys
from milepost.contracts.catalogue import example_events
from milepost.contracts.event import decode
from milepost.settings import EDGE_SERVICES, Service

pytestmark = pytest.mark.needs_platform

Edge = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]
OnTopic = Callable[[str], Awaitable[list[Any]]]

ONE = {"content-type": "application/cloudevents+json"}
MANY = {"content-type": "application/cloudevents-batch+json"}


def _life(order: str) -> list[dict[str, Any]]:
    """The example events as those of one order."""
    events = []
    for event in copy.deepcopy(example_events()):
        if "order_id" in event["data"]:
            event["data"]["order_id"] = order
        if "order_id" in event["data"] or event["subject"].startswith("order-"):
            event["subject"] = order
        events.append(event)
    return [event for event in events if event["subject"] == order]


async def test_a_batch_is_on_the_topic_in_order_keyed_by_its_subject(
    edge: Edge, on_topic: OnTopic, unique: str
) -> None:
    events = _life(unique)
    before = datetime.now(UTC)
    async with edge("orders") as http:
        answer = await http.post("/v1/events", content=json.dumps(events), headers=MANY)
    assert answer.status_code == 202
    assert answer.json() == {"accepted": len(events), "refused": [], "warnings": []}
    found = await on_topic(unique)
    assert [record.event["id"] for record in found] == [event["id"] for event in events]
    partition = (murmur2(unique.encode()) & 0x7FFFFFFF) % 4
    assert {(record.key, record.partition, record.timestamp_type) for record in found} == {(unique, partition, 1)}
    for record, event in zip(found, events, strict=True):
        assert before <= datetime.fromisoformat(record.event["recordedtime"]) <= datetime.now(UTC)
        sent = decode(json.dumps(event).encode(), "EUR", datetime.now(UTC))
        taken = decode(record.value, "EUR", datetime.now(UTC))
        assert (taken.type, taken.source, taken.id, taken.time, taken.subject, taken.body) == (
            sent.type,
            sent.source,
            sent.id,
            sent.time,
            sent.subject,
            sent.body,
        )


async def test_times_are_in_utc_unknown_fields_gone_and_own_fields_kept(
    edge: Edge, on_topic: OnTopic, unique: str
) -> None:
    event = next(event for event in _life(unique) if event["type"] == "milepost.order.placed.v1")
    event |= {"time": "2026-03-02T09:30:00+05:30", "recordedtime": "2001-01-01T00:00:00Z", "traceparent": "00-1"}
    event |= {"testmode": True}
    event["data"] |= {"promised_until": "2026-03-02T12:00:00-03:00", "colour": "red", "ext": {"mine": [1, None]}}
    event["data"]["lines"][0]["price"] = 3
    async with edge("costs") as http:
        answer = await http.post("/v1/events", content=json.dumps(event), headers=ONE)
    assert answer.status_code == 202
    assert [(warning["index"], warning["pointer"]) for warning in answer.json()["warnings"]] == [
        (0, "/data/colour"),
        (0, "/data/lines/0/price"),
        (0, "/traceparent"),
    ]
    (record,) = await on_topic(unique)
    assert record.event["time"] == "2026-03-02T04:00:00Z"
    assert record.event["data"]["promised_until"] == "2026-03-02T15:00:00Z"
    assert record.event["data"]["ext"] == {"mine": [1, None]}
    assert record.event["testmode"] is True
    assert record.event["recordedtime"] > "2026"
    assert "traceparent" not in record.event
    assert "colour" not in record.event["data"]
    assert "price" not in record.event["data"]["lines"][0]


async def test_binary_mode(edge: Edge, on_topic: OnTopic, unique: str) -> None:
    headers = {
        "content-type": "application/json",
        "ce-specversion": "1.0",
        "ce-id": "caf%C3%A9%201",
        "ce-source": "/shop",
        "ce-type": "milepost.dispatch.ready.v1",
        "ce-time": "2026-03-02T09:30:00Z",
        "ce-subject": unique,
        "ce-testmode": "true",
    }
    async with edge("dispatch") as http:
        answer = await http.post("/v1/events", content=json.dumps({"order_id": unique}), headers=headers)
    assert answer.status_code == 202, answer.text
    (record,) = await on_topic(unique)
    assert record.event["id"] == "café 1"
    assert record.event["testmode"] is True
    assert record.event["data"] == {"order_id": unique}


async def test_the_good_events_of_a_batch_are_taken_and_the_others_named(
    edge: Edge, on_topic: OnTopic, unique: str
) -> None:
    events = [event for event in _life(unique) if event["type"] == "milepost.dispatch.ready.v1"] * 3
    bad = {**events[1], "subject": "another", "id": "bad"}
    async with edge("orders") as http:
        answer = await http.post("/v1/events", content=json.dumps([events[0], bad, events[2]]), headers=MANY)
        assert answer.status_code == 207
        document = answer.json()
        atomic = await http.post("/v1/events?atomic=true", content=json.dumps([events[0], bad]), headers=MANY)
        assert atomic.status_code == 422
        metrics = (await http.get("/metrics")).text
    assert set(document) == {"accepted", "refused", "warnings"}
    assert document["accepted"] == 2
    assert [(refused["index"], refused["id"]) for refused in document["refused"]] == [(1, "bad")]
    assert len(await on_topic(unique)) == 2
    assert 'milepost_events_total{outcome="accepted",type="milepost.dispatch.ready.v1"} 2.0' in metrics
    assert 'milepost_events_total{outcome="refused",type="milepost.dispatch.ready.v1"} 2.0' in metrics


@pytest.mark.parametrize("service", EDGE_SERVICES, ids=lambda service: service.value)
async def test_every_example_of_the_description_is_taken(edge: Edge, service: Service) -> None:
    async with edge(service.value) as http:
        document = (await http.get("/openapi.json")).json()
        statuses = []
        for path, methods in document["paths"].items():
            for method, operation in methods.items():
                for media_type, content in operation.get("requestBody", {}).get("content", {}).items():
                    for example in content["examples"].values():
                        body = example["value"]
                        if isinstance(body, dict) and "specversion" not in body:
                            body = {"time": "2026-03-02T09:30:00Z", **body}
                        answer = await http.request(
                            method,
                            path.format(order_id="order-1001"),
                            content=json.dumps(body),
                            headers={"content-type": media_type},
                        )
                        statuses.append(answer.status_code)
    assert set(statuses) == {202}


async def test_a_service_with_its_broker_is_ready(edge: Edge) -> None:
    async with edge("feedback") as http:
        ready = await http.get("/readyz")
        assert (ready.status_code, ready.json()) == (200, {"ready": True, "missing": []})
        assert "milepost_edge_broker_up 1.0" in (await http.get("/metrics")).text


async def test_a_retry_with_its_key_is_the_same_event(edge: Edge, on_topic: OnTopic, unique: str) -> None:
    path = f"/v1/orders/{unique}/cancellation"
    async with edge("orders") as http:
        one = await http.post(path, json={"requested_by": "customer"}, headers={"idempotency-key": "k-1"})
        two = await http.post(path, json={"requested_by": "customer"}, headers={"idempotency-key": "k-1"})
        three = await http.post(path, json={"requested_by": "customer"}, headers={"idempotency-key": "k-2"})
        four = await http.post(path, json={"requested_by": "customer"})
    assert [answer.status_code for answer in (one, two, three, four)] == [202] * 4
    assert one.json() == two.json()
    assert one.json()["source"] == "/orders"
    assert len({answer.json()["id"] for answer in (one, three, four)}) == 3
    first, again, *_ = await on_topic(unique)
    for record in (first, again):
        del record.event["recordedtime"]
    assert first.event == again.event


async def test_a_form_says_what_its_key_says(edge: Edge, on_topic: OnTopic, unique: str, tmp_path: Path) -> None:
    key, stored = new_key("shop", [Right.WRITE], "/shop/web", "merchant-7")
    write_keys(tmp_path / "keys.json", KeyFile((stored,)))
    body = {
        "order_id": unique,
        "hub_id": "h",
        "promised_until": "2026-03-02T12:00:00Z",
        "time": "2026-03-02T09:00:00Z",
        "lines": [{"sku": "a", "quantity": 1, "colour": "red"}],
    }
    async with edge("orders", keys=tmp_path / "keys.json") as http:
        answer = await http.post("/v1/orders", json=body, headers={"authorization": f"Bearer {key}"})
    assert answer.status_code == 202
    (record,) = await on_topic(unique)
    assert answer.json() == {
        "source": "/shop/web",
        "id": record.event["id"],
        "warnings": [{"pointer": "/lines/0/colour", "detail": "unknown field, dropped"}],
    }
    assert record.event["source"] == "/shop/web"
    assert record.event["data"]["merchant_id"] == "merchant-7"


async def test_the_time_of_a_form_is_the_moment_of_receipt_unless_said(
    edge: Edge, on_topic: OnTopic, unique: str
) -> None:
    before = datetime.now(UTC)
    async with edge("dispatch") as http:
        assert (await http.post(f"/v1/orders/{unique}/ready")).status_code == 202
        said = {"time": "2026-03-02T09:30:00+01:00", "id": "mine", "source": "/me", "testmode": True}
        assert (await http.post(f"/v1/orders/{unique}/ready", json=said)).json() == {"source": "/me", "id": "mine"}
        assert (await http.delete(f"/v1/orders/{unique}/assignment?reason=shift%20ended")).status_code == 202
    unsaid, told, unassigned = (record.event for record in await on_topic(unique))
    assert before <= datetime.fromisoformat(unsaid["time"]) <= datetime.now(UTC)
    assert (told["time"], told["testmode"]) == ("2026-03-02T08:30:00Z", True)
    assert unassigned["data"] == {"order_id": unique, "reason": "shift ended"}


async def test_the_delivery_of_an_order_nobody_knows_is_taken(edge: Edge, unique: str) -> None:
    async with edge("deliveries") as http:
        assert (await http.post(f"/v1/orders/{unique}/delivery", json={})).status_code == 202


async def test_the_same_id_with_other_content_is_taken_for_the_processor_to_judge(
    edge: Edge, on_topic: OnTopic, unique: str
) -> None:
    event = next(event for event in _life(unique) if event["type"] == "milepost.dispatch.ready.v1")
    other = {**event, "time": "2026-03-02T09:31:00Z"}
    async with edge("orders") as http:
        answer = await http.post("/v1/events", content=json.dumps([event, other, event]), headers=MANY)
    assert answer.json()["accepted"] == 3
    assert len(await on_topic(unique)) == 3


async def test_many_batches_at_once_all_arrive_and_each_order_keeps_its_order(
    edge: Edge, on_topic: OnTopic, unique: str
) -> None:
    import asyncio

    def batch(lane: int, part: int) -> str:
        return json.dumps(
            [
                {
                    "specversion": "1.0",
                    "id": f"{part}-{number}",
                    "source": "/many",
                    "type": "milepost.dispatch.ready.v1",
                    "time": "2026-03-02T09:30:00Z",
                    "subject": f"{unique}-{lane}",
                    "data": {"order_id": f"{unique}-{lane}"},
                }
                for number in range(100)
            ]
        )

    async with edge("orders") as http:

        async def send(lane: int) -> None:
            for part in range(5):
                assert (await http.post("/v1/events", content=batch(lane, part), headers=MANY)).status_code == 202

        await asyncio.gather(*(send(lane) for lane in range(16)))
    found = await on_topic(unique)
    assert len(found) == 16 * 5 * 100
    expected = [f"{part}-{number}" for part in range(5) for number in range(100)]
    for lane in range(16):
        assert [record.event["id"] for record in found if record.key == f"{unique}-{lane}"] == expected
