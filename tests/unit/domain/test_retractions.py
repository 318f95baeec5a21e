"""Retracted events count as never sent, whenever the retraction comes."""

from itertools import permutations
from typing import Any


def test_a_delivery_that_did_not_occur(life: Any) -> None:
    before = life.placed().counted
    assert life.delivered(60, id="d").counted != before
    assert life.retracted(70, "d").counted == before


def test_a_retraction_before_its_target(life: Any) -> None:
    assert life.placed().retracted(10, "d").delivered(60, id="d").counted == {"due": 1, "due_original": 1}


def test_a_retraction_with_an_earlier_time_than_its_target(life: Any) -> None:
    assert "delivered" not in life.placed(50).delivered(60, id="d").retracted(1, "d").counted


def test_only_the_named_source_and_id_are_gone(life: Any) -> None:
    life.placed().delivered(60, id="d", source="/a").delivered(65, id="d", source="/b").retracted(70, "d", "/a")
    assert life.minutes("delivered") == [65]


def test_without_its_placed_event_an_order_is_an_orphan_again(life: Any) -> None:
    life.placed(id="p").delivered(60).retracted(70, "p")
    assert (life.counted, life.order.state) == ({}, "unplaced")


def test_the_second_placed_event_counts_where_the_first_is_retracted(life: Any) -> None:
    life.placed(0, until=100, id="p").placed(1, until=200, id="q")
    assert life.minutes("due") == [100]
    assert life.retracted(5, "p").minutes("due") == [200]


def test_a_retraction_cannot_be_retracted(life: Any) -> None:
    life.placed().delivered(60, id="d").retracted(70, "d", id="r").retracted(80, "r", id="r2").retracted(90, "r2")
    assert "delivered" not in life.counted


def test_a_retraction_that_names_itself_changes_nothing(life: Any) -> None:
    assert life.placed().delivered(60).retracted(70, "r", id="r").counted["delivered"] == 1


def test_a_retracted_promise_change_moves_nothing_and_makes_the_next_one_too_late(life: Any) -> None:
    life.placed(until=100).promised(50, until=200, id="x").promised(150, until=300)
    assert life.minutes("due") == [300]
    assert life.retracted(400, "x").minutes("due") == [100]


def test_a_retracted_cancellation_lets_the_delivery_stand(life: Any) -> None:
    life.placed().cancelled(40, id="x").delivered(50)
    assert "cancelled" in life.counted
    assert life.retracted(60, "x").minutes("delivered") == [50]


def test_the_record_before_counts_where_the_latest_cost_is_retracted(life: Any) -> None:
    life.placed().cost(10, 100, id="a").cost(20, 300, id="b")
    assert (life.counted["cost"], life.retracted(30, "b").counted["cost"]) == (300, 100)
    assert "cost" not in life.retracted(30, "a").counted


def test_a_retracted_response(life: Any) -> None:
    life.placed().delivered(50).answered(60, 5, id="a").answered(70, 1, id="b").retracted(80, "b")
    assert life.minutes("satisfied") == [60]
    assert "responded" not in life.retracted(80, "a").counted


def test_whatever_the_order_of_arrival(lives: Any) -> None:
    whole = lives().placed(id="p").delivered(50, id="d").retracted(60, "d").failed(40, id="f")
    wanted = whole.counted
    for facts in permutations(whole.facts):
        life = lives()
        life.facts = list(facts)
        assert life.counted == wanted
