"""How good warnings were, and what a forecast begins with, from rows made by hand whose truth is plain."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from subprocess import CompletedProcess

import httpx
import pytest

from milepost.domain import facts as f
from milepost.domain.sla.words import RANKS, State
from milepost.insights.app import create_app as create_insights
from milepost.reading.forecast import seed_rows
from milepost.reading.kpis import answer
from milepost.reading.question import ask
from milepost.reading.rows import KpiRow
from milepost.settings import Settings
from milepost.store.client import reader, writer
from milepost.store.tables import ORDERS, SLA_EVENTS

pytestmark = pytest.mark.needs_platform
Command = Callable[..., CompletedProcess[str]]
Life = list[tuple[str, float, str]]

START = datetime(2026, 3, 1, 8, tzinfo=UTC)
HOUR = {"from": "2026-03-01T08:00Z", "to": "2026-03-01T09:00Z"}

BERLIN: dict[str, tuple[float, Life]] = {
    # When it is due, in minutes after the start; then each state with its minute and cause.
    "foreseen-30": (40, [("at_risk", 10, "predicted"), ("breached", 40, "late"), ("resolved", 50, "met_late")]),
    "foreseen-10": (50, [("at_risk", 40, "predicted"), ("breached", 50, "silent")]),
    "unforeseen": (20, [("breached", 20, "silent"), ("resolved", 90, "returned")]),
    "too-late": (30, [("at_risk", 30, "predicted"), ("breached", 30, "late")]),
    "false-alarm": (30, [("at_risk", 1, "predicted"), ("resolved", 25, "met")]),
    "eased": (30, [("at_risk", 1, "predicted"), ("eased", 10, "predicted"), ("resolved", 25, "met")]),
    "was-met": (30, [("at_risk", 1, "predicted"), ("breached", 30, "silent"), ("withdrawn", 40, "met")]),
    "was-met-too": (30, [("breached", 30, "silent"), ("withdrawn", 40, "met")]),
    "cancelled": (30, [("at_risk", 1, "predicted"), ("resolved", 20, "cancelled")]),
    "moved": (30, [("at_risk", 1, "predicted"), ("withdrawn", 20, "moved")]),
    "due-at-the-end": (60, [("at_risk", 1, "predicted"), ("breached", 60, "late")]),
    "due-before": (-1, [("breached", -1, "late")]),
}
HAMBURG: dict[str, tuple[float, Life]] = {
    "due-at-the-start": (0, [("at_risk", -60, "predicted"), ("breached", 0, "late")]),
}


def micros(minutes: float) -> int:
    return int((START + timedelta(minutes=minutes)).timestamp()) * 1_000_000


def rows(order_id: str, hub_id: str, due: float, life: Life, rule: str = "promise") -> list[tuple[object, ...]]:
    known = {"order_id": order_id, "rule": rule, "base": micros(due), "due": micros(due), "chance": -1.0}
    place = {"hub_id": hub_id, "merchant_id": "m1" if hub_id == "HAM-1" else "m2", "version": 1}
    empty = {name: "" if "String" in kind else 0 for name, kind in SLA_EVENTS.columns.items()}
    return [
        tuple(
            (
                empty
                | known
                | place
                | {"id": f"{order_id}/{state}", "state": state, "rank": RANKS[State(state)]}
                | {"at": micros(at), "detected": micros(at), "cause": cause}
            ).values()
        )
        for state, at, cause in life
    ]


@pytest.fixture(scope="module")
def lives(installation: Settings) -> Settings:
    written = [row for order_id, life in BERLIN.items() for row in rows(order_id, "BER-1", *life)]
    written += [row for order_id, life in HAMBURG.items() for row in rows(order_id, "HAM-1", *life)]
    written += rows("unforeseen", "BER-1", 20, [("breached", 20, "late")], rule="prepare")
    with writer(installation) as store:
        store.insert(SLA_EVENTS, written)
        # A flush done twice changes nothing.
        store.insert(SLA_EVENTS, written)
    return installation


def told(row: KpiRow) -> tuple[object, ...]:
    return row.value, row.numerator, row.denominator, row.precision, row.lead_p50


def answered(settings: Settings, **asked: list[str]) -> list[KpiRow]:
    question = ask(datetime.now(UTC), start=HOUR["from"], end=HOUR["to"], kpis=["breach_warning"], **asked)
    with reader(settings) as store:
        return answer(store, question, datetime.now(UTC)).rows


def test_warnings_are_held_to_what_became_of_the_promises(lives: Settings) -> None:
    (whole,) = answered(lives)
    assert told(whole) == (3 / 5, 3, 5, 3 / 6, 30.0)
    berlin, hamburg = answered(lives, by=["hub_id"])
    assert (berlin.dimensions, told(berlin)) == ({"hub_id": "BER-1"}, (2 / 4, 2, 4, 2 / 5, 20.0))
    assert (hamburg.dimensions, told(hamburg)) == ({"hub_id": "HAM-1"}, (1.0, 1, 1, 1.0, 60.0))
    (merchant,) = answered(lives, where=["merchant_id=m1"])
    assert told(merchant) == told(hamburg)


def test_where_nothing_came_due_nothing_is_said(lives: Settings) -> None:
    (nothing,) = answered(lives, where=["hub_id=nowhere"])
    assert told(nothing) == (None, 0, 0, None, None)
    assert nothing.coverage is None
    assert answered(lives, where=["hub_id=nowhere"], by=["zone_id"]) == []


async def test_the_command_and_the_api_say_the_same(lives: Settings, milepost: Command) -> None:
    window = ("--from", HOUR["from"], "--to", HOUR["to"], "--kpi", "breach_warning")
    (said,) = json.loads(milepost(lives, "kpi", "--json", *window).stdout)["rows"]
    assert (said["value"], said["precision"], said["lead_p50"]) == (0.6, 0.5, 30.0)
    shown = milepost(lives, "kpi", *window, "--by", "hub_id").stdout
    assert "precision 40.0 %  lead p50 20.0 min" in shown
    transport = httpx.ASGITransport(app=create_insights(lives), client=("127.0.0.1", 1234))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as api:
        answered = (await api.get("/v1/kpis", params={**HOUR, "kpi": "breach_warning"})).json()
        others = (await api.get("/v1/kpis", params=HOUR)).json()
    assert answered["rows"] == [said]
    assert "breach_warning" not in {row["kpi"] for row in others["rows"]}


def test_a_forecast_begins_with_the_promises_decided_last(installation: Settings) -> None:
    def row(order_id: str, deadline: float, delivered: float | None = None, **known: object) -> tuple[object, ...]:
        lines = [("x", 1)]
        facts: list[f.AnyFact] = [
            f.Placed(1, micros(-9_000), "/s", "p", 1, order_id, "", "", "", "", 0, micros(deadline), lines, [])
        ]
        if delivered is not None:
            facts.append(f.Delivered(2, micros(delivered), "/s", "d", 1, "", None, None))
        values: dict[str, object] = {
            name: "" if "String" in kind else ([] if "Array" in kind else 0) for name, kind in ORDERS.columns.items()
        }
        values |= {"order_id": order_id, "placed_at": micros(-9_000), "deadline": micros(deadline), "version": 1}
        values |= {"delivered_at": micros(delivered) if delivered is not None else 0, "facts": f.encode(facts)}
        return tuple((values | known).values())

    written = [
        row("kept", 60, delivered=-30),
        row("late", -40, delivered=-10),
        row("broken", -20),
        row("still-open", 60),
        row("expired", -25, facts=b""),
        row("long-ago", -30_000),
    ]
    with writer(installation) as store:
        store.insert(ORDERS, written)
    with reader(installation) as store:
        found = [order.placed.hub_id for order in seed_rows(store, START) if order.placed]
        latest = [order.placed.hub_id for order in seed_rows(store, START, most=1) if order.placed]
    assert found == ["late", "kept", "broken"]
    assert latest == ["broken"]
