"""`milepost grafana` as people run it, in its own environment, against a stand-in for Grafana's API.

The stand-in follows Grafana's documentation; there was no Grafana to try it on.
"""

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from grafana_fake import TOKEN, Fake, serving

from milepost.docs.dashboards.catalogue import documents, written
from milepost.operations.grafana import State, digest, plain, state, with_sources

ROOT = Path(__file__).parents[3]
UID = "milepost-control-room"
OURS = documents()
RUNNER = """
import json, sys
from typer.testing import CliRunner
from milepost.cli.main import build
from milepost.settings import load
app = build()
for line in sys.stdin:
    asked = json.loads(line)
    load.cache_clear()
    done = CliRunner().invoke(app, ["grafana", *asked["arguments"]], env=asked["variables"])
    print(json.dumps({"code": done.exit_code, "out": done.stdout, "err": done.stderr}), flush=True)
"""


class Done(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str


Run = Callable[..., Done]


@pytest.fixture(scope="module")
def python() -> str:
    """The Python that has grafana-client."""
    own = ROOT / ".venv-grafana" / "bin" / "python"
    if own.is_file():
        return str(own)
    if importlib.util.find_spec("grafana_client"):
        return sys.executable
    reason = "no environment with grafana-client: make grafana-env"
    if os.environ.get("MILEPOST_TEST_STRICT") == "1":
        pytest.fail(f"strict run: {reason}", pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="module")
def process(python: str) -> Iterator["subprocess.Popen[str]"]:
    """The command in its environment, started once: it takes a second."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("MILEPOST_")}
    with subprocess.Popen(
        [python, "-c", RUNNER], env=inherited, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as running:
        yield running
        assert running.stdin
        running.stdin.close()


@pytest.fixture
def grafana() -> Iterator[Fake]:
    with serving(Fake()) as fake:
        yield fake


@pytest.fixture
def run(process: "subprocess.Popen[str]", grafana: Fake, tmp_path: Path) -> Run:
    """Runs the command with the right token in a file."""
    token = tmp_path / "token"
    token.write_text(f"{TOKEN}\n")

    def command(*arguments: str, code: int = 0, key: str = "") -> Done:
        variables = {"MILEPOST_GRAFANA": grafana.url, "MILEPOST_GRAFANA_TOKEN": key, "NO_PROXY": "127.0.0.1"}
        where = () if key else ("--token-file", str(token))
        assert process.stdin
        assert process.stdout
        process.stdin.write(json.dumps({"arguments": [*arguments, *where], "variables": variables}) + "\n")
        process.stdin.flush()
        done = Done(**json.loads(process.stdout.readline()))
        assert done.code == code, done
        assert TOKEN not in done.out + done.err
        return done

    return command


def test_push_makes_the_folder_and_saves_once(run: Run, grafana: Fake) -> None:
    said = run("push", "--dry-run").out
    assert said.count("would be saved") == len(OURS)
    assert (grafana.folders, grafana.dashboards) == ({}, {})
    run("push")
    assert grafana.folders == {"milepost": "Milepost"}
    assert {uid: plain(versions[-1]["data"]) for uid, versions in grafana.dashboards.items()} == OURS
    assert set(grafana.places.values()) == {"milepost"}
    assert run("push").out.count(": same") == len(OURS)
    assert {len(versions) for versions in grafana.dashboards.values()} == {1}
    run("diff")


def test_what_others_changed_is_left_alone_until_forced(run: Run, grafana: Fake, tmp_path: Path) -> None:
    run("push", UID)
    grafana.save({**OURS[UID], "title": "Mine now"}, "a better title", by="ada")
    said = run("push", UID, code=1).out
    assert "changed there by ada; left alone" in said
    assert '-  "title": "Mine now",' in run("diff", UID, code=1).out
    run("pull", str(tmp_path / "theirs"), UID)
    assert (tmp_path / "theirs" / f"{UID}.json").read_text() == written({**OURS[UID], "title": "Mine now"})
    assert "saved in" in run("push", UID, "--force").out
    assert grafana.dashboards[UID][-1]["data"]["title"] == OURS[UID]["title"]


def test_an_older_one_of_ours_is_replaced_without_asking(run: Run, grafana: Fake) -> None:
    older = {**OURS[UID], "title": "As it was"}
    grafana.folders["milepost"] = "Milepost"
    grafana.save(older, f"milepost grafana push {digest(older)}", by="milepost", folder="milepost")
    assert "ours, older; saved" in run("push", UID).out
    assert "same" in run("diff", UID).out


def test_one_that_was_never_ours_and_one_from_a_file_are_left_alone(run: Run, grafana: Fake) -> None:
    grafana.save({**OURS[UID], "panels": []}, "", by="bob")
    assert "not ours by bob; left alone" in run("push", UID, code=1).out
    grafana.provisioned.add(UID)
    assert "provisioned" in run("push", UID, "--force", code=1).out
    assert len(grafana.dashboards[UID]) == 1


def test_other_datasources_and_another_folder(run: Run, grafana: Fake) -> None:
    assert "no datasource theirs" in run("push", UID, "--clickhouse", "theirs", "--folder", "Operations").err
    assert set(grafana.folders.values()) == {"Operations"}
    text = written(grafana.dashboards[UID][-1]["data"])
    assert '"uid": "theirs"' in text
    assert '"uid": "milepost-clickhouse"' not in text
    assert "milepost-prometheus" in text


def test_what_is_wrong_is_said(run: Run, grafana: Fake, tmp_path: Path) -> None:
    assert "does not know the token" in run("push", code=1, key="glsa_wrong").err
    grafana.rights = "Viewer"
    assert "needs the role Editor" in run("push", code=1).err
    assert "cannot be reached" in run("diff", "--url", "http://127.0.0.1:1", code=1).err
    assert "no address of a Grafana" in run("diff", "--url", "grafana", code=1).err
    assert "there is no dashboard" in run("diff", "milepost-overview", code=2).err
    assert "--token" not in run("push", "--help").out.replace("--token-file", "")


def test_states_are_told_apart() -> None:
    assert state(OURS[UID], None) is State.ABSENT
    changed = with_sources(OURS[UID], {"milepost-clickhouse": "x"})
    assert digest(changed) != digest(OURS[UID])
    assert digest({**OURS[UID], "id": 3, "version": 9}) == digest(OURS[UID])
