"""What every test may ask for: the real platform, and what happens where the machine has not got something.

Platform. One Kafka and one ClickHouse engine a session, on free ports in a temporary folder, shared by all tests.
Topic names are constants, so tests on a shared topic keep apart by order ids of their own (``unique``), and by a
database and a consumer group of their own (``installation``, one a module, with the topics made and the schema
applied). A test that must see an empty topic, or that kills an engine, starts a platform of its own
(``start_platform``).

Absence. A test that needs Prometheus, a browser or the test data is skipped with the reason where they are absent; with
``MILEPOST_TEST_STRICT=1`` it fails instead.

Containers. With ``MILEPOST_TEST_PLATFORM=containers`` the same tests get the official images of Kafka and ClickHouse
instead (``tests/support/container_platform.py``), and skip with the reason where these cannot be had.
"""

import os
import random
import shutil
import socket
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from spine import install

from milepost.embedded.platform import Platform
from milepost.embedded.process import environment
from milepost.settings import PORT_OFFSETS, Settings

Command = Callable[..., subprocess.CompletedProcess[str]]

IN_CONTAINERS = os.environ.get("MILEPOST_TEST_PLATFORM") == "containers"


def _absent(marker: str) -> str | None:
    """Why a test with this marker cannot run here; None if it can."""
    if marker == "needs_prometheus":
        missing = [
            names[0]
            for names in (("prometheus",), ("prometheus-alertmanager", "alertmanager"))
            if not any(map(shutil.which, names))
        ]
        if missing:
            return f"not installed: {', '.join(missing)} (Debian: apt install prometheus prometheus-alertmanager)"
    if marker == "needs_browser" and not shutil.which("chromium"):
        return "not installed: chromium (Debian: apt install chromium)"
    if marker == "needs_data":
        folder = os.environ.get("MILEPOST_TEST_DATA")
        if not folder:
            return "MILEPOST_TEST_DATA names no folder of test data"
        if not Path(folder).is_dir():
            return f"MILEPOST_TEST_DATA={folder} is not a folder"
    return None


def skip_or_fail(reason: str) -> None:
    """Skip the running test for ``reason``, or fail it in a strict run."""
    if os.environ.get("MILEPOST_TEST_STRICT") == "1":
        pytest.fail(f"strict run: {reason}", pytrace=False)
    pytest.skip(reason)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip or fail what this machine cannot run."""
    for marker in ("needs_prometheus", "needs_browser", "needs_data"):
        if item.get_closest_marker(marker):
            reason = _absent(marker)
            if reason:
                skip_or_fail(reason)
    if IN_CONTAINERS and (item.path.name.startswith("test_embedded_") or item.get_closest_marker("embedded_only")):
        pytest.skip("is about the embedded platform, and this run is about containers")


def new_settings() -> Settings:
    """Settings of a platform not started yet, on free ports."""
    settings = Settings(port_base=free_port_base())
    if IN_CONTAINERS:
        from container_platform import with_credentials

        return with_credentials(settings)
    return settings


def new_platform(folder: Path, settings: Settings) -> Platform:
    """A platform of the kind this run is about, not started yet; skips or fails the test where it cannot be had."""
    if not IN_CONTAINERS:
        return Platform(folder, settings)
    from container_platform import ContainerPlatform, UnavailableError, require_engine

    try:
        require_engine()
    except UnavailableError as error:
        skip_or_fail(str(error))
    return ContainerPlatform(folder, settings)


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder of test data; mark the test ``needs_data``."""
    return Path(os.environ["MILEPOST_TEST_DATA"])


def free_port_base() -> int:
    """A port base none of whose ports is taken, below the range the system gives to clients."""
    chosen = random.SystemRandom()
    for _ in range(200):
        base = chosen.randrange(22_000, 31_000, 20)
        if all(_is_free(base + offset) for offset in PORT_OFFSETS.values()):
            return base
    raise RuntimeError("no free range of ports found")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


@pytest.fixture(scope="session")
def free_settings() -> Callable[[], Settings]:
    """Makes settings whose ports are free, for a platform of the test's own."""
    return lambda: Settings(port_base=free_port_base())


@pytest.fixture(scope="session")
def settings() -> Settings:
    """The settings of the session's platform."""
    return new_settings()


@pytest.fixture(scope="session")
def platform(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """Kafka and ClickHouse, running; shared by the session, so neither to be killed nor to be emptied."""
    with new_platform(tmp_path_factory.mktemp("platform"), settings) as running:
        yield running


@pytest.fixture
def start_platform(tmp_path: Path) -> Iterator[Callable[..., Platform]]:
    """Starts a platform of the test's own, which it may treat as it likes; stopped at its end. Takes settings."""
    started: list[Platform] = []

    def start(**changes: Any) -> Platform:
        settings = new_settings().model_copy(update=changes)
        one = new_platform(tmp_path / f"platform-{len(started)}", settings)
        started.append(one)
        one.start_infrastructure()
        return one

    yield start
    for one in started:
        one.stop()


@pytest.fixture(scope="session")
def milepost() -> Command:
    """Runs the command as a process of its own with given settings: ``milepost(settings, "migrate", "apply")``."""

    def run(
        settings: Settings, *arguments: str, check: bool = True, timeout: float = 120
    ) -> subprocess.CompletedProcess[str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("MILEPOST_")}
        done = subprocess.run(
            [sys.executable, "-m", "milepost.cli", *arguments],
            env={**inherited, **environment(settings)},
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        if check and done.returncode != 0:
            raise AssertionError(
                f"milepost {' '.join(arguments)} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
            )
        return done

    return run


@pytest.fixture(scope="module")
def installation(platform: Platform, settings: Settings) -> Settings:
    """An installation of the module's own on the shared platform: topics, its own database, its own consumer group."""
    own = uuid.uuid4().hex[:8]
    mine = settings.model_copy(update={"database": f"milepost_{own}", "consumer_group": f"milepost-{own}"})
    install(mine)
    return mine


@pytest.fixture
def unique() -> str:
    """A prefix for the ids of one test, so that it can share topics and tables with others."""
    return f"t{uuid.uuid4().hex[:10]}"
