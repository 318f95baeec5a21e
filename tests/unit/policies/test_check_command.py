"""`milepost sla check`, and that the guide shows what it says."""

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from milepost.cli.main import build
from milepost.policies.load import load_policies

ROOT = Path(__file__).parents[3]
GUIDE = (ROOT / "docs" / "sla.md").read_text()
BLOCKS = re.findall(r"```(yaml|)\n(.*?)```", GUIDE, re.S)


def _check(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(build(), ["sla", "check", *arguments])
    return done.exit_code, done.stdout


def test_the_file_that_comes_with_milepost_is_in_order() -> None:
    code, said = _check()
    assert code == 0
    assert "deploy/sla/policies.yml is in order (policies: 3, objectives: 1, bands: 5)" in said


def test_every_fault_is_a_line_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "policies.yml"
    path.write_text("format: 1\npolicies:\n  - {name: default, match: {}, silence: 45, grace: 1m}\n")
    code, said = _check(str(path))
    assert code == 1
    assert said.splitlines()[0].startswith(f"{path}:3:41: silence is written like")
    assert said.splitlines()[1].startswith(f"{path}:3:45: there is no key 'grace'")
    code, said = _check(str(path), "--json")
    found = json.loads(said)
    assert (code, found["ok"]) == (1, False)
    assert [(fault["line"], fault["pointer"]) for fault in found["faults"]] == [
        (3, "/policies/0/silence"),
        (3, "/policies/0/grace"),
    ]


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    done = CliRunner().invoke(build(), ["sla", "check", str(tmp_path / "none.yml")])
    assert done.exit_code == 1
    assert "none.yml" in done.stderr


@pytest.mark.parametrize("order", ["service=express", "hub_id", "hub_id="])
def test_an_order_that_cannot_be_meant_is_wrong_usage(order: str) -> None:
    assert _check("--order", order)[0] == 2


def test_the_guides_file_is_in_order_and_its_words_are_the_commands() -> None:
    (whole,) = (text for kind, text in BLOCKS if kind == "yaml")
    assert len(load_policies(whole).policies) == 3
    (shown,) = (text for _, text in BLOCKS if text.startswith("$ milepost sla check --order"))
    order = shown.split("\n", 1)[0].rpartition(" ")[2]
    assert _check("--order", order) == (0, shown.split("\n", 1)[1])


def test_the_guides_refusals_are_what_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (shown,) = (text for _, text in BLOCKS if text.startswith("policies.yml:"))
    (tmp_path / "policies.yml").write_text(
        "format: 1\n\npolicies:\n  - name: default\n    match: {}\n    silence: 1h\n\n  - name: express\n"
        "    match: {service_levle: express}\n    stages: {transit: 45}\n"
        "  - name: hub\n    match: {hub_id: a}\n    silence: 2h\n  - match: {hub_id: a}\n    silence: 3h\n"
    )
    monkeypatch.chdir(tmp_path)
    said = _check("policies.yml")[1]
    assert all(line in said.splitlines() for line in shown.splitlines()), said
