"""The dashboard files: complete, consistent, and about what exists. What their queries answer is tested elsewhere."""

import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml
from grafana_queries import Document, documents, queries, variable_queries

from milepost import metrics
from milepost.docs.committed import committed
from milepost.docs.dashboards import colours, sql
from milepost.docs.dashboards.catalogue import BUILDERS, written
from milepost.docs.dashboards.catalogue import documents as built
from milepost.docs.dashboards.frame import HOME
from milepost.docs.dashboards.goals import Goals
from milepost.docs.dashboards.parts import CLICKHOUSE_PLUGIN
from milepost.domain.kpis import KPI_NAMES, KPIS
from milepost.domain.measures import BUCKETS_PER_HISTOGRAM, bucket_key, bucket_middle
from milepost.domain.sla.policy import Band, Objective, Policies
from milepost.reading.windows import WINDOWS

ROOT = Path(__file__).parents[3]
DASHBOARDS = documents()
PANELS = [
    (uid, panel) for uid, document in DASHBOARDS.items() for panel in document["panels"] if panel["type"] != "row"
]
NAMES = {"milepost-control-room", "milepost-delivery-time", "milepost-accuracy", "milepost-cost", "milepost-customers",
         "milepost-hub", "milepost-courier", "milepost-order", "milepost-sla", "milepost-platform"}  # fmt: skip
VIEWS = {"kpi_minutes", "kpi_hours", "kpi_hub_hours", "kpi_delivery_histograms", "kpi_days", "kpi_courier_days",
         "orders", "events", "dead_letters", "sla_events", "sla_now", "installation", "system.time_zones"}  # fmt: skip


def _panel_id(value: object) -> str | None:
    return value["title"] if isinstance(value, dict) else value if isinstance(value, str) else None


each_dashboard = pytest.mark.parametrize("document", DASHBOARDS.values(), ids=DASHBOARDS)
each_panel = pytest.mark.parametrize(("uid", "panel"), PANELS, ids=_panel_id)


def test_all_ten_are_there_and_the_builders_name_them() -> None:
    assert set(DASHBOARDS) == set(BUILDERS) == NAMES
    assert {document["uid"] for document in built().values()} == NAMES
    assert len({document["title"] for document in DASHBOARDS.values()}) == len(NAMES)


def test_the_same_dashboards_are_the_same_text() -> None:
    assert [written(one) for one in built().values()] == [written(one) for one in built().values()]


@each_dashboard
def test_a_dashboard_has_what_every_one_has(document: Document) -> None:
    assert document["description"].endswith("?")
    assert "milepost" in document["tags"]
    assert document["refresh"] in document["timepicker"]["refresh_intervals"]
    assert document["timezone"] == "browser"
    assert document["annotations"]["list"][0]["builtIn"] == 1
    asked = {one["name"] for one in document["annotations"]["list"][1:]}
    assert asked == {"Alerts", "Deploys and incidents"}
    assert all(link["keepTime"] and link["includeVars"] for link in document["links"])


@each_dashboard
def test_panels_do_not_overlap_and_fill_each_line(document: Document) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in document["panels"]:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert max(x for x, _ in cells) < 24
        assert not cells & taken, panel["title"]
        taken |= cells
    bottom = max(y for _, y in taken) + 1
    assert len(taken) == 24 * bottom, "there is a hole in the grid"
    assert len({panel["id"] for panel in document["panels"]}) == len(document["panels"])
    assert len({panel["title"] for panel in document["panels"]}) == len(document["panels"])


@each_panel
def test_a_panel_says_what_it_is(uid: str, panel: dict[str, Any]) -> None:
    assert len(panel["description"]) > 30
    defaults = panel["fieldConfig"]["defaults"]
    assert defaults["unit"]
    if panel["type"] != "alertGroups":
        assert panel["targets"]
        assert "noValue" in defaults
    for target in panel["targets"]:
        for kpi in KPIS:
            if re.search(rf" AS {kpi.name}\b", target.get("rawSql", "")) and kpi.stage is None:
                assert f"{kpi.name} v{kpi.version}" in panel["description"] or _in_a_column(panel, kpi.name), kpi.name


def _in_a_column(panel: dict[str, Any], name: str) -> bool:
    return any(
        name in str(prop["value"])
        for override in panel["fieldConfig"]["overrides"]
        for prop in override["properties"]
        if prop["id"] == "description"
    )


@each_panel
def test_nothing_is_green_for_want_of_data(uid: str, panel: dict[str, Any]) -> None:
    defaults = panel["fieldConfig"]["defaults"]
    if panel["type"] != "stat":
        return
    special = [mapping for mapping in defaults["mappings"] if mapping["type"] == "special"]
    assert special[0]["options"]["match"] == "null+nan"
    assert special[0]["options"]["result"]["color"] == colours.GREY
    steps = defaults["thresholds"]["steps"]
    assert steps[0]["value"] is None
    assert [step["value"] for step in steps[1:]] == sorted(step["value"] for step in steps[1:])
    for expression in (target.get("expr", "") for target in panel["targets"]):
        assert "vector(" not in expression, f"{uid}: a zero made of nothing"


def test_limits_are_those_of_the_policies() -> None:
    changed = Policies(2, objectives=(Objective("p", "promise_kept", 0.5, "30d", 1, 1),), bands=(
        Band("o", "otif", "1d", 1, at_least=0.25), Band("c", "cost_per_delivery", "7d", 1, at_most=3.5)))  # fmt: skip
    found = {
        step["value"]
        for document in built(changed).values()
        for panel in document["panels"]
        if panel["type"] == "stat"
        for step in panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
    }
    assert {0.5, 0.25} <= found
    assert any(isinstance(value, float) and abs(value - 3.5) < 1e-6 for value in found)
    goals = Goals(committed())
    typed_again = {goal.limit for kpi in KPIS if (goal := goals.of(kpi))}
    assert not typed_again & {value for value in found if value is not None}


def test_a_hub_with_a_target_of_its_own_has_a_budget_of_its_own() -> None:
    one = Objective("p", "promise_kept", 0.97, "30d", 1, 1, hubs={"BER.1": 0.9, "HAM-1": 0.9})
    document = built(Policies(2, objectives=(one,)))["milepost-sla"]
    (panel,) = [panel for panel in document["panels"] if panel["title"] == "Error budget by hub"]
    left = panel["targets"][0]["expr"]
    others, own = left.split(" or ")
    assert 'hub_id!~"BER[.]1|HAM-1"' in others
    assert "/ 0.03" in others
    assert 'hub_id=~"BER[.]1|HAM-1"' in own
    assert "/ 0.1" in own
    assert "BER.1 90 %" in panel["description"]


def test_a_value_on_the_limit_is_good() -> None:
    lower = colours.steps(12.0, higher_is_better=False)["steps"]
    assert lower[1]["value"] > 12.0
    assert lower[0]["color"] == colours.GOOD
    higher = colours.steps(0.97, higher_is_better=True)["steps"]
    assert (higher[1]["value"], higher[1]["color"]) == (0.97, colours.GOOD)


@each_panel
def test_datasources_are_provisioned(uid: str, panel: dict[str, Any]) -> None:
    provisioned = _provisioned()
    for asked in (panel, *panel["targets"], *DASHBOARDS[uid]["templating"]["list"]):
        if "datasource" in asked:
            assert provisioned[asked["datasource"]["uid"]]["type"] == asked["datasource"]["type"]


def _provisioned() -> dict[str, dict[str, Any]]:
    text = (ROOT / "grafana/provisioning/datasources/milepost.yml").read_text()
    return {source["uid"]: source for source in yaml.safe_load(text)["datasources"]}


def test_provisioning_names_what_is_there() -> None:
    sources = _provisioned()
    assert set(sources) == {"milepost-clickhouse", "milepost-prometheus", "milepost-alertmanager"}
    assert [source["name"] for source in sources.values() if source.get("isDefault")] == ["Milepost ClickHouse"]
    assert all(source["editable"] is False for source in sources.values())
    alertmanagers = [panel["options"]["alertmanager"] for _, panel in PANELS if panel["type"] == "alertGroups"]
    assert set(alertmanagers) == {sources["milepost-alertmanager"]["name"]}
    limits = {
        one["setting"]: float(one["value"]) for one in sources["milepost-clickhouse"]["jsonData"]["customSettings"]
    }
    assert {"max_execution_time", "max_rows_to_read", "max_memory_usage", "max_result_rows"} <= set(limits)
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    grafana = compose["services"]["grafana"]
    provider = yaml.safe_load((ROOT / "grafana/provisioning/dashboards/milepost.yml").read_text())["providers"][0]
    mounted = {volume.split(":")[1]: volume.split(":")[0] for volume in grafana["volumes"] if volume.startswith("./")}
    assert mounted[provider["options"]["path"]] == "./grafana/dashboards"
    home = grafana["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert home == f"{provider['options']['path']}/{HOME}.json"
    reached = {source["url"].split("//")[1].split(":")[0] for source in sources.values() if "url" in source}
    assert reached <= set(compose["services"])
    assert f"grafana-clickhouse-datasource@{CLICKHOUSE_PLUGIN}" in (ROOT / ".env").read_text()


@each_panel
def test_prometheus_is_asked_for_metrics_that_exist(uid: str, panel: dict[str, Any]) -> None:
    known = {value.name: value for value in vars(metrics).values() if isinstance(value, metrics.Metric)}
    for expression in (target["expr"] for target in panel["targets"] if "expr" in target):
        for name, labels in re.findall(r"\b(milepost_\w+)(?:\{([^}]*(?:\}[^}]*?)*?)\})?", expression):
            base = re.sub(r"_(bucket|count|sum)$", "", name)
            metric = known.get(name) or known[base]
            assert set(re.findall(r'(\w+)=~?"', labels)) <= {*metric.labels, "le"}, uid
        assert set(re.findall(r'kpi="(\w+)"', expression)) <= set(KPI_NAMES)
        assert set(re.findall(r'window="(\w+)"', expression)) <= set(WINDOWS)


@each_dashboard
def test_only_the_order_reads_the_log_and_by_its_key(document: Document) -> None:
    asked = [sql for _, sql in queries(document, "rawSql")] + [sql for _, sql in variable_queries(document)]
    for text in asked:
        sources = set(re.findall(r"\b(?:FROM|(?<!ARRAY )JOIN) ([a-z_.]+)\b(?!\()", text)) - {"numbers"}
        assert sources <= VIEWS, sources - VIEWS
        assert "_store" not in text
        if sources & {"events", "orders", "dead_letters"}:
            assert document["uid"] == "milepost-order"
            assert re.search(r"WHERE (subject|order_id) = \$\{order:singlequote\}", text)


@each_dashboard
def test_couriers_are_no_labels_and_rates_of_them_need_stops(document: Document) -> None:
    for _, expression in queries(document, "expr"):
        assert "courier" not in expression
    for _, text in queries(document, "rawSql"):
        if "kpi_courier_days" in text:
            assert "sum(k.attempted) >= ${stops}" in text


def _urls(node: Any) -> list[str]:
    if isinstance(node, list):
        return [url for item in node for url in _urls(item)]
    if isinstance(node, dict):
        own = [node["url"]] if node.get("url") else []
        return own + [url for value in node.values() for url in _urls(value)]
    return []


@each_dashboard
def test_links_resolve_and_keep_the_time(document: Document) -> None:
    for url in _urls(document):
        parts = urlsplit(url)
        target = DASHBOARDS[parts.path.removeprefix("/d/")]
        variables = {one["name"] for one in target["templating"]["list"]}
        passed = {name.removeprefix("var-") for name in parse_qs(parts.query) if name.startswith("var-")}
        assert passed <= variables, url
        if passed:
            assert "${__url_time_range}" in url
    for panel in document["panels"]:
        for override in panel.get("fieldConfig", {}).get("overrides", ()):
            for prop in override["properties"]:
                if prop["id"] == "links":
                    fields = re.findall(r"__data\.fields\.(\w+)", str(prop["value"]))
                    asked = " ".join(target.get("rawSql", target.get("expr", "")) for target in panel["targets"])
                    assert all(re.search(rf"\b{field}\b", asked) for field in fields), panel["title"]


def test_one_can_go_down_from_a_hub_to_an_orders_timeline() -> None:
    assert any("/d/milepost-hub?var-hub=" in url for url in _urls(DASHBOARDS["milepost-control-room"]))
    assert any("/d/milepost-order?var-order=" in url for url in _urls(DASHBOARDS["milepost-hub"]))
    assert any("/d/milepost-courier?" in url for url in _urls(DASHBOARDS["milepost-hub"]))


@each_dashboard
def test_every_variable_that_is_used_is_there(document: Document) -> None:
    there = {one["name"] for one in document["templating"]["list"]}
    text = written({**document, "links": []})
    used = set(re.findall(r"\$\{(\w+)(?::\w+)?\}", text)) | set(re.findall(r", \$(\w+)\)", text))
    assert {name for name in used if not name.startswith("__")} <= there
    assert {name for name in there if name not in used} == set()


@pytest.mark.parametrize("seconds", [0.5, 1, 7, 60, 900, 3_600, 86_400, 30 * 86_400])
def test_a_buckets_middle_follows_from_its_number(seconds: float) -> None:
    key = bucket_key(0, int(seconds * 1e6))
    anchor, growth, number = re.findall(r"if\(key = 0, 0, ([\d.]+) \* pow\(([\d.]+), toInt32\(key\) - (\d+)\)",
                                        sql.delivery_histogram())[0]  # fmt: skip
    assert key < BUCKETS_PER_HISTOGRAM
    assert float(anchor) * float(growth) ** (key - int(number)) == pytest.approx(bucket_middle(key) / 6e7, rel=3e-4)
