"""Who is told, and what makes an alert untrue."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ALERTMANAGER = Path(__file__).parents[3] / "deploy" / "alertmanager"
RULES = ALERTMANAGER.parent / "prometheus" / "rules"
PLAIN, EXAMPLE = (
    yaml.safe_load((ALERTMANAGER / name).read_text()) for name in ("alertmanager.yml", "alertmanager.example.yml")
)
ALERTS: dict[str, dict[str, Any]] = {
    rule["alert"]: rule
    for path in sorted(RULES.glob("*.yml"))
    for group in yaml.safe_load(path.read_text())["groups"]
    for rule in group["rules"]
    if "alert" in rule
}
SAME_TROUBLE = {"ObjectiveBurning", "ProcessorLagging"}
"""Tickets that their page silences: true all the same, and told once the page is over."""
_SECONDS = {"s": 1, "m": 60, "h": 3600}


def _names(matchers: list[str]) -> set[str]:
    """The alerts that matchers can be about."""
    found = set(ALERTS)
    for matcher in matchers:
        label, operator, value = re.fullmatch(r'(\w+)(=~|=)"(.*)"', matcher).groups()  # type: ignore[union-attr]
        if label == "job":
            continue
        found &= {
            name
            for name, alert in ALERTS.items()
            if re.fullmatch(
                value if operator == "=~" else re.escape(value), {"alertname": name, **alert["labels"]}[label]
            )
        }
    return found


def _keeps(name: str) -> int:
    number, unit = re.fullmatch(r"(\d+)([smh])", ALERTS[name]["keep_firing_for"]).groups()  # type: ignore[union-attr]
    return int(number) * _SECONDS[unit]


def test_both_configurations_route_alike() -> None:
    assert PLAIN["route"] == EXAMPLE["route"]
    assert PLAIN["inhibit_rules"] == EXAMPLE["inhibit_rules"]
    assert [one["name"] for one in PLAIN["receivers"]] == [one["name"] for one in EXAMPLE["receivers"]]
    assert all(set(receiver) == {"name"} for receiver in PLAIN["receivers"])


def test_no_secret_stands_in_a_configuration() -> None:
    text = (ALERTMANAGER / "alertmanager.example.yml").read_text()
    secrets = re.findall(r"^\s*(?:- )?(\w*(?:password|key|token|api_url|credentials)\w*): (.*)$", text, re.M)
    assert secrets
    assert all(name.endswith("_file") and value.startswith("/etc/alertmanager/secrets/") for name, value in secrets)


@pytest.mark.parametrize("rule", PLAIN["inhibit_rules"], ids=lambda rule: " ".join(rule["target_matchers"]))
def test_a_cause_outlasts_the_page_that_it_makes_untrue(rule: dict[str, Any]) -> None:
    sources, targets = _names(rule["source_matchers"]), _names(rule["target_matchers"])
    assert sources
    assert targets
    # A region has no hub, so nothing that is about one hub is its cause.
    targets -= {"RegionBreakingPromises"} if "hub_id" in rule.get("equal", ()) else set()
    pages = {name for name in targets - sources if ALERTS[name]["labels"]["severity"] == "page"} - SAME_TROUBLE
    short = [(a, b) for a in sources for b in pages if _keeps(a) <= _keeps(b)]
    assert short == []


def test_drift_and_dead_letters_make_nothing_untrue() -> None:
    sources = set().union(*(_names(rule["source_matchers"]) for rule in PLAIN["inhibit_rules"]))
    assert sources & {"ReconcileDrift", "ReconcileStale", "DeadLettersGrowing", "PartitionPaused"} == set()


def test_the_dead_mans_switch_is_never_silenced() -> None:
    assert all("Watchdog" not in _names(rule["target_matchers"]) for rule in PLAIN["inhibit_rules"])
