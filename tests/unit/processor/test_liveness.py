"""Whether a worker lives: what stands still is seen, what waits for good reason is not taken for it."""

from types import SimpleNamespace
from typing import Any

import pytest

from milepost.processor import liveness
from milepost.processor.liveness import Liveness

LONGEST = 60.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A clock that goes when told."""
    hands = SimpleNamespace(now=1_000.0)
    monkeypatch.setattr(liveness.time, "monotonic", lambda: hands.now)
    return hands


def engine(cuts: dict[int, int], lag: int = 5, **changes: Any) -> Any:
    """An engine as far as its liveness goes."""
    known = {
        "cuts": cuts,
        "lag": lambda: dict.fromkeys(cuts, lag),
        "paused": {},
        "taking": False,
        "generation": 1,
        "steps": {},
    }
    return SimpleNamespace(**{**known, **changes})


def after(clock: Any, watched: Any, given: set[int]) -> str | None:
    """The fault found after standing for longer than is allowed."""
    alive = Liveness(watched, LONGEST, lambda: given)
    assert alive.fault() is None
    clock.now += LONGEST + 1
    return alive.fault()


def test_one_partition_that_stands_among_others_that_move_is_seen(clock: Any) -> None:
    cuts = {0: 10, 1: 10}
    alive = Liveness(engine(cuts), LONGEST, lambda: {0, 1})
    assert alive.fault() is None
    clock.now += LONGEST + 1
    cuts[1] = 20
    fault = alive.fault()
    assert fault is not None
    assert "partition 0 for 61 s" in fault


def test_a_flush_in_the_making_is_no_stall_while_it_is_worked_at(clock: Any) -> None:
    steps = {0: 3}
    alive = Liveness(engine({0: 10}, steps=steps), LONGEST, lambda: {0})
    assert alive.fault() is None
    clock.now += LONGEST - 1
    steps[0] = 4
    assert alive.fault() is None
    clock.now += LONGEST - 1
    assert alive.fault() is None
    clock.now += 2
    fault = alive.fault()
    assert fault is not None
    assert "partition 0" in fault


@pytest.mark.parametrize("excused", [{"lag": 0}, {"paused": {0: "waits"}}])
def test_what_waits_for_good_reason_is_no_stall(clock: Any, excused: dict[str, Any]) -> None:
    assert after(clock, engine({0: 10}, **excused), {0}) is None


def test_a_partition_of_ours_that_was_never_taken_in_hand_is_seen(clock: Any) -> None:
    fault = after(clock, engine({0: 10}, lag=0), {0, 2})
    assert fault is not None
    assert "[2]" in fault


def test_one_that_is_being_taken_in_hand_is_waited_for(clock: Any) -> None:
    assert after(clock, engine({}, taking=True), {0, 1}) is None
