"""The read API and the exporter over the real engine."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from asgi_lifespan import LifespanManager
from prometheus_client.parser import text_string_to_metric_families

from milepost.access.keys import KeyFile, Right, new_key, write_keys
from milepost.exporter import refresher as refreshing
from milepost.exporter.app import create_app as create_exporter
from milepost.insights.app import create_app as create_insights
from milepost.reading.question import floor_minute, parse_window
from milepost.settings import Settings

pytestmark = pytest.mark.needs_platform


def client(app: Any, address: str = "127.0.0.1") -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app=app, client=(address, 1234))
    return httpx.AsyncClient(transport=transport, base_url="http://localhost")


async def test_kpis_over_http_are_those_of_the_command(installation: Settings, minutes: Any) -> None:
    asked = {"from": minutes.first.isoformat(), "to": minutes.last.isoformat(), "by": "zone_id", "kpi": ["otif", "nps"]}
    async with client(create_insights(installation)) as api:
        told = (await api.get("/v1/kpis", params=asked)).json()
    expected = minutes.sums(minutes.first, minutes.last, ("zone_id",))
    assert {row["dimensions"]["zone_id"] for row in told["rows"]} == {zone for (zone,) in expected}
    for row in told["rows"]:
        if row["kpi"] == "otif":
            assert row["denominator"] == expected[row["dimensions"]["zone_id"],].get("due", 0)


async def test_a_wrong_parameter_is_named(installation: Settings) -> None:
    async with client(create_insights(installation)) as api:
        refused = await api.get("/v1/kpis", params={"by": "hub"})
        assert refused.headers["content-type"] == "application/problem+json"
        assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/query/by")
        assert (await api.get("/v1/orders", params={"state": "late"})).json()["errors"][0]["pointer"] == "/query/state"
        assert (await api.get("/v1/orders", params={"limit": 0})).status_code == 422
        assert (await api.get("/v1/orders/nobody")).status_code == 404


async def test_orders_over_http(installation: Settings, orders: datetime) -> None:
    async with client(create_insights(installation)) as api:
        first = (await api.get("/v1/orders", params={"state": "overdue", "limit": 1})).json()
        second = (await api.get("/v1/orders", params={"state": "overdue", "cursor": first["next"]})).json()
        here = (await api.get("/v1/orders", params={"state": "overdue", "hub_id": "HAM-1"})).json()
    assert [item["order_id"] for item in first["items"] + second["items"]] == ["overdue-1", "overdue-2"]
    assert second["next"] is None
    assert [item["order_id"] for item in here["items"]] == ["overdue-2"]


async def test_only_callers_on_this_machine_are_served_without_keys(installation: Settings) -> None:
    async with client(create_insights(installation), "192.0.2.1") as api:
        assert (await api.get("/v1/kpis")).status_code == 403
        assert (await api.get("/healthz")).status_code == 200


async def test_a_merchant_sees_itself_alone(
    installation: Settings, orders: datetime, minutes: Any, tmp_path: Path
) -> None:
    path = tmp_path / "keys.json"
    key, stored = new_key("m1", (Right.READ,), "/m1", "m1")
    writing, other_stored = new_key("w", (Right.WRITE,), "/w")
    write_keys(path, KeyFile((stored, other_stored)))
    app = create_insights(installation.model_copy(update={"keys": path}))
    bearer = {"Authorization": f"Bearer {key}"}
    asked = {"from": minutes.first.isoformat(), "to": minutes.last.isoformat(), "kpi": "otif"}
    async with client(app) as api:
        assert (await api.get("/v1/kpis")).status_code == 401
        assert (await api.get("/v1/kpis", headers={"Authorization": f"Bearer {writing}"})).status_code == 403
        mine = (await api.get("/v1/kpis", params=asked, headers=bearer)).json()["rows"][0]
        other = await api.get("/v1/kpis", params=asked | {"where": "merchant_id=m2"}, headers=bearer)
        listed = (await api.get("/v1/orders", params={"state": "overdue"}, headers=bearer)).json()["items"]
        assert (await api.get("/v1/orders/overdue-1", headers=bearer)).status_code == 404
    assert mine["denominator"] == minutes.sums(minutes.first, minutes.last, (), {"merchant_id": ("m1",)})[()]["due"]
    assert other.status_code == 403
    assert [item["order_id"] for item in listed] == ["overdue-2"]


async def test_the_description_is_complete(installation: Settings) -> None:
    document = create_insights(installation).openapi()
    text = json.dumps(document)
    schemas = document["components"]["schemas"]
    for name in {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}:
        assert name in schemas
    for path in ("/v1/kpis", "/v1/orders", "/v1/orders/{order_id}"):
        operation = document["paths"][path]["get"]
        assert {"200", "401", "403", "422", "503"} <= set(operation["responses"])
        assert all(parameter["description"] for parameter in operation["parameters"] if parameter["in"] == "query")


async def test_the_api_says_what_it_misses(installation: Settings) -> None:
    gone = installation.model_copy(update={"clickhouse": "http://127.0.0.1:9"})
    foreign = installation.model_copy(update={"currency": "BRL"})
    async with client(create_insights(gone)) as api:
        answer = await api.get("/v1/kpis")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert "cannot be reached" in (await api.get("/readyz")).json()["missing"][0]
    async with client(create_insights(foreign)) as api:
        assert "MILEPOST_CURRENCY is BRL" in (await api.get("/readyz")).json()["missing"][0]
    async with client(create_insights(installation)) as api:
        assert (await api.get("/readyz")).json() == {"ready": True, "missing": []}
        assert 'milepost_insights_requests_total{route="/v1/kpis",status="200"} 0.0' in (await api.get("/metrics")).text


def series(text: str) -> dict[tuple[str, ...], float]:
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found[sample.name, *sorted(f"{name}={value}" for name, value in sample.labels.items() if value)] = (
                sample.value
            )
    return found


async def test_the_exporter_serves_exact_sums_over_every_window(
    installation: Settings, minutes: Any, orders: datetime
) -> None:
    app = create_exporter(installation)
    async with LifespanManager(app), client(app) as api:
        for _ in range(1_000):
            if (await api.get("/readyz")).is_success:
                break
            await asyncio.sleep(0.05)
        found = series((await api.get("/metrics")).text)
    taken = datetime.fromtimestamp(found["milepost_exporter_last_success_timestamp_seconds",], UTC)
    end = floor_minute(taken)
    for window in ("2h", "6h", "1d", "3d", "7d"):
        expected = minutes.sums(end - parse_window(window), end, ("hub_id",))
        for hub in ("BER-1", "HAM-1", "MUC-1"):
            sums = expected.get((hub,), {})
            labels = (f"hub_id={hub}", "kpi=otif", f"window={window}")
            assert found["milepost_kpi_numerator", *labels] == sums.get("otif", 0)
            assert found["milepost_kpi_denominator", *labels] == sums.get("due", 0)
            assert (("milepost_kpi_value", *labels) in found) == (sums.get("otif_unknown", 0) != sums.get("due", 0))
            spent = ("milepost_kpi_numerator", f"hub_id={hub}", "kpi=cost_per_delivery", f"window={window}")
            if window in ("2h", "6h"):
                assert spent not in found
            else:
                assert found[spent] == pytest.approx(sums.get("cost", 0) / 10_000)
    assert found["milepost_kpi_denominator", "hub_id=BER-1", "kpi=stage_time", "stage=door", "window=7d"] > 0
    assert found["milepost_open_orders", "hub_id=BER-1"] == 4
    assert found["milepost_overdue_orders", "hub_id=HAM-1"] == 1
    assert found["milepost_orphan_orders",] == 1
    assert found["milepost_exporter_up",] == 1
    assert ("milepost_watermark_age_seconds",) not in found


async def test_the_exporter_serves_nothing_stale(
    installation: Settings, minutes: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = create_exporter(installation)
    refresher = app.state.refresher
    await asyncio.to_thread(refresher.refresh)
    assert b"milepost_kpi_value" in refresher.exposition()
    monkeypatch.setattr(refreshing, "STALE_SECONDS", timedelta(0).total_seconds())
    text = refresher.exposition()
    assert b"milepost_kpi_value" not in text
    assert b"milepost_exporter_up 0.0" in text
    async with client(app) as api:
        assert (await api.get("/readyz")).status_code == 503


async def test_an_exporter_without_store_says_so(installation: Settings) -> None:
    app = create_exporter(installation.model_copy(update={"clickhouse": "http://127.0.0.1:9"}))
    await asyncio.to_thread(app.state.refresher.refresh)
    async with client(app) as api:
        assert "cannot be reached" in (await api.get("/readyz")).json()["missing"][0]
        text = (await api.get("/metrics")).text
    assert "milepost_exporter_failures_total 1.0" in text
    assert "milepost_kpi" not in text
