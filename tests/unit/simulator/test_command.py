import gzip
import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from milepost.cli import simulate


@pytest.fixture
def runner() -> CliRunner:
    return CliRunner()


@pytest.fixture
def app() -> typer.Typer:
    app = typer.Typer()
    simulate.register(app)
    return app


def test_it_writes_events_and_truth(runner: CliRunner, app: typer.Typer, tmp_path: Path) -> None:
    out, truth = tmp_path / "events.jsonl", tmp_path / "truth.json"
    result = runner.invoke(app, ["--orders", "50", "--seed", "5", "--out", str(out), "--truth", str(truth)])
    assert result.exit_code == 0, result.output
    lines = out.read_bytes().splitlines()
    assert f"{len(lines):,} event lines" in result.stderr
    assert all(json.loads(line)["specversion"] == "1.0" for line in lines)
    known = json.loads(truth.read_bytes())
    assert known.keys() == {"overall", "by", "windows", "spent", "reasons"}
    assert known["by"].keys() == {"hub_id", "zone_id", "service_level", "merchant_id", "courier_id"}
    assert all(window["from"].endswith("Z") and window["rows"] for window in known["windows"])


def test_a_gz_file_and_standard_output_hold_the_same(runner: CliRunner, app: typer.Typer, tmp_path: Path) -> None:
    packed = [tmp_path / "one.jsonl.gz", tmp_path / "two.jsonl.gz"]
    for path in packed:
        assert runner.invoke(app, ["--orders", "50", "--out", str(path)]).exit_code == 0
    assert packed[0].read_bytes() == packed[1].read_bytes()
    shown = runner.invoke(app, ["--orders", "50", "--out", "-"])
    assert gzip.decompress(packed[0].read_bytes()) == shown.stdout_bytes


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "--out"),
        (["--speed", "1", "--out", "x"], "--speed"),
        (["--out", "-", "--start", "2026-03-02T00:00:00"], "no offset"),
        (["--out", "-", "--start", "soon"], "soon"),
        (["--out", "-", "--orders", "0"], "--orders"),
    ],
)
def test_wrong_usage_is_refused(runner: CliRunner, app: typer.Typer, arguments: list[str], said: str) -> None:
    result = runner.invoke(app, arguments)
    assert result.exit_code == 2
    assert said in result.stderr


def test_a_file_that_cannot_be_written_is_an_error(runner: CliRunner, app: typer.Typer, tmp_path: Path) -> None:
    result = runner.invoke(app, ["--orders", "1", "--out", str(tmp_path / "no" / "such" / "folder")])
    assert result.exit_code == 1
    assert "cannot write" in result.stderr
