"""The soak in little: the store away for some seconds under load, as `make soak-sink` has it for minutes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.needs_platform, pytest.mark.embedded_only]

TESTS = Path(__file__).parents[1]
SECONDS = 6


def test_the_store_away_under_load_costs_nothing_but_time(tmp_path: Path) -> None:
    """Exact truth at the end, nothing lost or double; one worker all the time, which says what it waits for."""
    report = tmp_path / "soak.json"
    command = [sys.executable, "-m", "soak", "sink", "--rate", "400", "--pause", "0.5"]
    done = subprocess.run(
        [*command, "--seconds", str(SECONDS), "--json", str(report)],
        cwd=TESTS,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert report.exists(), done.stderr[-4_000:]
    found = json.loads(report.read_text())
    assert found["faults"] == []
    figures = found["figures"]
    assert (figures["lost"], figures["double"], figures["kpi_differences"]) == (0, 0, 0)
    assert figures["most_lag"] > SECONDS * 400 / 2
