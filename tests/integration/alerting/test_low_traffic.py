"""Thirty simulated days of hubs that meet their objective, most of them with little to do: nobody is woken."""

import json
import random
import shutil
import subprocess
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path

import pytest
import yaml

pytestmark = pytest.mark.needs_prometheus

RULES = Path(__file__).parents[3] / "deploy" / "prometheus" / "rules" / "promises.yml"
TARGET = 0.97
STEP = 30
"""Minutes between two evaluations: of every window and hub there is a number at each."""
DAYS = 30
STEPS = DAYS * 24 * 60 // STEP
WINDOWS = {"5m": 5, "30m": 30, "1h": 60, "6h": 360}
"""Those of the pages."""
HUBS = {"small": 3, "slow": 4, "middling": 6, "busy": 20}
"""Orders due an hour."""


def orders(seed: str, an_hour: float) -> Iterator[tuple[int, bool]]:
    """Every minute of the days: how many orders are due in it and whether each is kept, at random, at the objective."""
    chance = random.Random(seed)
    at = 0.0
    while (at := at + chance.expovariate(an_hour / 60)) < DAYS * 24 * 60:
        yield int(at), chance.random() < TARGET


def series(hub: str, an_hour: float) -> list[dict[str, str]]:
    """What the exporter would have served of the hub: the exact sums over every window, at each step."""
    due, kept = [0] * (DAYS * 24 * 60), [0] * (DAYS * 24 * 60)
    for minute, good in orders(f"thirty days of {hub}", an_hour):
        due[minute] += 1
        kept[minute] += good
    found = []
    for part, counts in (("denominator", due), ("numerator", kept)):
        sums = [0, *accumulate(counts)]
        for window, minutes in WINDOWS.items():
            values = (sums[at] - sums[max(0, at - minutes)] for at in range(0, DAYS * 24 * 60, STEP))
            name = f'milepost_kpi_{part}{{kpi="promise_kept", window="{window}", hub_id="{hub}"}}'
            found.append({"series": name, "values": " ".join(map(str, values))})
    return found


def test_thirty_days_at_the_objective_wake_nobody(tmp_path: Path) -> None:
    program = shutil.which("promtool")
    assert program is not None, "promtool comes with prometheus"
    rules = yaml.safe_load(RULES.read_text())
    # Tickets may come of it, and would take most of the time.
    rules["groups"][0]["rules"] = [
        rule for rule in rules["groups"][0]["rules"] if rule.get("labels", {}).get("severity") != "ticket"
    ]
    (tmp_path / "rules.yml").write_text(json.dumps(rules))
    length = f"{STEPS * STEP}m"
    quiet = [
        {"expr": f"count_over_time({one}[{length}])", "eval_time": length, "exp_samples": []}
        for one in ('ALERTS{severity="page"}', "milepost:hub_trouble")
    ]
    test = {
        "interval": f"{STEP}m",
        "input_series": [one for hub, an_hour in HUBS.items() for one in series(hub, an_hour)],
        "promql_expr_test": quiet,
    }
    (tmp_path / "test.yml").write_text(
        json.dumps({"rule_files": ["rules.yml"], "evaluation_interval": f"{STEP}m", "tests": [test]})
    )
    done = subprocess.run(
        [program, "test", "rules", str(tmp_path / "test.yml")], capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
