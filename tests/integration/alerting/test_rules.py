"""The rules and configurations as the programs that read them see them."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from milepost.docs.alerts import promises
from milepost.domain.sla.policy import Objective, Policies
from milepost.embedded.alerting import alertmanager_config

pytestmark = pytest.mark.needs_prometheus

DEPLOY = Path(__file__).parents[3] / "deploy"
ALERTMANAGER = DEPLOY / "alertmanager"


def run(*command: str) -> str:
    program = shutil.which(command[0])
    if program is None:
        pytest.fail(f"{command[0]} comes with prometheus and alertmanager, but is not installed")
    done = subprocess.run([program, *command[1:]], capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_rules_do_what_their_tests_say() -> None:
    rules = sorted((DEPLOY / "prometheus" / "rules").glob("*.yml"))
    tests = sorted((DEPLOY / "prometheus" / "tests").glob("*.yml"))
    assert {path.stem.removesuffix("_test") for path in tests} == {path.stem for path in rules}
    run("promtool", "check", "rules", *map(str, rules))
    run("promtool", "test", "rules", *map(str, tests))


def test_the_configurations_are_valid() -> None:
    run("promtool", "check", "config", "--syntax-only", str(DEPLOY / "prometheus" / "prometheus.yml"))
    for path in sorted(ALERTMANAGER.glob("alertmanager*.yml")):
        run("amtool", "check-config", str(path))


def test_the_embedded_platforms_configuration_is_valid(tmp_path: Path) -> None:
    for webhook in (None, "http://127.0.0.1:1/hook"):
        (tmp_path / "alertmanager.yml").write_text(alertmanager_config(webhook))
        said = run("amtool", "check-config", str(tmp_path / "alertmanager.yml"))
        assert "1 templates" in said


def test_hubs_burn_by_targets_of_their_own(tmp_path: Path) -> None:
    """30 % fail at both: BER-1 may let 10 % fail, which is 3 budgets, all others 3 %, which is 10."""
    own = Objective("kept", "promise_kept", 0.97, "30d", 20, 5, {"BER-1": 0.90})
    (tmp_path / "rules.yml").write_text(promises.render(Policies(1, objectives=(own,))))
    series = [
        {
            "series": f'milepost_kpi_{part}{{kpi="promise_kept", window="{window}", hub_id="{hub}"}}',
            "values": f"{number}x10",
        }
        for hub in ("BER-1", "HAM-1")
        for window in ("6h", "30m")
        for part, number in (("denominator", 100), ("numerator", 70))
    ]
    firing = 'ALERTS{alertname="HubBreakingPromises", alertstate="firing"}'
    labels = firing.replace("}", ', hub_id="HAM-1", severity="page", team="operations"}')
    case = {"expr": firing, "eval_time": "5m", "exp_samples": [{"labels": labels, "value": 1}]}
    test = {"interval": "1m", "input_series": series, "promql_expr_test": [case]}
    (tmp_path / "test.yml").write_text(
        json.dumps({"rule_files": ["rules.yml"], "evaluation_interval": "1m", "tests": [test]})
    )
    run("promtool", "test", "rules", str(tmp_path / "test.yml"))


@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        (("alertname=HubBreakingPromises", "team=operations", "severity=page", "hub_id=BER-1"), "operations-pages"),
        (("alertname=ObjectiveBurning", "team=operations", "severity=ticket", "hub_id=BER-1"), "operations-tickets"),
        (("alertname=SourceSilent", "team=platform", "severity=page", "hub_id=BER-1"), "platform-pages"),
        (("alertname=CanaryLate", "team=platform", "severity=page"), "platform-pages"),
        (("alertname=DeadLettersGrowing", "team=platform", "severity=ticket"), "platform-tickets"),
        (("alertname=Watchdog", "team=platform", "severity=none"), "watchdog"),
        (("alertname=Unheard",), "platform-tickets"),
    ],
)
def test_an_alert_goes_to_its_team(labels: tuple[str, ...], receiver: str) -> None:
    said = run("amtool", "config", "routes", "test", f"--config.file={ALERTMANAGER}/alertmanager.yml", *labels)
    assert said.split()[-1] == receiver


def alert(number: int, status: str = "firing") -> dict[str, object]:
    return {
        "status": status,
        "labels": {"alertname": "HubBreakingPromises", "hub_id": f"H-{number}", "severity": "page"},
        "annotations": {
            "summary": f"Hub H-{number} <is> in trouble",
            "description": "12 of 40 came late.",
            "runbook_url": "https://example.com/runbook.md",
            "dashboard_url": f"https://example.com/d/milepost-hub?var-hub=H-{number}",
        },
        "startsAt": "2026-03-02T14:05:00Z",
        "endsAt": "2026-03-02T15:10:00Z" if status == "resolved" else "0001-01-01T00:00:00Z",
    }


def rendered(tmp_path: Path, template: str, alerts: list[dict[str, object]], severity: str = "page") -> str:
    """A template as Alertmanager would send it about ``alerts``."""
    status = "firing" if any(one["status"] == "firing" for one in alerts) else "resolved"
    group = {"status": status, "alerts": alerts, "commonLabels": {"severity": severity}, "groupLabels": {}}
    (tmp_path / "group.json").write_text(json.dumps(group))
    kind = ("--template.type=html",) if template == "html" else ()
    text = f'--template.text={{{{ template "milepost.{template}" . }}}}'
    files = f"--template.glob={ALERTMANAGER}/templates/*.tmpl"
    return run("amtool", "template", "render", *kind, files, f"--template.data={tmp_path}/group.json", text)


def test_messages_say_what_whom_since_when_and_where_to_look(tmp_path: Path) -> None:
    assert rendered(tmp_path, "title", [alert(1)]) == "Hub H-1 <is> in trouble"
    assert rendered(tmp_path, "title", [alert(1), alert(2)]) == "Hub H-1 <is> in trouble (one of 2 alerts)"
    assert rendered(tmp_path, "title", [alert(1)], "ticket") == "Ticket: Hub H-1 <is> in trouble"
    assert rendered(tmp_path, "title", [alert(1, "resolved")]) == "Over: Hub H-1 <is> in trouble"
    text = rendered(tmp_path, "text", [alert(1), alert(2, "resolved")])
    assert text.splitlines() == [
        "Hub H-1 <is> in trouble",
        "12 of 40 came late.",
        "Since 2026-03-02 14:05 UTC. What to do: https://example.com/runbook.md",
        "Look: https://example.com/d/milepost-hub?var-hub=H-1",
        "",
        "Over:",
        "- Hub H-2 <is> in trouble",
        "  over since 2026-03-02 15:10 UTC, began 2026-03-02 14:05 UTC",
    ]
    assert "Hub H-1 &lt;is&gt; in trouble" in rendered(tmp_path, "html", [alert(1), alert(2, "resolved")])
    assert rendered(tmp_path, "runbook", [alert(1)]) == "https://example.com/runbook.md"
    assert rendered(tmp_path, "dashboard", [alert(3)]) == "https://example.com/d/milepost-hub?var-hub=H-3"


def test_a_message_about_fifty_hubs_stays_readable(tmp_path: Path) -> None:
    text = rendered(tmp_path, "text", [alert(number) for number in range(50)])
    assert text.startswith("50 alerts, ten of them:")
    assert text.count("in trouble") == 10


@pytest.mark.parametrize(
    ("alerts", "severity", "color"),
    [([alert(1)], "page", "danger"), ([alert(1)], "ticket", "warning"), ([alert(1, "resolved")], "page", "good")],
)
def test_colors(tmp_path: Path, alerts: list[dict[str, object]], severity: str, color: str) -> None:
    assert rendered(tmp_path, "color", alerts, severity) == color
