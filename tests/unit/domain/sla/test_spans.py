"""What of an order is watched: each rule's time, from where it runs and how it ended."""

import pytest
from handmade import Life, moment

from milepost.domain.sla.spans import spans
from milepost.domain.sla.words import Cause


def found(life: Life) -> dict[str, tuple[int, int, Cause]]:
    return {span.rule: (span.base, span.end, span.cause) for span in spans(life.order)}


def at(base: float, end: float | None = None, cause: Cause = Cause.NONE) -> tuple[int, int, Cause]:
    return moment(base), moment(end), cause


def test_an_order_not_placed_is_not_watched(life: Life) -> None:
    assert found(life.assigned(5)) == {}


def test_a_life_from_placed_to_delivered(lives: type[Life]) -> None:
    assert found(lives().placed(0, 120)) == {"promise": at(120), "prepare": at(0)}
    life = lives().placed(0, 120).ready(10)
    assert found(life) == {"promise": at(120), "prepare": at(0, 10, Cause.MET), "assign": at(10)}
    life = life.assigned(15)
    assert found(life)["assign"] == at(10, 15, Cause.MET)
    assert found(life)["collect"] == at(15)
    life = life.picked_up(20)
    assert found(life)["collect"] == at(15, 20, Cause.MET)
    assert found(life)["transit"] == at(20)
    assert found(life)["silence"] == at(20)
    life = life.arrived(40)
    assert found(life)["transit"] == at(20, 40, Cause.MET)
    assert found(life)["door"] == at(40)
    assert found(life)["silence"] == at(40)
    life = life.delivered(45)
    assert found(life)["door"] == at(40, 45, Cause.MET)
    assert found(life)["promise"] == at(120, 45, Cause.MET)
    assert "silence" not in found(life)


def test_assigned_before_it_was_ready(life: Life) -> None:
    life.placed(0, 120).assigned(5).ready(10)
    assert found(life)["assign"] == at(10, 10, Cause.MET)
    assert found(life)["collect"] == at(10)


@pytest.mark.parametrize(
    ("end", "cause"),
    [
        (lambda life: life.cancelled(30), Cause.CANCELLED),
        (lambda life: life.returned(30), Cause.RETURNED),
        (lambda life: life.lost(30), Cause.LOST),
    ],
)
def test_however_an_order_ends_all_ends_with_it(life: Life, end: object, cause: Cause) -> None:
    life.placed(0, 120).ready(5).assigned(6).picked_up(10)
    end(life)  # type: ignore[operator]
    assert found(life)["promise"] == at(120, 30, cause)
    assert found(life)["transit"] == at(10, 30, cause)
    assert "silence" not in found(life)


def test_back_at_the_hub_nobody_is_silent(life: Life) -> None:
    life.placed(0, 120).picked_up(10).arrived(20).failed(25).returned(40, "back_to_hub")
    assert "silence" not in found(life)
    assert found(life)["door"] == at(20, 25, Cause.MET)
    assert found(life.picked_up(60))["silence"] == at(60)


def test_a_stage_nobody_told_the_end_of_ends_with_the_next(life: Life) -> None:
    assert found(life.placed(0, 120).picked_up(30))["prepare"] == at(0, 30, Cause.MET)


def test_a_promise_that_moved_is_another(life: Life) -> None:
    assert found(life.placed(0, 120).promised(60, 200))["promise"] == at(200)
