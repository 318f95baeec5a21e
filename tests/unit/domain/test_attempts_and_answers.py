"""First attempts, missed stops, surveys, costs."""

from typing import Any

import msgspec
import pytest

from milepost.contracts.reasons import DOOR_REASONS, NEVER_REACHED_REASONS
from milepost.domain import facts as f
from milepost.domain.measures import INDEX
from milepost.domain.order import fold


def test_a_first_knock_that_delivers(life: Any) -> None:
    counted = life.placed().delivered(60, courier="c2").counted
    assert (counted["attempted"], counted["first_success"], counted["tried"]) == (1, 1, 1)
    assert "not_attempted" not in counted
    assert life.couriers("attempted") == life.couriers("tried") == ["c2"]


@pytest.mark.parametrize("reason", sorted(DOOR_REASONS))
def test_a_failure_at_the_door_is_an_attempt(life: Any, reason: str) -> None:
    counted = life.placed().failed(50, reason).delivered(90).counted
    assert counted["attempted"] == counted["tried"] == 1
    assert not {"first_success", "not_attempted"} & set(counted)
    assert life.minutes("attempted") == life.minutes("tried") == [50]


@pytest.mark.parametrize("reason", sorted(NEVER_REACHED_REASONS))
def test_a_stop_never_reached_is_no_attempt(life: Any, reason: str) -> None:
    life.placed().failed(50, reason, courier="c1")
    assert life.counted == {"due": 1, "due_original": 1, "tried": 1, "not_attempted": 1, "reasons": 1}
    life.delivered(90, courier="c2")
    assert (life.minutes("attempted"), life.minutes("first_success")) == ([90], [90])
    assert (life.minutes("tried"), life.minutes("not_attempted")) == ([50], [50])
    assert (life.couriers("tried"), life.couriers("attempted")) == (["c1"], ["c2"])


def test_an_order_missed_after_its_first_attempt_counts_at_the_first_of_them(life: Any) -> None:
    assert life.placed().failed(50).failed(70, "weather").minutes("not_attempted") == [50]


def test_the_first_attempt_is_the_earliest_whatever_came_first_in_the_log(life: Any) -> None:
    assert "first_success" in life.placed().failed(60).delivered(50).counted


def test_attempts_at_the_same_moment_go_by_source_then_id(lives: Any) -> None:
    assert "first_success" not in lives().placed().delivered(50, source="/b").failed(50, source="/a").counted
    assert "first_success" in lives().placed().failed(50, id="b").delivered(50, id="a").counted


def test_a_part_delivered_is_an_attempt_that_succeeded(life: Any) -> None:
    counted = life.placed(parcels=["a", "b"]).delivered(50, parcels=["a"]).counted
    assert counted["attempted"] == counted["first_success"] == 1


def test_an_order_cancelled_before_its_delivery_was_attempted_all_the_same(life: Any) -> None:
    assert life.placed().cancelled(40).delivered(50).counted["attempted"] == 1


@pytest.mark.parametrize(("score", "satisfied"), [(1, False), (3, False), (4, True), (5, True)])
def test_csat(life: Any, score: int, satisfied: bool) -> None:
    counted = life.placed().answered(80, score=score).counted
    assert (counted["scored"], counted["score_sum"], "satisfied" in counted) == (1, score, satisfied)
    assert "nps_answered" not in counted
    assert life.minutes("scored") == [80]


@pytest.mark.parametrize(
    ("nps", "kind"), [(0, "detractors"), (6, "detractors"), (7, None), (8, None), (9, "promoters"), (10, "promoters")]
)
def test_nps(life: Any, nps: int, kind: str | None) -> None:
    counted = life.placed().answered(80, nps=nps).counted
    assert counted["nps_answered"] == 1
    assert {"promoters", "detractors"} & set(counted) == ({kind} if kind else set())
    assert "scored" not in counted


def reasons(life: Any) -> dict[tuple[int, str, str, str], int]:
    """By minute, courier, what it is the reason of, and the reason: how often it was given."""
    start = min(fact.time for fact in life.facts) // 60_000_000
    found = {}
    for key, slots in life.cells.items():
        if key[6]:
            assert [slot for slot, _ in slots] == [INDEX["reasons"]] * len(slots)
            found[key[0] - start, *key[5:]] = sum(value for _, value in slots)
    return found


def test_every_failed_attempt_gives_its_reason_in_its_minute(life: Any) -> None:
    life.placed().assigned(1, "c1").failed(50).failed(50.5, courier="c2").failed(70, "weather").delivered(90)
    assert reasons(life) == {
        (50, "c1", "failed_attempt", "not_home"): 1,
        (50, "c2", "failed_attempt", "not_home"): 1,
        (70, "c2", "failed_attempt", "weather"): 1,
    }


def test_of_an_orders_answers_the_latest_that_names_reasons_gives_them(life: Any) -> None:
    life.placed().answered(80, 2, reasons=["late", "rude"]).answered(90, 1, reasons=["late"]).answered(99, 5)
    assert reasons(life) == {(90, "", "feedback", "late"): 1}


def test_what_earlier_releases_kept_of_an_answer_has_no_reasons_and_of_an_order_no_fee(life: Any) -> None:
    life.placed(fee=49_000).answered(80, 2, reasons=["late"])
    kept = [fields[:-1] for fields in msgspec.msgpack.decode(f.encode(life.facts))]
    known = f.decode(msgspec.msgpack.encode(kept))
    assert next(fact for fact in known if isinstance(fact, f.Placed)).fee is None
    assert fold(known).reasons == []


@pytest.mark.parametrize(("fee", "counted"), [(None, (0, 0)), (0, (1, 0)), (49_000, (1, 49_000))])
def test_a_fee_counts_where_the_order_is_delivered(life: Any, fee: int | None, counted: tuple[int, int]) -> None:
    life.placed(fee=fee)
    assert not {"priced", "fee"} & set(life.counted)
    found = life.delivered(50).counted
    assert (found.get("priced", 0), found.get("fee", 0)) == counted
    assert life.minutes("priced") == ([] if fee is None else [50])


def test_the_latest_response_counts_each_question_for_itself(life: Any) -> None:
    life.placed().answered(90, score=5).answered(80, score=1, nps=3)
    assert (life.minutes("satisfied"), life.minutes("scored"), life.minutes("detractors")) == ([90], [90], [80])


def test_of_responses_at_the_same_moment_the_higher_source_and_id_is_the_latest(life: Any) -> None:
    life.placed().answered(80, score=5, source="/b", id="a").answered(80, score=1, source="/a", id="b")
    assert life.order.score == 5
    assert life.answered(80, score=2, source="/b", id="b").order.score == 2


def test_response_rate_is_of_delivered_orders_and_stands_at_the_delivery(life: Any) -> None:
    life.placed().asked(55).answered(40, nps=8)
    assert "responded" not in life.counted
    assert life.delivered(50).minutes("responded") == [50]


def test_asking_is_no_response(life: Any) -> None:
    assert "responded" not in life.placed().delivered(50).asked(60).counted


def test_costs_add_up_and_the_latest_of_a_cost_counts(life: Any) -> None:
    life.placed().cost(20, 50_000).cost(10, 90_000).cost(5, 10_000, "k2", component="fuel", activity="redelivery")
    assert life.counted["cost"] == 60_000
    assert life.minutes("cost") == [5, 20]


def test_of_equal_moments_the_higher_identity_is_the_latest_cost(life: Any) -> None:
    life.placed().cost(20, 1, source="/b", id="a").cost(20, 2, source="/a", id="b")
    assert life.counted["cost"] == 1


def test_a_credit_is_taken_off(life: Any) -> None:
    assert life.placed().cost(20, 50_000).cost(30, -70_000, "k2").counted["cost"] == -20_000


def test_a_later_record_may_move_a_cost_to_another_minute_hub_and_component(life: Any) -> None:
    life.placed().cost(20, 5).cost(200, 7, hub="h2", component="toll")
    keys = [key for key, slots in life.cells.items() if slots and key[6]]
    assert [(key[1], *key[6:]) for key in keys] == [("h2", "toll", "delivery")]
    assert life.minutes("cost") == [200]


def test_a_cost_stands_under_its_own_hub_and_its_orders_other_dimensions(life: Any) -> None:
    life.cost(20, 5, hub="h9")
    (before,) = life.cells
    assert before[1:5] == ("h9", "", "", "")
    life.placed(hub="h1")
    after = next(key for key in life.cells if key[6])
    assert after[1:5] == ("h9", "z1", "l1", "m1")


def test_a_cost_names_its_courier_or_has_the_one_assigned_then(life: Any) -> None:
    life.placed().assigned(10, "c1").assigned(30, "c2").cost(20, 1).cost(40, 1, "k2").cost(40, 1, "k3", courier="c7")
    assert life.couriers("cost") == ["c1", "c2", "c7"]


def test_everything_stands_under_the_placed_orders_dimensions(life: Any) -> None:
    life.placed(hub="h1").assigned(5, "c1").delivered(60).answered(70, 5, 10).cancelled(80)
    assert {key[1:5] for key in life.cells} == {("h1", "z1", "l1", "m1")}


def test_the_courier_is_the_one_the_event_names_else_the_one_assigned_then(lives: Any) -> None:
    assert lives().placed().assigned(10, "c1").assigned(20, "c2").delivered(60).couriers("delivered") == ["c2"]
    assert lives().placed().assigned(10, "c1").delivered(60, courier="c3").couriers("delivered") == ["c3"]
    assert lives().placed().assigned(10, "c1").unassigned(20).delivered(60).couriers("delivered") == [""]
    assert lives().placed().assigned(90, "c1").delivered(60).couriers("delivered") == [""]


def test_the_latest_eta_is_current(life: Any) -> None:
    life.placed().eta(20, 99).eta(10, 50)
    assert life.order.eta == life.facts[1].eta
