"""The promise in force, and what is due when: promise_kept, promise_kept_original, repromised."""

from typing import Any

import pytest


def test_delivered_before_the_deadline_keeps_it(life: Any) -> None:
    counted = life.placed(until=120).delivered(119).counted
    assert {counted["due"], counted["kept"], counted["due_original"], counted["kept_original"]} == {1}
    assert life.minutes("due") == life.minutes("kept") == [120]


def test_delivered_exactly_at_the_deadline_keeps_it(life: Any) -> None:
    counted = life.placed(until=120).delivered(120).counted
    assert (counted["kept"], counted["kept_original"], counted["on_time"], counted["otif"]) == (1, 1, 1, 1)


def test_delivered_a_microsecond_after_the_deadline_breaks_it(life: Any) -> None:
    counted = life.placed(until=120).delivered(120 + 1 / 60_000_000).counted
    assert counted["due"] == counted["delivered"] == 1
    assert not {"kept", "kept_original", "on_time", "otif"} & set(counted)


def test_never_delivered_is_due_at_its_deadline_and_broken(life: Any) -> None:
    counted = life.placed(until=120).counted
    assert counted == {"due": 1, "due_original": 1}
    assert life.minutes("due") == [120]


def test_a_kept_promise_stands_in_the_minute_of_the_deadline_not_of_the_delivery(life: Any) -> None:
    life.placed(until=120).delivered(30)
    assert (life.minutes("kept"), life.minutes("on_time")) == ([120], [30])


@pytest.mark.parametrize("by", ["customer", "merchant"])
@pytest.mark.parametrize("at", [0, 119, 120])
def test_cancelled_by_customer_or_merchant_up_to_the_deadline_is_not_due(life: Any, by: str, at: float) -> None:
    assert life.placed(until=120).cancelled(at, by).counted == {"closed": 1, "cancelled": 1}


@pytest.mark.parametrize("by", ["customer", "merchant"])
def test_cancelled_by_customer_or_merchant_after_the_deadline_is_due_and_broken(life: Any, by: str) -> None:
    counted = life.placed(until=120).cancelled(120.0001, by).counted
    assert counted == {"due": 1, "due_original": 1, "closed": 1, "cancelled": 1}


@pytest.mark.parametrize("at", [60, 120, 180])
def test_cancelled_by_the_carrier_stays_due_and_is_broken(life: Any, at: float) -> None:
    counted = life.placed(until=120).cancelled(at, "carrier").counted
    assert counted == {"due": 1, "due_original": 1, "closed": 1, "cancelled": 1}


def test_of_two_cancellations_the_first_says_whose_it_was(life: Any) -> None:
    assert "due" in life.placed(until=120).cancelled(60, "carrier").cancelled(61, "customer").counted


def test_cancelled_at_the_same_moment_the_lower_source_and_then_id_counts(lives: Any) -> None:
    by_source = lives().placed().cancelled(60, "customer", source="/b").cancelled(60, "carrier", source="/a")
    by_id = lives().placed().cancelled(60, "customer", id="a").cancelled(60, "carrier", id="b")
    assert by_source.order.cancelled_by == "carrier"
    assert by_id.order.cancelled_by == "customer"


def test_due_by_the_moved_promise_but_not_by_the_original_or_the_other_way_round(lives: Any) -> None:
    # Cancelled between the two deadlines: not due by the later one.
    later = lives().placed(until=120).promised(60, until=240).cancelled(180)
    assert (later.minutes("due"), later.minutes("due_original")) == ([], [120])
    earlier = lives().placed(until=240).promised(60, until=120).cancelled(180)
    assert (earlier.minutes("due"), earlier.minutes("due_original")) == ([120], [])


@pytest.mark.parametrize("by", ["customer", "merchant"])
@pytest.mark.parametrize("at", [0, 60, 120])
def test_a_change_up_to_the_deadline_moves_the_promise(life: Any, by: str, at: float) -> None:
    life.placed(until=120).promised(at, until=240, by=by).delivered(200)
    assert life.counted | {"kept": 1, "repromised": 1, "due_original": 1} == life.counted
    assert "kept_original" not in life.counted
    assert (life.minutes("due"), life.minutes("repromised"), life.minutes("due_original")) == ([240], [240], [120])


def test_a_change_after_the_deadline_moves_nothing_but_is_agreed(life: Any) -> None:
    order = life.placed(until=120).promised(120.0001, until=240).order
    assert order.promises.moves == 0
    assert order.promises.in_force.deadline < order.promises.agreed
    assert life.counted == {"due": 1, "due_original": 1}


def test_the_carriers_own_change_never_moves_it_and_is_shown_beside(life: Any) -> None:
    order = life.placed(until=120).promised(60, until=240, by="carrier").promised(70, until=300, by="carrier").order
    assert order.promises.moves == 0
    assert order.promises.agreed == order.promises.original.deadline == order.promises.in_force.deadline
    assert order.promises.carrier == order.promises.original.deadline + 180 * 60_000_000
    assert "repromised" not in life.counted


def test_changes_are_taken_in_order_of_time_not_of_arrival(life: Any) -> None:
    # At 150 the deadline in force is 200, thanks to the change at 60 that arrived later.
    life.placed(until=120).promised(150, until=300).promised(60, until=200)
    assert life.minutes("due") == [300]
    assert life.order.promises.moves == 2


def test_a_change_that_shortens_makes_the_next_one_too_late(life: Any) -> None:
    assert life.placed(until=200).promised(60, until=100).promised(150, until=300).minutes("due") == [100]


def test_changes_at_the_same_moment_go_by_source_then_id(lives: Any) -> None:
    one = lives().placed().promised(60, until=300, source="/b", id="x").promised(60, until=200, source="/a", id="y")
    other = lives().placed().promised(60, until=300, id="b").promised(60, until=200, id="a")
    assert one.minutes("due") == other.minutes("due") == [300]


@pytest.mark.parametrize(("at", "due"), [(99.9999, 300), (100, 120), (101, 120)])
def test_a_change_counts_only_before_delivery(life: Any, at: float, due: int) -> None:
    assert life.placed(until=120).promised(at, until=300).delivered(100).minutes("due") == [due]


def test_a_change_without_opening_clears_it(life: Any) -> None:
    kept = life.placed(since=60, until=120).delivered(30).counted
    assert (kept["windowed"], kept["early"]) == (1, 1)
    cleared = life.promised(10, until=120).counted
    assert not {"windowed", "early"} & set(cleared)


def test_a_change_may_open_a_window(life: Any) -> None:
    counted = life.placed(until=120).promised(10, since=100, until=200).delivered(100).counted
    assert counted["windowed"] == 1
    assert "early" not in counted, "delivered exactly at the opening is not early"


def test_a_change_that_comes_before_the_order_counts_once_it_is_placed(life: Any) -> None:
    assert life.promised(10, until=300).counted == {}
    assert life.placed(until=120).minutes("due") == [300]


def test_a_promise_five_years_ahead_stands_in_its_minute(life: Any) -> None:
    years = 5 * 365 * 1440
    assert life.placed(until=years).minutes("due") == [years]
