"""One simulated week, shared by the tests that only look at it."""

import json
from typing import Any

import pytest

from milepost.simulator.files import parse_moment
from milepost.simulator.simulation import Options, simulate, windows
from milepost.simulator.truth import Truth

START = parse_moment("2026-03-02T00:00:00Z")


class Week:
    """5,000 orders: their event lines, decoded, and the truth about them."""

    def __init__(self) -> None:
        self.options = Options(orders=5_000, seed="11", start=START)
        truth = Truth(windows(self.options))
        self.lines = list(simulate(self.options, truth))
        self.events: list[dict[str, Any]] = [json.loads(line) for line in self.lines]
        self.truth = truth.result()


@pytest.fixture(scope="session")
def week() -> Week:
    return Week()
