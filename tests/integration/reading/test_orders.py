"""Orders by state, the gauges, and one order's timeline, from the real engine."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from subprocess import CompletedProcess

import pytest
from sla_rows import sla_row

from milepost.domain import facts as f
from milepost.domain.kpis import GAUGES
from milepost.reading.gauges import read_gauges
from milepost.reading.orders import find_order, find_orders
from milepost.reading.question import QuestionError
from milepost.settings import Settings
from milepost.store.client import reader, writer
from milepost.store.tables import DEAD_LETTERS, EVENTS, ORDERS, SLA_EVENTS

pytestmark = pytest.mark.needs_platform
Command = Callable[..., CompletedProcess[str]]

START = datetime(2026, 3, 1, 8, tzinfo=UTC)
BY_STATE = {
    "open": ["overdue-1", "overdue-2", "agreed-1", "open-1", "silent-1"],
    "overdue": ["overdue-1", "overdue-2"],
    "orphan": ["orphan-1"],
    "abandoned": ["abandoned-1"],
    "closed": ["closed-1"],
    "delivered": ["closed-1"],
    "cancelled": [],
}


@pytest.mark.parametrize("state", BY_STATE)
def test_orders_are_listed_by_state(installation: Settings, orders: datetime, state: str) -> None:
    with reader(installation) as store:
        page = find_orders(store, orders, state)
    assert sorted(item.order_id for item in page.items) == sorted(BY_STATE[state])
    assert page.next is None


def test_pages_follow_one_another_without_gap(installation: Settings, orders: datetime) -> None:
    found: list[str] = []
    cursor = None
    with reader(installation) as store:
        for _ in range(3):
            page = find_orders(store, orders, "open", limit=2, cursor=cursor)
            found += [item.order_id for item in page.items]
            cursor = page.next
        assert cursor is None
        with pytest.raises(QuestionError, match="is not one that this service gave"):
            find_orders(store, orders, "open", cursor="x")
        with pytest.raises(QuestionError, match="there are open, overdue"):
            find_orders(store, orders, "late")
    assert found[2:] == ["overdue-2", "open-1", "silent-1"]
    assert sorted(found) == sorted(BY_STATE["open"])


def test_gauges_count_what_the_lists_show(installation: Settings, orders: datetime) -> None:
    with reader(installation) as store:
        assert read_gauges(store, orders, GAUGES) == {(): {"open_orders": 5, "overdue_orders": 2, "orphan_orders": 1}}
        by_hub = read_gauges(store, orders, GAUGES, ("hub_id",))
        filtered = read_gauges(store, orders, GAUGES[:1], (), (("merchant_id", ("m1",)),))
    assert by_hub["HAM-1",] == {"open_orders": 1, "overdue_orders": 1, "orphan_orders": 0}
    assert by_hub["BER-1",] == {"open_orders": 4, "overdue_orders": 1, "orphan_orders": 0}
    assert filtered == {(): {"open_orders": 1}}


def micros(minutes: float) -> int:
    return int((START + timedelta(minutes=minutes)).timestamp()) * 1_000_000


@pytest.fixture(scope="module")
def told(installation: Settings) -> str:
    """An order with a moved promise, a late one, one taken back, and a copy that contradicts; gives its id."""
    order_id = "told-1"
    until = micros(60)
    facts: list[f.AnyFact] = [
        f.Placed(1, micros(0), "/shop", "p", 1, "BER-1", "mitte", "express", "m1", "A-7", 0, until, [("x", 1)], []),
        f.PromiseChanged(2, micros(30), "/shop", "c1", 1, 0, micros(90), "customer"),
        f.PromiseChanged(3, micros(100), "/shop", "c2", 1, 0, micros(120), "merchant"),
        f.Ready(4, micros(20), "/wms", "r", 1),
        f.PickedUp(5, micros(25), "/fleet", "u", 1, "k1"),
        f.Arrived(6, micros(80), "/fleet", "a", 1, "k1"),
        f.Delivered(7, micros(85), "/fleet", "d", 1, "k1", [("x", 1, False)], None),
        f.AttemptFailed(8, micros(40), "/fleet", "oops", 1, "k1", "not_home"),
        f.Retracted(9, micros(41), "/fleet", "t", 1, ("/fleet", "oops")),
    ]
    kinds = {
        "p": ("order.placed", {"hub_id": "BER-1", "promised_until": "2026-03-01T09:00:00Z", "zone_id": None}),
        "c1": ("order.promise_changed", {"promised_until": "2026-03-01T09:30:00Z", "requested_by": "customer"}),
        "c2": ("order.promise_changed", {"promised_until": "2026-03-01T10:00:00Z", "requested_by": "merchant"}),
        "r": ("dispatch.ready", {}),
        "u": ("delivery.picked_up", {"courier_id": "k1"}),
        "a": ("delivery.arrived", {}),
        "d": ("delivery.delivered", {"lines": [{"sku": "x", "quantity": 1, "damaged": False}]}),
        "oops": ("delivery.attempt_failed", {"reason_code": "not_home"}),
        "t": ("event.retracted", {"retracts": {"source": "/fleet", "id": "oops"}, "reason": "did_not_occur"}),
    }  # fmt: skip
    events = []
    for fact in facts:
        kind, data = kinds[fact.id]
        recorded = fact.time + (90_000_000 if fact.id == "d" else 2_000_000)
        events.append(
            (order_id, fact.source, fact.id, f"milepost.{kind}.v1", fact.time, recorded, recorded, 0, fact.offset,
             2**62 - fact.offset, 0, 1, json.dumps(data))
        )  # fmt: skip
    letter = ("milepost.lifecycle.v1", 0, 99, micros(90), "conflict", "says something else", order_id, "/fleet", "d",
              "", "", micros(90), micros(90), 1, 1, "open", "")  # fmt: skip
    values = {name: "" if "String" in kind else ([] if "Array" in kind else 0) for name, kind in ORDERS.columns.items()}
    values |= {"order_id": order_id, "placed_at": micros(0), "closed_at": micros(85), "facts": f.encode(facts)}
    due = START + timedelta(minutes=60)
    slas = [
        sla_row(order_id, "promise", due, "at_risk", "predicted", due - timedelta(minutes=35), chance=0.4),
        sla_row(order_id, "promise", due, "withdrawn", "moved", due - timedelta(minutes=30)),
    ]
    with writer(installation) as store:
        store.insert(SLA_EVENTS, slas)
        store.insert(EVENTS, events)
        store.insert(ORDERS, [tuple(values.values())])
        store.insert(DEAD_LETTERS, [letter])
    return order_id


def test_a_timeline_tells_all_there_is(installation: Settings, told: str) -> None:
    with reader(installation) as store:
        found = find_order(store, told, START + timedelta(days=1))
    assert found is not None
    assert (found.state, found.overdue, found.abandoned) == ("delivered", False, False)
    assert found.dimensions == {
        "hub_id": "BER-1", "zone_id": "mitte", "service_level": "express", "merchant_id": "m1", "courier_id": "k1",
    }  # fmt: skip
    assert [event.id for event in found.events] == ["p", "r", "u", "c1", "oops", "t", "a", "d", "c2"]
    assert {event.id for event in found.events if event.retracted} == {"oops"}
    assert found.events[0].data == {"hub_id": "BER-1", "promised_until": "2026-03-01T09:00:00Z"}
    assert {event.id: event.skew_seconds for event in found.events}["d"] == 90.0
    assert [(entry.requested_by, entry.effect) for entry in found.promises] == [
        ("", "made with the order"),
        ("customer", "moved"),
        ("merchant", "after the deadline then in force"),
    ]
    assert found.deadline == START + timedelta(minutes=90)
    assert found.agreed_until == START + timedelta(minutes=120)
    assert [(stage.stage, stage.minutes) for stage in found.stages] == [
        ("prepare", 20.0), ("collect", 5.0), ("transit", 55.0), ("door", 5.0),
    ]  # fmt: skip
    assert (found.outcome.kept, found.outcome.kept_original, found.outcome.in_full) == (True, False, True)
    assert (found.outcome.attempts, found.outcome.minutes_to_delivery) == (1, 85.0)
    assert [(problem.reason, problem.id) for problem in found.problems] == [("conflict", "d")]
    ((promised, (warned, ended)),) = ((life, life.steps) for life in found.sla)
    assert (promised.rule, promised.state, promised.cause, promised.open) == ("promise", "withdrawn", "moved", False)
    assert (warned.chance, ended.said) == (0.4, "the promise had been moved in time")


def test_a_promise_with_time_left_is_neither_kept_nor_broken(installation: Settings) -> None:
    facts: list[f.AnyFact] = [f.Placed(1, micros(0), "/s", "p", 1, "B", "", "", "", "", 0, micros(60), [("x", 1)], [])]
    values = {name: "" if "String" in kind else ([] if "Array" in kind else 0) for name, kind in ORDERS.columns.items()}
    with writer(installation) as store:
        store.insert(ORDERS, [tuple((values | {"order_id": "early", "facts": f.encode(facts)}).values())])
    with reader(installation) as store:
        before = find_order(store, "early", START + timedelta(minutes=59))
        after = find_order(store, "early", START + timedelta(minutes=61))
    assert before is not None
    assert after is not None
    assert (before.outcome.kept, after.outcome.kept) == (None, False)


def test_the_command_shows_it_to_people_and_programs(installation: Settings, told: str, milepost: Command) -> None:
    shown = milepost(installation, "order", told).stdout
    for words in (
        "delivered",
        "retracted",
        "after the deadline then in force",
        "conflict",
        "55.0 min",
        "promise withdrawn",
        "the chance to keep it fell to 40 %",
    ):
        assert words in shown
    document = json.loads(milepost(installation, "order", told, "--json").stdout)
    assert document["stages"][0] == {
        "stage": "prepare", "from": "2026-03-01T08:00:00Z", "to": "2026-03-01T08:20:00Z", "minutes": 20.0,
    }  # fmt: skip
    unknown = milepost(installation, "order", "nobody", check=False)
    assert (unknown.returncode, "nothing was ever heard" in unknown.stderr) == (1, True)
