"""The rules and configurations as the programs that read them see them."""

import shutil
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.needs_prometheus

DEPLOY = Path(__file__).parents[3] / "deploy"


def run(*command: str) -> str:
    program = shutil.which(command[0])
    if program is None:
        pytest.fail(f"{command[0]} comes with prometheus and alertmanager, but is not installed")
    done = subprocess.run([program, *command[1:]], capture_output=True, text=True, timeout=60, check=False)
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
    run("amtool", "check-config", str(DEPLOY / "alertmanager" / "alertmanager.yml"))
