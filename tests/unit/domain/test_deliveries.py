"""Delivered, cancelled, closed, parcels, in full, and what is counted then."""

from typing import Any

import pytest

UNKNOWN = None


def test_delivery_time_is_from_placed_to_delivered(life: Any) -> None:
    counted = life.placed(5).delivered(65.5).counted
    assert (counted["delivery_timed"], counted["delivery_us"]) == (1, 60.5 * 60_000_000)
    assert life.minutes("delivery_us") == [65]


def test_delivered_in_the_moment_it_was_placed_takes_no_time(life: Any) -> None:
    counted = life.placed(5).delivered(5).counted
    assert counted["delivery_timed"] == 1
    assert "delivery_us" not in counted


def test_delivered_before_placed_has_no_known_delivery_time(life: Any) -> None:
    counted = life.placed(10).delivered(9).counted
    assert counted["delivered"] == 1
    assert not {"delivery_timed", "delivery_us"} & set(counted)


def test_before_it_is_placed_an_order_counts_for_nothing_but_its_costs(life: Any) -> None:
    life.ready(1).assigned(2).picked_up(3).arrived(4).failed(5).delivered(6).answered(7, 5, 10).cancelled(8)
    assert (life.counted, life.order.state) == ({}, "unplaced")
    assert life.cost(9, 10_000).counted == {"cost": 10_000}
    assert life.placed(0).counted["delivered"] == 1


def test_of_two_placed_events_the_earliest_counts(lives: Any) -> None:
    assert lives().placed(10, hub="late").placed(5, hub="early").order.placed.hub_id == "early"
    tied = lives().placed(5, hub="b", source="/b").placed(5, hub="a", source="/a", id="z")
    assert tied.order.placed.hub_id == "a"


@pytest.mark.parametrize(("cancelled", "delivered"), [(49.999, False), (50, True), (51, True)])
def test_delivered_unless_cancelled_strictly_before(life: Any, cancelled: float, delivered: bool) -> None:
    counted = life.placed().cancelled(cancelled).delivered(50).counted
    assert ("delivered" in counted, "cancelled" in counted) == (delivered, not delivered)
    assert life.minutes("closed") == [50 if delivered else 49]


def test_cancelled_after_the_first_but_before_the_last_parcel_is_cancelled(life: Any) -> None:
    life.placed(parcels=["a", "b"]).delivered(40, parcels=["a"]).cancelled(50).delivered(60, parcels=["b"])
    assert life.order.state == "cancelled"
    assert life.minutes("cancelled") == [50]


def test_delivered_with_the_last_parcel(life: Any) -> None:
    life.placed(parcels=["a", "b"]).delivered(40, parcels=["a"])
    assert not {"delivered", "closed"} & set(life.counted)
    life.delivered(70, parcels=["b"], courier="c9")
    assert life.minutes("delivered") == life.minutes("closed") == [70]
    assert life.couriers("delivered") == ["c9"]


def test_a_parcel_is_delivered_by_its_first_delivery(life: Any) -> None:
    life.placed(parcels=["a", "b"]).delivered(40, parcels=["a"]).delivered(70, parcels=["b"])
    assert life.delivered(90, parcels=["a"]).minutes("delivered") == [70]


def test_a_delivery_without_parcels_speaks_of_all(life: Any) -> None:
    life.placed(parcels=["a", "b"]).delivered(40, parcels=["a"]).delivered(70)
    assert life.minutes("delivered") == [70]


def test_where_no_parcel_is_declared_a_named_one_is_the_order(life: Any) -> None:
    assert life.placed().delivered(40, parcels=["x"]).minutes("delivered") == [40]


def test_a_delivery_of_a_parcel_nobody_declared_delivers_nothing(life: Any) -> None:
    assert "delivered" not in life.placed(parcels=["a"]).delivered(40, parcels=["x"]).counted


def test_closed_when_every_parcel_is_delivered_returned_or_lost(life: Any) -> None:
    life.placed(parcels=["a", "b", "c"]).delivered(40, parcels=["a"]).returned(50, parcels=["b"])
    assert "closed" not in life.counted
    life.lost(60, parcels=["c"])
    assert life.minutes("closed") == life.minutes("returned") == [60]
    assert not {"delivered", "cancelled"} & set(life.counted)


@pytest.mark.parametrize(
    ("disposition", "closed", "returned"),
    [("to_sender", True, True), ("back_to_hub", False, False), ("after_delivery", False, False)],
)
def test_only_what_goes_to_its_sender_closes(life: Any, disposition: str, closed: bool, returned: bool) -> None:
    counted = life.placed().returned(50, disposition).counted
    assert ("closed" in counted, "returned" in counted) == (closed, returned)


def test_returned_after_delivery_counts_where_the_order_was_closed(life: Any) -> None:
    life.placed().delivered(50).returned(5000, "after_delivery")
    assert life.minutes("returned") == life.minutes("closed") == [50]


def test_cancelled_and_then_returned_closes_at_the_first(life: Any) -> None:
    life.placed().cancelled(40).returned(50)
    assert life.minutes("closed") == [40]
    assert {"cancelled", "returned"} <= set(life.counted)


def test_lost_is_closed_and_neither_cancelled_nor_returned(life: Any) -> None:
    assert life.placed().lost(50).counted == {"due": 1, "due_original": 1, "closed": 1}
    assert life.order.state == "lost"


@pytest.mark.parametrize(
    ("lines", "in_full"),
    [
        ([("milk", 2, False)], True),
        ([("milk", 3, False)], True),
        ([("milk", 1, False), ("milk", 1, False)], True),
        ([("milk", 2, False), ("gift", 1, False)], True),
        ([("milk", 1, False)], False),
        ([("milk", 2, True)], False),
        ([("milk", 2, False), ("gift", 0, True)], False),
        ([("bread", 2, False)], False),
        ([], False),
        (None, UNKNOWN),
    ],
)
def test_in_full(life: Any, lines: list[tuple[str, int, bool]] | None, in_full: bool | None) -> None:
    counted = life.placed(until=120, lines=[("milk", 2)]).delivered(60, lines).counted
    assert life.order.in_full is in_full
    assert ("in_full_known" in counted, "in_full" in counted) == (in_full is not UNKNOWN, bool(in_full))
    assert ("otif" in counted, "otif_unknown" in counted) == (bool(in_full), in_full is UNKNOWN)


def test_in_full_sums_repeated_lines_and_parcels(life: Any) -> None:
    life.placed(lines=[("milk", 1), ("milk", 2)], parcels=["a", "b"]).delivered(50, [("milk", 1, False)], ["a"])
    assert life.delivered(60, [("milk", 2, False)], ["b"]).order.in_full is True


def test_in_full_takes_a_delivery_of_two_parcels_once(life: Any) -> None:
    life.placed(lines=[("milk", 2)], parcels=["a", "b"]).delivered(50, [("milk", 1, False)], ["a", "b"])
    assert life.order.in_full is False


def test_one_delivery_without_lines_makes_it_unknown(life: Any) -> None:
    life.placed(parcels=["a", "b"]).delivered(50, [("milk", 2, False)], ["a"]).delivered(60, None, ["b"])
    assert life.order.in_full is UNKNOWN


def test_late_and_unknown_is_not_unknown_for_otif(life: Any) -> None:
    counted = life.placed(until=120).delivered(130, None).counted
    assert "due" in counted
    assert not {"otif", "otif_unknown"} & set(counted)


def test_of_two_deliveries_of_the_whole_the_first_says_what_came(life: Any) -> None:
    assert life.placed().delivered(60, [("milk", 1, False)]).delivered(50, None).order.in_full is UNKNOWN
    assert life.order.delivered_at < life.facts[1].time


def test_early_is_before_the_window_opens(life: Any) -> None:
    assert life.placed(since=60, until=120).delivered(59.999).counted["early"] == 1


def test_states_in_words(lives: Any) -> None:
    assert lives().order.state == "unknown"
    words = [
        (lives().placed(), "placed"),
        (lives().placed().ready(1), "ready"),
        (lives().placed().ready(1).assigned(2), "assigned"),
        (lives().placed().ready(1).assigned(2).unassigned(3), "ready"),
        (lives().placed().departed(3), "out"),
        (lives().placed().departed(3).arrived(4), "arrived"),
        (lives().placed().departed(3).arrived(4).failed(5), "failed"),
        (lives().placed().departed(3).failed(4, "no_time"), "out"),
        (lives().placed().returned(5), "returned"),
        (lives().placed().cancelled(5), "cancelled"),
        (lives().placed().delivered(4).cancelled(5), "delivered"),
    ]
    assert [life.order.state for life, _ in words] == [word for _, word in words]
