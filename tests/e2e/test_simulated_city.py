"""A simulated city from its first event to its KPIs: they equal what the city itself knows."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from grafana_queries import ALL, View, documents, queries
from prometheus_client import CollectorRegistry
from spine import Spine, differences

from milepost.auditor.canary import Canary
from milepost.domain.kpis import REASONS_OF
from milepost.edge.client import EdgeClient
from milepost.reading.question import ask
from milepost.reading.reasons import read_reasons
from milepost.settings import Settings
from milepost.store.client import reader

pytestmark = pytest.mark.needs_platform

ORDERS = 2_000


@pytest.fixture(scope="module")
def city(
    tmp_path_factory: pytest.TempPathFactory, free_settings: Callable[[], Settings], milepost: Callable[..., Any]
) -> Iterator[tuple[Spine, dict[str, Any]]]:
    """A platform to which a city has been sent, and the city's truth."""
    folder = tmp_path_factory.mktemp("city")
    events, truth = folder / "events.jsonl.gz", folder / "truth.json"
    with Spine(folder / "platform", free_settings(), milepost) as spine:
        spine.command("simulate", "--orders", str(ORDERS), "--seed", "3", "--out", str(events), "--truth", str(truth))
        summary = spine.send(events)
        assert summary["refused"] == 0
        assert summary["accepted"] > 5 * ORDERS
        spine.catch_up()
        yield spine, json.loads(truth.read_text())


def test_all_time(city: tuple[Spine, dict[str, Any]]) -> None:
    spine, truth = city
    assert differences(spine.kpi("--window", "all"), truth["overall"]) == []


@pytest.mark.parametrize("dimension", ["hub_id", "zone_id", "service_level", "merchant_id", "courier_id"])
def test_by_every_dimension(city: tuple[Spine, dict[str, Any]], dimension: str) -> None:
    spine, truth = city
    assert differences(spine.ask(window="all", by=[dimension]), truth["by"][dimension]) == []


def test_windows_of_days_hours_and_odd_minutes(city: tuple[Spine, dict[str, Any]]) -> None:
    spine, truth = city
    assert len(truth["windows"]) > 5
    for window in truth["windows"]:
        rows = spine.ask(start=window["from"], end=window["to"])
        assert differences(rows, window["rows"]) == [], (window["from"], window["to"])


@pytest.mark.parametrize("split", ["component", "activity"])
def test_what_was_spent_for_what(city: tuple[Spine, dict[str, Any]], split: str) -> None:
    spine, truth = city
    rows = spine.ask(window="all", by=[split])
    spent = {row["dimensions"][split]: round(row["numerator"], 4) for row in rows}
    assert {name: amount for name, amount in spent.items() if name} == truth["spent"][split]


def test_why_attempts_failed_and_what_customers_named(city: tuple[Spine, dict[str, Any]]) -> None:
    spine, truth = city
    question = ask(datetime.now(UTC), window="all")
    with reader(spine.settings) as store:
        found = read_reasons(store, question)[()]
    told = {(of, reason): given for of, reasons in truth["reasons"].items() for reason, given in reasons.items()}
    assert found == told
    assert {of for of, _ in told} == set(REASONS_OF)
    assert len(told) > 15


@pytest.mark.parametrize(
    "options",
    [
        ("--window", "all", "--by", "hub_id,zone_id,service_level,merchant_id,courier_id"),
        ("--from", "2026-03-02T09:17Z", "--to", "2026-03-04T20:31Z", "--by", "hub_id"),
    ],
)
def test_the_log_says_the_same(city: tuple[Spine, dict[str, Any]], options: tuple[str, ...]) -> None:
    spine, _ = city
    assert spine.command("reconcile", "--wait", *options).startswith("No drift")


def test_the_dashboards_say_the_same(city: tuple[Spine, dict[str, Any]]) -> None:
    spine, _ = city
    start = datetime(2026, 3, 2, 6, tzinfo=UTC)
    end = start + timedelta(days=4)
    known = {
        (row["kpi"], row["dimensions"].get("stage", "")): row
        for row in spine.ask(start=start.isoformat(), end=end.isoformat())
    }
    hubs = [row["dimensions"]["hub_id"] for row in spine.ask(window="all", by=["hub_id"], kpis=["on_time"])]
    compared = set()
    with spine.store() as store:
        ((order, courier),) = store.query("SELECT order_id, courier_id FROM orders WHERE courier_id != '' LIMIT 1")
        for uid, document in documents().items():
            one = uid in ("milepost-hub", "milepost-courier")
            chosen = {"hub": hubs[0] if one else ALL, "zone": "Europe/Berlin", "currency": "EUR", "stops": "20",
                      "order": order, "courier": courier}  # fmt: skip
            view = View(start, end, end, chosen, {"hub": hubs})
            for panel, text in queries(document, "rawSql"):
                rows = store.named(view.sql(text))
                if panel["type"] != "stat" or one or "kpi_minutes" in text:
                    continue
                for name, value in rows[0].items():
                    if (name, "") in known:
                        assert value == pytest.approx(known[name, ""]["value"], rel=1e-9), panel["title"]
                    if name in ("p50", "p90", "p95"):
                        assert value == pytest.approx(known["delivery_time", ""][name], rel=1e-3)
                    compared.add(name)
    assert {"otif", "delivery_time", "p90", "cost_per_delivery", "fee_per_delivery", "csat", "return_rate"} <= compared


async def test_a_canary_goes_the_whole_way_and_into_no_number(city: tuple[Spine, dict[str, Any]]) -> None:
    spine, truth = city
    with reader(spine.settings) as store:
        async with EdgeClient(spine.settings.edge_url) as edge:
            assert await Canary(store, edge, CollectorRegistry()).fly(30)
        assert store.query("SELECT count() FROM orders WHERE order_id LIKE 'canary-%'") == [(0,)]
    assert differences(spine.ask(window="all"), truth["overall"]) == []


def test_copies_that_contradict_are_dead_lettered(city: tuple[Spine, dict[str, Any]]) -> None:
    spine, _ = city
    with spine.store() as store:
        reasons = store.query("SELECT reason, count() FROM dead_letters GROUP BY reason")
        assert [reason for reason, _ in reasons] == ["conflict"]
        assert store.query("SELECT count() > 0 FROM events WHERE testmode = 1") == [(1,)]
