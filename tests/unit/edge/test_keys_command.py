"""`milepost keys`: what it prints, writes and refuses."""

import json
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from milepost.access.keys import Keyring, Right
from milepost.cli.main import build


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the keys are kept."""
    return tmp_path / "keys.json"


def _keys(*arguments: str) -> Result:
    return CliRunner().invoke(build(), ["keys", *arguments])


def test_a_key_is_made_listed_and_revoked(path: Path) -> None:
    made = _keys("add", "shop", "--right", "write,read", "--merchant", "m-1", "--file", str(path))
    assert made.exit_code == 0
    key = made.stdout.strip()
    found = Keyring(path).find(key)
    assert found is not None
    assert (found.name, found.source_prefix, found.merchant) == ("shop", "/shop", "m-1")
    assert found.rights == {Right.READ, Right.WRITE}
    listed = _keys("ls", "--file", str(path))
    assert "shop" in listed.stdout
    assert key.split("_", 2)[2] not in listed.stdout
    (row,) = json.loads(_keys("ls", "--json", "--file", str(path)).stdout)
    assert _keys("revoke", row["id"], "--file", str(path)).exit_code == 0
    assert Keyring(path).find(key) is None
    assert "no keys" in _keys("ls", "--file", str(path)).stdout


def test_a_name_is_used_once(path: Path) -> None:
    assert _keys("add", "shop", "--file", str(path)).exit_code == 0
    again = _keys("add", "shop", "--file", str(path))
    assert again.exit_code == 1
    assert "already" in again.stderr


def test_revoking_what_is_not_there_fails(path: Path) -> None:
    done = _keys("revoke", "shop", "--file", str(path))
    assert done.exit_code == 1
    assert "no key 'shop'" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["a b"],
        ["shop", "--right", "everything"],
        ["shop", "--source-prefix", "not a uri"],
        ["shop", "--merchant", "m 1"],
    ],
)
def test_what_cannot_be_is_wrong_usage(path: Path, arguments: list[str]) -> None:
    assert _keys("add", *arguments, "--file", str(path)).exit_code == 2
    assert not path.exists()


def test_without_a_file_it_says_how_to_name_one(monkeypatch: pytest.MonkeyPatch) -> None:
    from milepost import settings

    monkeypatch.setattr(settings, "load", lambda: settings.Settings(keys=None))
    done = _keys("ls")
    assert done.exit_code == 2
    assert "MILEPOST_KEYS" in done.stderr


def test_a_damaged_file_is_said_and_left_alone(path: Path) -> None:
    path.write_text("{")
    done = _keys("add", "shop", "--file", str(path))
    assert done.exit_code == 1
    assert str(path) in done.stderr
    assert path.read_text() == "{"
