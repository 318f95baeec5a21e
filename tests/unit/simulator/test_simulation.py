import hashlib
from itertools import pairwise

import pytest

from milepost.simulator.draws import DAY
from milepost.simulator.files import parse_moment
from milepost.simulator.simulation import Options, placements, simulate

START = parse_moment("2026-03-02T00:00:00Z")


def _options(**changes: object) -> Options:
    return Options(**{"orders": 200, "seed": "3", "start": START, **changes})  # type: ignore[arg-type]


def _digest(options: Options) -> str:
    return hashlib.sha256(b"\n".join(simulate(options))).hexdigest()


def test_the_same_seed_gives_the_same_bytes_everywhere() -> None:
    # A change to the city changes this digest; a machine, a hash seed or a Python version must not.
    assert _digest(_options()) == "6ffe3a673533898acc2d838b76c0436cb310f3f2e093f85c48f8061b80d0fdc0"


@pytest.mark.parametrize(
    "changes", [{"seed": "4"}, {"orders": 201}, {"hubs": 3}, {"start": START + DAY}, {"days": 3.0}]
)
def test_other_options_give_other_events(changes: dict[str, object]) -> None:
    assert _digest(_options(**changes)) != _digest(_options())


@pytest.mark.parametrize("orders", [1, 7, 1_000])
def test_exactly_as_many_orders_are_placed_as_asked_for(orders: int) -> None:
    options = _options(orders=orders)
    moments = list(placements(options))
    assert len(moments) == orders
    assert all(before <= after for before, after in pairwise(moments))
    assert moments[0] >= options.start
    assert moments[-1] < options.start + int(options.period * DAY)


def test_a_million_orders_stay_well_within_the_year() -> None:
    assert _options(orders=1_000_000).period < 70
    assert _options(orders=50_000).period == 14


def test_more_orders_come_at_the_peaks_than_at_night() -> None:
    hours = [moment // 3_600_000_000 % 24 for moment in placements(_options(orders=5_000))]
    local_evening, local_night = hours.count(16), hours.count(1)
    assert local_evening > 10 * max(1, local_night)


def test_conflicting_copies_can_be_left_out() -> None:
    with_conflicts = list(simulate(_options(orders=2_000)))
    without = list(simulate(_options(orders=2_000, conflicts=False)))
    assert len(set(without)) < len(set(with_conflicts))
