"""Stage times: both ends known, not reversed, at the stage's end."""

from typing import Any

import pytest

MINUTE = 60_000_000


def _stage(life: Any, stage: str) -> tuple[list[float], float]:
    return life.minutes(f"{stage}_timed"), life.counted.get(f"{stage}_us", 0) / MINUTE


def test_a_whole_way(life: Any) -> None:
    life.placed(0).ready(10).assigned(15).departed(20).picked_up(25).arrived(40).failed(45).arrived(70).delivered(72)
    assert _stage(life, "prepare") == ([10], 10)
    assert _stage(life, "assign") == ([15], 5)
    assert _stage(life, "collect") == ([20], 5)
    assert _stage(life, "transit") == ([40], 20)
    assert _stage(life, "reattempt") == ([70], 25)
    assert _stage(life, "door") == ([72], 2)


def test_nothing_is_timed_where_an_end_is_missing(life: Any) -> None:
    life.placed(0).delivered(60)
    assert [name for name in life.counted if name.endswith("_timed")] == ["delivery_timed"]


def test_assigned_before_ready_is_no_waiting(life: Any) -> None:
    life.placed().assigned(5).ready(10)
    assert _stage(life, "assign") == ([10], 0)
    assert life.minutes("assign_timed") == [10]


def test_collect_begins_with_the_later_of_ready_and_assigned(life: Any) -> None:
    assert _stage(life.placed().assigned(5).ready(10).picked_up(30), "collect") == ([30], 20)


def test_out_is_the_earlier_of_picked_up_and_departed(lives: Any) -> None:
    assert _stage(lives().placed().ready(1).assigned(1).picked_up(8).departed(9), "collect") == ([8], 7)
    assert _stage(lives().placed().ready(1).assigned(1).picked_up(9).departed(8), "collect") == ([8], 7)


@pytest.mark.parametrize(
    ("stage", "build"),
    [
        ("prepare", lambda life: life.placed(10).ready(9)),
        ("collect", lambda life: life.placed().ready(20).assigned(5).departed(19)),
        ("transit", lambda life: life.placed().departed(20).arrived(19)),
        ("reattempt", lambda life: life.placed().arrived(40).failed(41)),
    ],
)
def test_reversed_ends_are_not_timed(life: Any, stage: str, build: Any) -> None:
    assert _stage(build(life), stage) == ([], 0)


def test_a_stage_of_no_length_counts(life: Any) -> None:
    assert _stage(life.placed(5).ready(5), "prepare") == ([5], 0)


def test_first_facts_are_the_earliest(life: Any) -> None:
    life.placed(0).ready(20).ready(10).assigned(40, "c2").assigned(30, "c1").departed(60).departed(50)
    assert (_stage(life, "prepare"), _stage(life, "assign"), _stage(life, "collect")) == (
        ([10], 10),
        ([30], 20),
        ([50], 20),
    )


def test_transit_ends_with_the_first_arrival_door_begins_with_the_last_before_delivery(life: Any) -> None:
    life.placed().departed(10).arrived(90).arrived(30).arrived(60).delivered(65)
    assert (_stage(life, "transit"), _stage(life, "door")) == (([30], 20), ([65], 5))


def test_arrived_in_the_moment_of_the_delivery(life: Any) -> None:
    assert _stage(life.placed().arrived(60).delivered(60), "door") == ([60], 0)


def test_no_door_time_where_it_is_not_delivered_or_arrived_after(lives: Any) -> None:
    assert _stage(lives().placed().arrived(60), "door") == ([], 0)
    assert _stage(lives().placed().arrived(60).delivered(50), "door") == ([], 0)
    assert _stage(lives().placed().arrived(60).cancelled(61).delivered(70), "door") == ([], 0)


def test_reattempt_begins_with_the_first_failure_at_the_door(life: Any) -> None:
    life.placed().failed(20, "no_time").failed(30).failed(50).arrived(80)
    assert _stage(life, "reattempt") == ([80], 50)


def test_stages_stand_under_the_courier_of_their_end(life: Any) -> None:
    life.placed().ready(5).assigned(10, "c1").assigned(20, "c2").picked_up(30).arrived(40).delivered(41, courier="c3")
    assert [life.couriers(f"{stage}_timed") for stage in ("prepare", "assign", "collect", "transit", "door")] == [
        [""],
        ["c1"],
        ["c2"],
        ["c2"],
        ["c3"],
    ]
