"""The dashboard: valid, its datasources provisioned, its SQL run by the real engine and equal to the KPI answers."""

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from milepost import metrics
from milepost.reading.kpis import answer
from milepost.reading.question import ask
from milepost.settings import Settings
from milepost.store.client import reader

ROOT = Path(__file__).parents[3]
DASHBOARDS = sorted((ROOT / "grafana" / "dashboards").glob("*.json"))
HUBS = ("BER-1", "HAM-1", "MUC-1")


def panels(path: Path) -> list[dict[str, Any]]:
    return json.loads(path.read_text())["panels"]  # type: ignore[no-any-return]


def targets(path: Path, key: str) -> list[tuple[str, str]]:
    return [(panel["title"], target[key]) for panel in panels(path) for target in panel["targets"] if key in target]


def expanded(sql: str, start: datetime, end: datetime) -> str:
    """The SQL as Grafana's ClickHouse datasource sends it."""
    sql = sql.replace("$__fromTime", f"toDateTime({int(start.timestamp())})")
    sql = sql.replace("$__toTime", f"toDateTime({int(end.timestamp())})")
    sql = re.sub(r"\$__timeInterval\((\w+)\)", r"toStartOfInterval(toDateTime(\1), INTERVAL 3600 second)", sql)
    sql = sql.replace("${hub:singlequote}", ", ".join(f"'{hub}'" for hub in HUBS))
    assert "$" not in sql
    return sql


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_every_panel_has_a_place_a_description_and_a_known_source(path: Path) -> None:
    provisioned = yaml.safe_load((ROOT / "grafana/provisioning/datasources/milepost.yml").read_text())["datasources"]
    sources = {source["uid"]: source["type"] for source in provisioned}
    document = json.loads(path.read_text())
    places = set()
    for panel in document["panels"]:
        assert panel["description"]
        for asked in (panel, *panel["targets"], *document["templating"]["list"]):
            assert sources[asked["datasource"]["uid"]] == asked["datasource"]["type"]
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert place["x"] + place["w"] <= 24
        assert not cells & places
        places |= cells
    assert len({panel["id"] for panel in document["panels"]}) == len(document["panels"])


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_prometheus_panels_ask_for_metrics_that_exist(path: Path) -> None:
    known = {value.name for value in vars(metrics).values() if isinstance(value, metrics.Metric)}
    for _, expression in targets(path, "expr"):
        asked = set(re.findall(r"milepost_\w+", expression))
        assert asked
        assert asked <= known


@pytest.mark.needs_platform
def test_panels_agree_with_the_kpi_answers(installation: Settings, minutes: Any) -> None:
    start = minutes.first + timedelta(hours=5)
    end = minutes.last - timedelta(hours=2)
    question = ask(datetime.now(UTC), start=start.isoformat(), end=end.isoformat())
    by_hub = ask(datetime.now(UTC), start=start.isoformat(), end=end.isoformat(), by=["hub_id"])
    with reader(installation) as store:
        expected = {row.kpi: row.value for row in answer(store, question, datetime.now(UTC)).rows}
        hubs = {
            (row.kpi, row.dimensions.get("hub_id")): row.value for row in answer(store, by_hub, datetime.now(UTC)).rows
        }
        for path in DASHBOARDS:
            for panel in panels(path):
                for target in panel["targets"]:
                    if "rawSql" not in target:
                        continue
                    rows = store.named(expanded(target["rawSql"], start, end))
                    assert rows, panel["title"]
                    if panel["type"] == "stat":
                        for name, value in rows[0].items():
                            assert value == pytest.approx(expected[name], rel=1e-9)
                    if panel["type"] == "table":
                        assert [row["hub_id"] for row in rows] == list(HUBS)
                        for row in rows:
                            for name, value in row.items():
                                if name in expected:
                                    assert value == pytest.approx(hubs[name, row["hub_id"]], rel=1e-9)


@pytest.mark.needs_platform
def test_the_hub_variable_lists_the_hubs(installation: Settings, minutes: Any) -> None:
    with reader(installation) as store:
        for path in DASHBOARDS:
            for variable in json.loads(path.read_text())["templating"]["list"]:
                assert [hub for (hub,) in store.query(variable["query"])] == list(HUBS)
