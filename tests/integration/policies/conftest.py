"""An installation whose policies are its own: the topic is the broker's, so it is left as it was found."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from milepost.bus import policy_topic
from milepost.cli.main import build
from milepost.settings import Settings
from milepost.store.client import Store, writer

FILE = """\
format: 1
policies:
  - name: default
    match: {}
    stages: {prepare: 15m}
    silence: 45m
"""


@pytest.fixture
def none_in_force(installation: Settings) -> Iterator[Settings]:
    """The installation with no policies in force, before and after."""
    policy_topic.publish(installation, None)
    yield installation
    policy_topic.publish(installation, None)


@pytest.fixture
def store(installation: Settings) -> Iterator[Store]:
    """The client that writes its database."""
    with writer(installation) as client:
        yield client


@pytest.fixture
def file(tmp_path: Path, unique: str) -> Path:
    """A file of policies, of which no other says the same."""
    path = tmp_path / "policies.yml"
    path.write_text(f"{FILE}# {unique}\n")
    return path


@pytest.fixture
def file_text(file: Path) -> str:
    """What is in it."""
    return file.read_text()


@pytest.fixture
def sla(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Runs `milepost sla …` in this process, which starts in no time: ``sla(settings, "check")``."""

    def run(settings: Settings, *arguments: str) -> Result:
        monkeypatch.setattr("milepost.settings.load", lambda: settings)
        return CliRunner().invoke(build(), ["sla", *arguments])

    return run
