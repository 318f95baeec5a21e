"""From an event to the page, and back: break promises and be told once; keep them after all and it resolves.

Everything is real: Kafka, ClickHouse, edge, processor, exporter, the repository's rules and routes, Prometheus,
Alertmanager. Only the intervals are shorter than in operation, and whoever is on call is a server in this test.
`make drill` runs it with the intervals of operation.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import httpx
import pytest
from on_call import Drill, OnCall, monitoring, on_call, wait_until
from spine import install
from typer.testing import CliRunner

from milepost.cli.main import build
from milepost.embedded.alerting import prometheus_config
from milepost.embedded.parts import full_platform
from milepost.embedded.platform import Platform
from milepost.embedded.process import environment
from milepost.settings import Service, Settings

pytestmark = [pytest.mark.needs_platform, pytest.mark.needs_prometheus, pytest.mark.timeout(1500)]

REAL_PACE = os.environ.get("MILEPOST_TEST_PACE") == "real"
PATIENCE = 900.0 if REAL_PACE else 120.0
SERVICES = (Service.ORDERS, Service.PROCESSOR, Service.EXPORTER, Service.INSIGHTS, Service.AUDITOR)
ORDERS_A_HUB = 25
QUIET_SECONDS = 8.0
"""Longer than several scrapes, evaluations and group intervals: what was to be repeated would have been."""
ALLOWED_SECONDS = 120.0
"""From the threshold and the minimum being met to the page."""
BACKFILLED = 1000
RUNBOOKS = Path(__file__).parents[3] / "deploy" / "runbooks"


class Stage:
    """The platform with its monitoring, who is on call, and a command line for it."""

    def __init__(self, platform: Platform, person: OnCall, milepost: Callable[..., CompletedProcess[str]]) -> None:
        self.settings = platform.settings
        self.person = person
        self.watching = Drill(platform.settings)
        self.milepost = milepost

    def post(self, events: list[dict[str, Any]]) -> None:
        answer = httpx.post(
            f"{self.settings.url_of(Service.ORDERS)}/v1/events",
            content=json.dumps(events),
            headers={"Content-Type": "application/cloudevents-batch+json"},
            timeout=30,
        )
        assert answer.status_code == 202, answer.text

    def due(self, window: str) -> float:
        """How many orders the numbers that Prometheus has say were due."""
        return self.watching.value(f'sum(milepost_kpi_denominator{{kpi="promise_kept", window="{window}"}})') or 0.0


@pytest.fixture(scope="module")
def stage(
    tmp_path_factory: pytest.TempPathFactory,
    free_settings: Callable[[], Settings],
    milepost: Callable[..., CompletedProcess[str]],
) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("alert")
    settings = free_settings()
    with on_call() as person, Platform(folder / "platform", settings) as platform:
        install(settings)
        parts = {part.name: part for part in full_platform(platform.data, settings, 1, with_prometheus=False)}
        jobs: Any = prometheus_config(settings, 1)["scrape_configs"]
        scraping = [job for job in jobs if job["job_name"] in {service.value for service in SERVICES}]
        monitors = monitoring(folder / "monitoring", settings, person.url, scraping, hurry=not REAL_PACE)
        names = [service.value for service in SERVICES]
        for started in ([parts[name] for name in names], monitors):
            for part in started:
                platform.add(part)
                platform.start(part.name, wait=False)
            for part in started:
                platform.wait_ready(part.name)
        yield Stage(platform, person, milepost)


def event(kind: str, order_id: str, time_of_it: datetime, **data: Any) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": f"{order_id}-{kind}",
        "source": "/test",
        "type": f"milepost.{kind}.v1",
        "time": time_of_it.isoformat(),
        "subject": order_id,
        "data": {"order_id": order_id, **data},
    }


@pytest.mark.skipif(REAL_PACE, reason="a drill of the page alone")
def test_a_months_backfill_pages_nobody(stage: Stage, tmp_path: Path) -> None:
    """A city that keeps far less than the objective, all of its last month at once, until two hours ago."""
    start = (datetime.now(UTC) - timedelta(days=30, hours=6)).isoformat(timespec="seconds")
    file = tmp_path / "month.jsonl"
    stage.milepost(
        stage.settings, "simulate", "--orders", str(BACKFILLED), "--days", "30", "--hubs", "2", "--start", start,
        "--no-conflicts", "--out", str(file),
    )  # fmt: skip
    stage.milepost(stage.settings, "send", str(file), timeout=240, check=False)
    wait_until(lambda: stage.due("30d") > 0.8 * BACKFILLED, "the month is in the numbers", PATIENCE)
    wait_until(lambda: stage.watching.value("sum(milepost_processor_lag_records)") == 0, "all is processed", PATIENCE)
    time.sleep(QUIET_SECONDS)
    assert stage.watching.value('count(ALERTS{alertname=~"(Hub|Region)BreakingPromises"})') is None
    assert stage.person.pages(team="operations") == []


def test_a_hub_that_collapses_is_told_once_and_resolves(stage: Stage) -> None:
    now = datetime.now(UTC)
    # Due in a while, where it is timed; else a moment ago, in the minute that has ended last.
    soon = now.replace(second=50, microsecond=0) + timedelta(minutes=1 if now.second > 40 else 0)
    promised = soon if REAL_PACE else now.replace(second=0, microsecond=0) - timedelta(seconds=10)
    placed, delivered = now - timedelta(minutes=90), now - timedelta(minutes=3)
    hubs = {hub: [f"{hub}-{n}" for n in range(ORDERS_A_HUB)] for hub in ("BER-1", "HAM-1", "MUC-1", "LEJ-1")}
    lines = [{"sku": "x", "quantity": 1}]
    stage.post(
        [
            event("order.placed", order, placed, hub_id=hub, promised_until=promised.isoformat(), lines=lines)
            for hub, orders in hubs.items()
            for order in orders
        ]
        + [event("delivery.delivered", order, delivered) for hub in hubs if hub != "BER-1" for order in hubs[hub]],
    )
    pages = stage.person.wait_for("firing", seconds=PATIENCE, team="operations")
    took = (datetime.now(UTC) - promised).total_seconds()
    sys.stderr.write(f"\nfrom the deadline of {ORDERS_A_HUB} orders to the page: {took:.1f} s\n")
    [page] = pages
    [firing] = page["alerts"]
    assert firing["labels"] == {
        "alertname": "HubBreakingPromises", "hub_id": "BER-1", "severity": "page", "team": "operations",
    }  # fmt: skip
    summary = firing["annotations"]["summary"]
    assert summary.startswith("Hub BER-1 is breaking its promises since ")
    assert f"{ORDERS_A_HUB} of the {ORDERS_A_HUB} orders due in the last hour did not come in time" in summary
    assert not REAL_PACE or took < ALLOWED_SECONDS
    time.sleep(QUIET_SECONDS)
    assert len(stage.person.pages(team="operations")) == 1

    # The couriers had no network: what they delivered in time is heard of now, and counts where it belongs.
    stage.post([event("delivery.delivered", order, delivered) for order in hubs["BER-1"]])
    [over] = stage.person.wait_for("resolved", seconds=PATIENCE, team="operations")
    assert over["alerts"][0]["labels"] == firing["labels"]
    assert len(stage.person.pages(team="operations")) == 1


def commands() -> list[tuple[str, str]]:
    """Every command of every runbook."""
    return [
        (path.name, line)
        for path in sorted(RUNBOOKS.glob("*.md"))
        for block in re.findall(r"```sh\n(.*?)```", path.read_text(), re.S)
        for line in block.strip().splitlines()
    ]


def test_runbooks_have_commands_in_blocks_only() -> None:
    said = {line for _, line in commands()}
    for path in RUNBOOKS.glob("*.md"):
        prose = re.sub(r"```.*?```", "", path.read_text(), flags=re.S)
        inline = re.findall(r"`((?:milepost|curl|promtool|amtool) [^`]*)`", prose)
        assert [one for one in inline if one not in said] == [], path.name


@pytest.mark.skipif(REAL_PACE, reason="a drill of the page alone")
def test_every_command_of_a_runbook_runs(stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Against the platform as it runs, with a hub, an order and a dead letter that are there."""
    known = {"HUB": "BER-1", "ORDER": "twice", "LETTER": _dead_letter(stage)}
    ports = {8000 + offset: stage.settings.port_base + offset for offset in (101, 110, 111, 112, 120, 1090, 1093)}
    for name, value in {**environment(stage.settings), "MILEPOST_KEYS": str(tmp_path / "keys.json")}.items():
        monkeypatch.setenv(name, value)
    failed = []
    for line in dict.fromkeys(line for _, line in commands()):
        text = re.sub(r"127\.0\.0\.1:(\d+)", lambda found: f"127.0.0.1:{ports[int(found[1])]}", line)
        for name, value in known.items():
            text = re.sub(rf"\b{name}\b", value, text)
        program, *arguments = shlex.split(text)
        code, said = _run(program, arguments)
        # What looks and finds something wrong says so by 1: not all of the platform runs here.
        if code not in ((0, 1) if arguments[0] in {"doctor", "reconcile"} else (0,)):
            failed.append(f"{text}\n  {code}: {said[-800:]}")
    assert failed == [], "\n".join(failed)


def _run(program: str, arguments: list[str]) -> tuple[int, str]:
    """Run a command; `milepost` in this process, for it is imported already. Its exit code and what it said."""
    if program == "milepost":
        done = CliRunner().invoke(build(), arguments)
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            return 70, repr(done.exception)
        return done.exit_code, done.output
    found = shutil.which(program)
    assert found is not None, f"{program} is not installed"
    process = subprocess.run([found, *arguments], capture_output=True, text=True, timeout=120, check=False)
    return process.returncode, process.stdout + process.stderr


def _dead_letter(stage: Stage) -> str:
    """The name of a dead letter: a sender that uses an event's identity for something else."""
    placed = datetime.now(UTC) - timedelta(minutes=1)
    for hub in ("BER-1", "HAM-1"):
        promised = (placed + timedelta(hours=2)).isoformat()
        lines = [{"sku": "x", "quantity": 1}]
        stage.post([event("order.placed", "twice", placed, hub_id=hub, promised_until=promised, lines=lines)])

    def letters() -> list[dict[str, Any]]:
        said = json.loads(stage.milepost(stage.settings, "dead-letters", "ls", "--json").stdout)
        return list(said["letters"])

    wait_until(lambda: bool(letters()), "a dead letter", PATIENCE)
    letter = letters()[0]
    return f"{letter['topic']}/{letter['partition']}/{letter['offset']}"
