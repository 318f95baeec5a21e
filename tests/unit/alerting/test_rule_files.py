"""Every alert says whom it is for, what is wrong, and what to do; and is tested firing and quiet."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from milepost import metrics
from milepost.domain.kpis import KPI_NAMES
from milepost.domain.windows import WINDOWS

DEPLOY = Path(__file__).parents[3] / "deploy"
RULES: list[dict[str, Any]] = [
    rule
    for path in sorted((DEPLOY / "prometheus" / "rules").glob("*.yml"))
    for group in yaml.safe_load(path.read_text())["groups"]
    for rule in group["rules"]
]
ALERTS = [rule for rule in RULES if "alert" in rule]
NAMES = sorted({alert["alert"] for alert in ALERTS})
TESTS = [
    test
    for path in sorted((DEPLOY / "prometheus" / "tests").glob("*.yml"))
    for test in yaml.safe_load(path.read_text())["tests"]
]
NEVER_QUIET = {"Watchdog"}
"""It always fires: that is what it is for."""


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])
def test_an_alert_says_what_to_do(alert: dict[str, Any]) -> None:
    labels, annotations = alert["labels"], alert["annotations"]
    assert labels["team"] in {"operations", "platform"}
    assert labels["severity"] in ({"none"} if alert["alert"] == "Watchdog" else {"page", "ticket"})
    assert set(annotations) == {"summary", "description", "dashboard_url", "runbook_url"}
    assert re.match(
        r"http://127\.0\.0\.1:3000/d/milepost-[a-z-]+(\?var-hub=\{\{.*\}\})?$", annotations["dashboard_url"]
    )
    runbook = DEPLOY / "runbooks" / annotations["runbook_url"].rsplit("/deploy/runbooks/", 1)[1]
    assert f"`{alert['alert']}`" in runbook.read_text()
    assert "keep_firing_for" in alert or alert["alert"] == "Watchdog"


def test_there_is_a_runbook_for_each_alert_and_no_other() -> None:
    said = {alert["annotations"]["runbook_url"].rsplit("/", 1)[1] for alert in ALERTS}
    assert {path.name for path in (DEPLOY / "runbooks").iterdir()} == said
    assert len(said) == len(NAMES)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.get("alert") or rule["record"])
def test_a_rule_asks_for_what_is_served(rule: dict[str, Any]) -> None:
    known = {value.name for value in vars(metrics).values() if isinstance(value, metrics.Metric)}
    recorded = {one["record"] for one in RULES if "record" in one}
    texts = " ".join((rule["expr"], *rule.get("annotations", {}).values()))
    assert set(re.findall(r"\bmilepost_\w+", texts)) <= known
    assert set(re.findall(r"\bmilepost:\w+", texts)) <= recorded
    assert set(re.findall(r'kpi="(\w+)"', texts)) <= set(KPI_NAMES)
    windows = {window for found in re.findall(r'window=~?"([\w|]+)"', texts) for window in found.split("|")}
    assert windows <= set(WINDOWS)


def _asked(fires: bool) -> set[str]:
    """Alerts of which some promtool test says that they fire, or that they do not."""
    found = {
        case["alertname"]
        for test in TESTS
        for case in test.get("alert_rule_test", ())
        if bool(case["exp_alerts"]) is fires
    }
    if not fires:
        return found
    for test in TESTS:
        for case in test.get("promql_expr_test", ()):
            found |= set(re.findall(r'alertname="(\w+)"', str(case["exp_samples"])))
    return found


def test_every_alert_is_tested_firing_and_quiet() -> None:
    assert _asked(fires=True) == set(NAMES)
    assert _asked(fires=False) == set(NAMES) - NEVER_QUIET
