"""Health, readiness and metrics of an edge service that has no broker."""

import asyncio
import json
from collections.abc import Callable

import httpx
import pytest
from asgi_lifespan import LifespanManager

from milepost.contracts.catalogue import EVENT_TYPES, example_events
from milepost.orders.app import create_app
from milepost.settings import Settings


async def test_it_starts_and_stops_without_a_broker_and_says_what_is_missing(edge_settings: Settings) -> None:
    app = create_app(edge_settings)
    async with (
        LifespanManager(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://localhost") as http,
    ):
        assert (await http.get("/healthz")).json() == {"status": "alive", "service": "orders"}
        ready = await http.get("/readyz")
        assert ready.status_code == 503
        assert ready.json()["ready"] is False
        assert "127.0.0.1:1" in ready.json()["missing"][0]
        answer = await http.post(
            "/v1/events",
            content=json.dumps(example_events()[0]),
            headers={"content-type": "application/cloudevents+json"},
        )
        assert answer.status_code == 503
        assert "127.0.0.1:1" in answer.json()["detail"]


async def test_every_series_is_there_from_the_start(http: httpx.AsyncClient) -> None:
    text = (await http.get("/metrics")).text
    for name in (*EVENT_TYPES, "unknown"):
        for outcome in ("accepted", "refused"):
            assert f'milepost_events_total{{outcome="{outcome}",type="{name}"}} 0.0' in text
    assert "milepost_edge_broker_up 0.0" in text


async def test_refused_events_are_counted_by_their_type(http: httpx.AsyncClient) -> None:
    placed = {**example_events()[0], "subject": "another"}
    headers = {"content-type": "application/cloudevents-batch+json"}
    await http.post("/v1/events", content=json.dumps([placed, {"type": "x" * 500}, 5]), headers=headers)
    text = (await http.get("/metrics")).text
    assert 'milepost_events_total{outcome="refused",type="milepost.order.placed.v1"} 1.0' in text
    assert 'milepost_events_total{outcome="refused",type="unknown"} 2.0' in text
    assert "xxx" not in text


async def test_what_was_not_acknowledged_is_not_counted_as_accepted(http: httpx.AsyncClient) -> None:
    answers = await asyncio.gather(
        *(
            http.post("/v1/orders", json=example_events()[0]["data"] | {"time": "2026-03-02T09:30:00Z"})
            for _ in range(3)
        )
    )
    assert {answer.status_code for answer in answers} == {503}
    assert 'outcome="accepted",type="milepost.order.placed.v1"} 0.0' in (await http.get("/metrics")).text


async def test_answers_are_counted_by_status(http: httpx.AsyncClient) -> None:
    await http.get("/nowhere")
    await http.post("/v1/orders", json={})
    text = (await http.get("/metrics")).text
    assert 'milepost_edge_requests_total{status="404"} 1.0' in text
    assert 'milepost_edge_requests_total{status="422"} 1.0' in text
    assert 'milepost_edge_requests_total{status="503"} 0.0' in text


async def test_an_error_of_ours_is_a_problem_without_particulars_and_counted(
    edge_settings: Settings, monkeypatch: pytest.MonkeyPatch, call: Callable[..., httpx.AsyncClient]
) -> None:
    app = create_app(edge_settings)

    def broken(*_: object) -> None:
        raise RuntimeError("order-1001 is secret")

    monkeypatch.setattr(app.state.desk, "sender", broken)
    async with call(app) as http:
        answer = await http.post("/v1/orders", json={})
        text = (await http.get("/metrics")).text
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert "secret" not in answer.text
    assert 'milepost_edge_requests_total{status="500"} 1.0' in text
