"""The real engine over the real store, for generated lives: a database for all examples, partitions for each alone."""

from collections.abc import Iterator

import pytest
from workers import Runner

from milepost.processor.upkeep import jobs
from milepost.settings import Settings
from milepost.store.client import Store, writer


@pytest.fixture(scope="module")
def small(installation: Settings) -> Settings:
    """The module's installation, whose workers remember almost nothing."""
    return installation.model_copy(update={"cache_orders": 1, "cache_minutes": 1, "flush_events": 1_000_000})


@pytest.fixture(scope="module")
def store(installation: Settings) -> Iterator[Store]:
    """The client that writes into it."""
    with writer(installation) as client:
        yield client


@pytest.fixture(scope="module")
def run() -> Iterator[Runner]:
    """Runs coroutines."""
    runner = Runner()
    yield runner
    runner.close()


@pytest.fixture(autouse=True)
def _always_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """Upkeep looks whenever it may."""
    monkeypatch.setattr(jobs, "LOOK_SECONDS", 0.0)
