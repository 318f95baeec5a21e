"""The truth about lives made by hand, with answers worked out by hand."""

from typing import Any

import pytest

from milepost.simulator.draws import DAY, HOUR, MINUTE
from milepost.simulator.life import (
    Arrived,
    Assigned,
    AttemptFailed,
    Cancelled,
    Cost,
    Delivered,
    Departed,
    Fact,
    Life,
    Lost,
    PickedUp,
    Placed,
    PromiseChanged,
    Ready,
    Response,
    Returned,
    Unassigned,
)
from milepost.simulator.truth import Truth

T = 1_800_000_000_000_000 // DAY * DAY
LINES = (("apple", 2), ("pear", 1))
ALL = (("apple", 2, False), ("pear", 1, False))


def placed(**changes: Any) -> Placed:
    facts: dict[str, Any] = {
        "at": T,
        "hub_id": "hub-1",
        "zone_id": "north",
        "merchant_id": "m",
        "service_level": "express",
        "promised_until": T + HOUR,
        "lines": LINES,
    }
    return Placed(**{**facts, **changes})


def delivered(minutes: float, **changes: Any) -> Delivered:
    return Delivered(**{"at": T + int(minutes * MINUTE), "lines": ALL, **changes})


def rows(*lives: list[Fact], by: str | None = None, windows: Any = ()) -> dict[Any, dict[str, Any]]:
    """KPI (or dimension value, KPI; or window number, KPI) → row."""
    truth = Truth(windows)
    for number, facts in enumerate(lives):
        truth.add(Life(f"o{number}", facts))
    result = truth.result()
    if windows:
        return {(i, _name(row)): row for i, window in enumerate(result["windows"]) for row in window["rows"]}
    if by:
        return {(row["dimensions"][by], _name(row)): row for row in result["by"][by]}
    return {_name(row): row for row in result["overall"]}


def _name(row: dict[str, Any]) -> str:
    stage = row["dimensions"].get("stage")
    return f"stage_time/{stage}" if stage else row["kpi"]


def parts(row: dict[str, Any]) -> tuple[float, int]:
    return row["numerator"], row["denominator"]


def test_an_order_delivered_on_the_deadline_is_kept_in_full_and_has_its_minutes() -> None:
    found = rows([placed(), delivered(60)])
    assert parts(found["promise_kept"]) == (1, 1)
    assert parts(found["on_time"]) == (1, 1)
    assert parts(found["otif"]) == (1, 1)
    assert parts(found["delivery_time"]) == (60.0, 1)
    assert parts(found["first_attempt_success"]) == (1, 1)
    assert parts(found["early"]) == (0, 0)
    assert found["early"]["value"] is None


def test_a_microsecond_later_it_is_broken() -> None:
    found = rows([placed(), delivered(60, at=T + HOUR + 1)])
    assert parts(found["promise_kept"]) == (0, 1)
    assert parts(found["on_time"]) == (0, 1)


def test_what_never_comes_is_due_and_broken() -> None:
    found = rows([placed()])
    assert parts(found["promise_kept"]) == (0, 1)
    assert parts(found["on_time"]) == (0, 0)
    assert parts(found["cancellation_rate"]) == (0, 0)


@pytest.mark.parametrize(
    ("who", "minutes", "due"),
    [("customer", 60, 0), ("merchant", 10, 0), ("carrier", 10, 1), ("customer", 61, 1)],
)
def test_only_a_cancellation_by_customer_or_merchant_in_time_takes_an_order_out(
    who: str, minutes: int, due: int
) -> None:
    found = rows([placed(), Cancelled(at=T + minutes * MINUTE, requested_by=who)])
    assert parts(found["promise_kept"]) == (0, due)
    assert parts(found["promise_kept_original"]) == (0, due)
    assert parts(found["cancellation_rate"]) == (1, 1)


def test_the_earliest_cancellation_says_whose_it_is() -> None:
    carrier, customer = Cancelled(at=T + 1, requested_by="carrier"), Cancelled(at=T + 2, requested_by="customer")
    assert parts(rows([placed(), customer, carrier])["promise_kept"]) == (0, 1)


def test_a_cancellation_after_or_at_delivery_changes_nothing() -> None:
    for minutes in (30, 40):
        found = rows([placed(), delivered(30), Cancelled(at=T + minutes * MINUTE, requested_by="customer")])
        assert parts(found["promise_kept"]) == (1, 1)
        assert parts(found["cancellation_rate"]) == (0, 1)


def test_what_is_delivered_after_its_cancellation_is_cancelled() -> None:
    found = rows([placed(), Cancelled(at=T + 5, requested_by="customer"), delivered(30)])
    assert parts(found["on_time"]) == (0, 0)
    assert parts(found["cancellation_rate"]) == (1, 1)
    assert parts(found["first_attempt_success"]) == (1, 1)


def test_a_promise_moves_for_customer_and_merchant_at_or_before_the_deadline_only() -> None:
    def moved(minutes: int, who: str) -> tuple[float, int]:
        change = PromiseChanged(at=T + minutes * MINUTE, promised_until=T + 3 * HOUR, requested_by=who)
        found = rows([placed(), change, delivered(170)])
        assert parts(found["promise_kept_original"]) == (0, 1)
        return parts(found["promise_kept"])

    assert moved(60, "customer") == (1, 1)
    assert moved(10, "merchant") == (1, 1)
    assert moved(10, "carrier") == (0, 1)
    assert moved(61, "customer") == (0, 1)


def test_a_chain_of_changes_is_measured_against_the_deadline_then_in_force() -> None:
    first = PromiseChanged(at=T + HOUR, promised_until=T + 3 * HOUR, requested_by="customer")
    second = PromiseChanged(at=T + 2 * HOUR, promised_until=T + 5 * HOUR, requested_by="merchant")
    found = rows([placed(), second, first, delivered(290)])
    assert parts(found["promise_kept"]) == (1, 1)
    assert parts(found["repromised"]) == (1, 1)


def test_a_change_at_delivery_does_not_count() -> None:
    change = PromiseChanged(at=T + 30 * MINUTE, promised_until=T + 31 * MINUTE, requested_by="customer")
    assert parts(rows([placed(), change, delivered(30)])["repromised"]) == (0, 1)


def test_a_change_without_a_beginning_clears_it() -> None:
    opened = placed(promised_from=T + 45 * MINUTE)
    assert parts(rows([opened, delivered(30)])["early"]) == (1, 1)
    change = PromiseChanged(at=T + 1, promised_until=T + HOUR, requested_by="customer")
    assert parts(rows([opened, change, delivered(30)])["early"]) == (0, 0)


def test_an_order_with_parcels_is_delivered_with_its_last_one() -> None:
    both = placed(parcels=("a", "b"))
    first = delivered(20, parcels=("a",), lines=(("apple", 2, False),))
    second = delivered(50, parcels=("b",), lines=(("pear", 1, False),))
    found = rows([both, second, first])
    assert parts(found["delivery_time"]) == (50.0, 1)
    assert parts(found["in_full"]) == (1, 1)
    assert parts(rows([both, first])["delivery_time"]) == (0.0, 0)


def test_a_second_report_of_the_same_parcel_adds_nothing() -> None:
    short = delivered(20, lines=(("apple", 2, False),))
    assert parts(rows([placed(), short, delivered(25)])["in_full"]) == (0, 1)


@pytest.mark.parametrize(
    ("lines", "full", "coverage"),
    [
        (ALL, 1, 1.0),
        ((("apple", 1, False), ("apple", 1, False), ("pear", 1, False)), 1, 1.0),
        ((("apple", 2, False), ("pear", 1, True)), 0, 1.0),
        ((("apple", 1, False), ("pear", 1, False)), 0, 1.0),
        ((), 0, 1.0),
        (None, 0, 0.0),
    ],
)
def test_in_full_needs_every_line_whole_and_written_down(lines: Any, full: int, coverage: float) -> None:
    row = rows([placed(), delivered(30, lines=lines)])["in_full"]
    assert parts(row) == (full, 1)
    assert row["coverage"] == coverage
    assert row["value"] == (full if coverage else None)


def test_otif_is_unknown_only_where_it_was_in_time() -> None:
    found = rows(
        [placed(), delivered(30, lines=None)], [placed(), delivered(90, lines=None)], [placed(), delivered(30)]
    )
    row = found["otif"]
    assert parts(row) == (1, 3)
    assert row["coverage"] == pytest.approx(2 / 3)
    assert row["high"] == pytest.approx(2 / 3)


def test_otif_has_no_value_where_nothing_is_known() -> None:
    row = rows([placed(), delivered(30, lines=None)])["otif"]
    assert (row["value"], row["coverage"], row["high"]) == (None, 0.0, 1.0)


def test_delivered_before_placed_has_no_known_time() -> None:
    row = rows([placed(at=T + 40 * MINUTE), delivered(30)], [placed(), delivered(10)])["delivery_time"]
    assert parts(row) == (10.0, 1)
    assert row["coverage"] == 0.5


def test_attempts_at_the_door_and_stops_never_reached() -> None:
    failed = AttemptFailed(at=T + 10 * MINUTE, reason_code="not_home")
    missed = AttemptFailed(at=T + 5 * MINUTE, reason_code="weather")
    found = rows([placed(), failed, delivered(30)], [placed(), missed, delivered(30)], [placed(), missed])
    assert parts(found["first_attempt_success"]) == (1, 2)
    assert parts(found["not_attempted"]) == (2, 3)


def test_an_order_is_closed_when_its_last_parcel_is_delivered_back_or_lost() -> None:
    both = placed(parcels=("a", "b"))
    lost = Lost(at=T + HOUR, parcels=("b",))
    back = Returned(at=T + HOUR, disposition="to_sender")
    tried = Returned(at=T + HOUR, disposition="back_to_hub")
    after = Returned(at=T + DAY, disposition="after_delivery")
    assert parts(rows([both, delivered(5, parcels=("a",)), lost])["return_rate"]) == (0, 1)
    assert parts(rows([both, lost])["return_rate"]) == (0, 0)
    assert parts(rows([both, back])["return_rate"]) == (1, 1)
    assert parts(rows([both, tried])["return_rate"]) == (0, 0)
    assert parts(rows([placed(), delivered(5), after])["return_rate"]) == (1, 1)


def test_the_earlier_of_cancelled_and_all_parcels_ended_is_the_closing() -> None:
    back, cancel = Returned(at=T + HOUR, disposition="to_sender"), Cancelled(at=T + 2 * HOUR, requested_by="merchant")
    windows = [(T + HOUR, T + HOUR + MINUTE), (T + 2 * HOUR, T + 2 * HOUR + MINUTE)]
    found = rows([placed(), back, cancel], windows=windows)
    assert parts(found[0, "cancellation_rate"]) == (1, 1)
    assert parts(found[1, "cancellation_rate"]) == (0, 0)


def test_the_latest_score_and_the_latest_nps_count() -> None:
    found = rows(
        [placed(), delivered(5), Response(at=T + HOUR, score=5, nps=10), Response(at=T + 2 * HOUR, score=2)],
        [placed(), Response(at=T + HOUR, nps=6)],
    )
    assert parts(found["csat"]) == (0, 1)
    assert found["csat"]["mean"] == 2
    assert parts(found["nps"]) == (0, 2)
    assert parts(found["response_rate"]) == (1, 1)


def test_nps_is_a_balance_in_points() -> None:
    row = rows(*[[placed(), Response(at=T, nps=nps)] for nps in (9, 10, 8, 6)])["nps"]
    assert row["value"] == 25.0


def test_stages() -> None:
    found = rows(
        [
            placed(),
            Assigned(at=T + 2 * MINUTE, courier_id="c"),
            Ready(at=T + 5 * MINUTE),
            Ready(at=T + 9 * MINUTE),
            Departed(at=T + 12 * MINUTE, route_id="r"),
            PickedUp(at=T + 11 * MINUTE),
            Arrived(at=T + 20 * MINUTE),
            AttemptFailed(at=T + 22 * MINUTE, reason_code="not_home"),
            Arrived(at=T + 50 * MINUTE),
            delivered(53),
        ]
    )
    minutes = {name[11:]: row["numerator"] for name, row in found.items() if name.startswith("stage_time")}
    assert minutes == {"prepare": 5, "assign": 0, "collect": 6, "transit": 9, "reattempt": 28, "door": 3}


def test_a_stage_with_reversed_ends_is_left_out() -> None:
    found = rows([placed(), Ready(at=T - 1), PickedUp(at=T - 2), Arrived(at=T - 3)])
    assert not [name for name in found if name.startswith("stage_time")]


def test_the_courier_is_the_one_named_else_the_one_who_has_it() -> None:
    facts: list[Fact] = [
        placed(),
        Assigned(at=T + 1, courier_id="ann"),
        Unassigned(at=T + 2),
        Assigned(at=T + 3, courier_id="bob"),
        delivered(30, courier_id="cid"),
        Response(at=T + HOUR + 1, score=4),
    ]
    found = rows(facts, by="courier_id")
    assert parts(found["cid", "on_time"]) == (1, 1)
    assert parts(found["cid", "promise_kept"]) == (1, 1)
    assert parts(found["cid", "csat"]) == (1, 1)
    named = rows([placed(), Assigned(at=T + 1, courier_id="ann"), Unassigned(at=T + 2), delivered(30)], by="courier_id")
    assert parts(named["", "on_time"]) == (1, 1)


def test_absent_dimensions_are_empty() -> None:
    found = rows([placed(zone_id=None), delivered(30)], by="zone_id")
    assert parts(found["", "on_time"]) == (1, 1)


def test_the_latest_record_of_a_cost_counts_at_its_own_time_and_hub() -> None:
    def cost(at: int, amount: int, **changes: Any) -> Cost:
        fields = {
            "at": T + at,
            "cost_id": "c",
            "hub_id": "hub-2",
            "component": "fuel",
            "order_id": "o",
            "amount": amount,
        }
        return Cost(**{**fields, **changes})

    found = rows([placed(), delivered(30), cost(1, 50_000), cost(2, 25_000), cost(0, 99)])
    assert found["cost_per_delivery"]["numerator"] == 2.5
    assert found["cost_per_delivery"]["value"] == 2.5
    by_hub = rows([placed(), delivered(30), cost(1, 50_000)], by="hub_id")
    assert parts(by_hub["hub-2", "cost_per_delivery"]) == (5.0, 0)
    assert parts(by_hub["hub-1", "cost_per_delivery"]) == (0.0, 1)
    by_zone = rows([placed(), cost(1, 50_000)], [cost(1, 70_000)], by="zone_id")
    assert parts(by_zone["north", "cost_per_delivery"]) == (5.0, 0)
    assert parts(by_zone["", "cost_per_delivery"]) == (7.0, 0)


def test_an_order_never_placed_counts_for_nothing() -> None:
    found = rows([Assigned(at=T, courier_id="c"), delivered(30), Response(at=T, score=1)])
    assert all(row["denominator"] == 0 for row in found.values())


def test_each_kpi_stands_in_the_minute_of_its_own_moment() -> None:
    windows = [(T, T + HOUR), (T + HOUR, T + HOUR + MINUTE), (T + 89 * MINUTE, T + 90 * MINUTE)]
    found = rows([placed(), delivered(89.5)], windows=windows)
    assert parts(found[0, "promise_kept"]) == (0, 0)
    assert parts(found[1, "promise_kept"]) == (0, 1)
    assert parts(found[1, "on_time"]) == (0, 0)
    assert parts(found[2, "on_time"]) == (0, 1)


def test_quantiles_are_linear_between_the_two_nearest_ranks() -> None:
    row = rows(*[[placed(), delivered(minutes)] for minutes in (10, 20, 40, 30)])["delivery_time"]
    assert row["p50"] == 25.0
    assert row["p90"] == pytest.approx(37.0)
    assert row["p95"] == pytest.approx(38.5)
