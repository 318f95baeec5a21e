"""Who is let in, and as whom."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from milepost.access.keys import KeyFile, Right, write_keys
from milepost.contracts.catalogue import example_events
from milepost.orders.app import create_app
from milepost.settings import Settings

MANY = {"content-type": "application/cloudevents-batch+json"}
ONE = {"content-type": "application/cloudevents+json"}
PLACED = example_events()[0]
Call = Callable[..., httpx.AsyncClient]
AddKey = Callable[..., str]


def _from(source: str, **data: Any) -> dict[str, Any]:
    event = copy.deepcopy(PLACED) | {"source": source}
    event["data"] |= data
    return event


@pytest.fixture
def guarded(edge_settings: Settings, tmp_path: Path) -> Settings:
    """Settings with the file of keys of ``add_key``."""
    return edge_settings.model_copy(update={"keys": tmp_path / "keys.json"})


def _bearer(key: str) -> dict[str, str]:
    return {**ONE, "authorization": f"Bearer {key}"}


async def _status(client: httpx.AsyncClient, headers: dict[str, str], event: dict[str, Any]) -> int:
    return (await client.post("/v1/events", content=json.dumps(event), headers=headers)).status_code


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1"])
async def test_without_keys_a_caller_on_this_machine_is_served(
    edge_settings: Settings, call: Call, address: str
) -> None:
    async with call(create_app(edge_settings), (address, 1)) as client:
        assert await _status(client, ONE, PLACED) == 503


@pytest.mark.parametrize("address", ["192.0.2.7", "10.0.0.1", "2001:db8::1", "testclient"])
async def test_without_keys_nobody_else_is(edge_settings: Settings, call: Call, address: str) -> None:
    async with call(create_app(edge_settings), (address, 1)) as client:
        assert await _status(client, ONE, PLACED) == 403


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "X-Real-IP", "X-Forwarded-Host"])
async def test_without_keys_a_request_passed_on_by_a_proxy_is_not(
    edge_settings: Settings, call: Call, header: str
) -> None:
    async with call(create_app(edge_settings)) as client:
        assert await _status(client, {**ONE, header: "127.0.0.1"}, PLACED) == 403


async def test_without_keys_a_page_of_another_site_is_not(edge_settings: Settings, call: Call) -> None:
    async with call(create_app(edge_settings)) as client:
        assert await _status(client, {**ONE, "Sec-Fetch-Site": "cross-site"}, PLACED) == 403


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:8101", 503),
        ("127.0.0.1:8101", 503),
        ("[::1]:8101", 503),
        ("LOCALHOST.", 503),
        ("evil.example:8101", 403),
        ("127.0.0.1.evil.example", 403),
        ("localhost.evil.example", 403),
        ("192.0.2.7", 403),
        ("", 403),
        ("[", 403),
    ],
)
async def test_without_keys_a_name_that_may_lead_here_from_elsewhere_is_not_ours(
    edge_settings: Settings, call: Call, host: str, status: int
) -> None:
    async with call(create_app(edge_settings)) as client:
        assert await _status(client, {**ONE, "host": host}, PLACED) == status


async def test_a_key_is_asked_for_even_on_this_machine(guarded: Settings, call: Call, add_key: AddKey) -> None:
    add_key("shop", Right.WRITE)
    async with call(create_app(guarded)) as client:
        answer = await client.post("/v1/events", content=json.dumps(PLACED), headers=ONE)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("value", ["Bearer", "Bearer mp_1_2", "Basic abc", "bearer  ", "Bearer é"])
async def test_a_wrong_key_is_refused(guarded: Settings, call: Call, add_key: AddKey, value: str) -> None:
    add_key("shop", Right.WRITE)
    async with call(create_app(guarded)) as client:
        assert await _status(client, {**ONE, "authorization": value.encode()}, PLACED) == 401  # type: ignore[dict-item]


async def test_a_key_opens_from_anywhere(guarded: Settings, call: Call, add_key: AddKey) -> None:
    key = add_key("shop", Right.WRITE)
    async with call(create_app(guarded), ("192.0.2.7", 1)) as client:
        assert await _status(client, _bearer(key), _from("/shop/web")) == 503


async def test_a_key_without_the_right_is_forbidden(guarded: Settings, call: Call, add_key: AddKey) -> None:
    key = add_key("reader", Right.READ)
    async with call(create_app(guarded)) as client:
        assert await _status(client, _bearer(key), _from("/shop")) == 403


async def test_a_revoked_key_is_refused_at_once(guarded: Settings, call: Call, add_key: AddKey, tmp_path: Path) -> None:
    key = add_key("shop", Right.WRITE)
    async with call(create_app(guarded)) as client:
        assert await _status(client, _bearer(key), _from("/shop")) == 503
        write_keys(tmp_path / "keys.json", KeyFile())
        assert await _status(client, _bearer(key), _from("/shop")) == 401


async def test_a_source_outside_the_prefix_is_forbidden(guarded: Settings, call: Call, add_key: AddKey) -> None:
    key = add_key("shop", Right.WRITE)
    async with call(create_app(guarded)) as client:
        answer = await client.post("/v1/events", content=json.dumps(_from("/shop2")), headers=_bearer(key))
    assert answer.status_code == 403
    assert [error["pointer"] for error in answer.json()["refused"][0]["errors"]] == ["/source"]


async def test_in_a_batch_it_is_refused_beside_other_faults(guarded: Settings, call: Call, add_key: AddKey) -> None:
    key = add_key("shop", Right.WRITE)
    events = [_from("/shop2"), _from("/shop", lines=[])]
    async with call(create_app(guarded)) as client:
        answer = await client.post("/v1/events", content=json.dumps(events), headers={**_bearer(key), **MANY})
    assert answer.status_code == 422
    assert [refused["errors"][0]["pointer"] for refused in answer.json()["refused"]] == ["/source", "/data/lines"]


@pytest.mark.parametrize(("merchant", "status"), [("m-1", 503), (None, 503), ("m-2", 403)])
async def test_a_merchants_key_places_its_own_orders_only(
    guarded: Settings, call: Call, add_key: AddKey, merchant: str | None, status: int
) -> None:
    key = add_key("shop", Right.WRITE, merchant="m-1")
    event = _from("/shop", **({"merchant_id": merchant} if merchant else {}))
    async with call(create_app(guarded)) as client:
        assert await _status(client, _bearer(key), event) == status


async def test_forms_ask_for_a_key_too(guarded: Settings, call: Call, add_key: AddKey) -> None:
    key = add_key("shop", Right.WRITE)
    async with call(create_app(guarded)) as client:
        assert (await client.post("/v1/orders", json=PLACED["data"])).status_code == 401
        good = await client.post("/v1/orders", json=PLACED["data"], headers={"authorization": f"Bearer {key}"})
        assert good.status_code == 503
        other = {**PLACED["data"], "source": "/other"}
        bad = await client.post("/v1/orders", json=other, headers={"authorization": f"Bearer {key}"})
    assert bad.status_code == 403
    assert [error["pointer"] for error in bad.json()["errors"]] == ["/source"]


async def test_health_and_metrics_ask_for_none(guarded: Settings, call: Call, add_key: AddKey) -> None:
    add_key("shop", Right.WRITE)
    async with call(create_app(guarded), ("192.0.2.7", 1)) as client:
        assert (await client.get("/healthz")).status_code == 200
        assert (await client.get("/metrics")).status_code == 200
        assert (await client.get("/docs")).status_code == 200


async def test_a_missing_file_of_keys_lets_nobody_in_and_is_said(edge_settings: Settings, call: Call) -> None:
    lost = edge_settings.model_copy(update={"keys": Path("/nonexistent/keys.json")})
    async with call(create_app(lost)) as client:
        assert await _status(client, ONE, PLACED) == 401
        ready = await client.get("/readyz")
    assert ready.status_code == 503
    assert any("keys" in missing for missing in ready.json()["missing"])
