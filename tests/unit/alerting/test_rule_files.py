"""Every alert says whom it is for, what is wrong, and what to do."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from milepost import metrics
from milepost.domain.kpis import KPI_NAMES
from milepost.reading.windows import WINDOWS

DEPLOY = Path(__file__).parents[3] / "deploy"
ALERTS: list[dict[str, Any]] = [
    rule
    for path in sorted((DEPLOY / "prometheus" / "rules").glob("*.yml"))
    for group in yaml.safe_load(path.read_text())["groups"]
    for rule in group["rules"]
    if "alert" in rule
]


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])
def test_an_alert_says_what_to_do(alert: dict[str, Any]) -> None:
    assert {"severity", "team"} <= set(alert["labels"])
    assert {"summary", "description", "runbook_url"} <= set(alert["annotations"])
    runbook = DEPLOY / "runbooks" / alert["annotations"]["runbook_url"].rsplit("/deploy/runbooks/", 1)[1]
    assert alert["alert"] in runbook.read_text()


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])
def test_an_alert_asks_for_what_is_served(alert: dict[str, Any]) -> None:
    known = {value.name for value in vars(metrics).values() if isinstance(value, metrics.Metric)}
    assert set(re.findall(r"milepost_\w+", alert["expr"])) <= known
    assert set(re.findall(r'kpi="(\w+)"', alert["expr"])) <= set(KPI_NAMES)
    assert set(re.findall(r'window="(\w+)"', alert["expr"])) <= set(WINDOWS)
