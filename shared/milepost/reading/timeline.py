"""One order's timeline: everything heard of it, its stages, its promises, and what it counts for. Pure."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

from msgspec import Struct

from milepost.contracts.catalogue import EVENT_RETRACTED, PROMISE_CHANGED
from milepost.contracts.event import micros, moment_of
from milepost.contracts.fields import AMOUNT_SCALE
from milepost.domain.contributions import stages
from milepost.domain.facts import AnyFact
from milepost.domain.order import Order, fold
from milepost.domain.promise import Promises
from milepost.reading.moments import moment
from milepost.reading.sla.lives import SlaLife

Effect = Literal[
    "moved", "after the deadline then in force", "not before delivery", "announced by the carrier", "retracted"
]
MINUTE = 60_000_000


class EventEntry(Struct, frozen=True):
    """An event of the order; ``skew_seconds`` is how long after ``time`` it was taken at the edge."""

    time: datetime
    recorded: datetime | None
    skew_seconds: float | None
    type: str
    source: str
    id: str
    data: dict[str, Any]
    retracted: bool
    testmode: bool


class Stage(Struct, frozen=True, rename={"start": "from", "end": "to"}):
    """A stage both ends of which are known."""

    stage: str
    start: datetime
    end: datetime
    minutes: float


class PromiseEntry(Struct, frozen=True):
    """A promise: the one made with the order, or a change, and whether it moved the one in force."""

    time: datetime
    promised_from: datetime | None
    promised_until: datetime
    requested_by: str
    reason: str | None
    effect: str


class Outcome(Struct, frozen=True):
    """What the order counts for; None where it is not known (yet)."""

    due: bool | None
    kept: bool | None
    kept_original: bool | None
    in_full: bool | None
    attempts: int
    first_attempt_delivered: bool | None
    minutes_to_delivery: float | None
    returned: bool
    score: int | None
    nps: int | None
    cost: str
    currency: str


class Problem(Struct, frozen=True):
    """A record about the order that could not be processed, or a copy that contradicts an event."""

    partition: int
    offset: int
    appended: datetime
    reason: str
    detail: str
    source: str
    id: str


class Timeline(Struct, frozen=True):
    """All that is known of one order, as of ``as_of``."""

    order_id: str
    as_of: datetime
    state: str
    overdue: bool
    abandoned: bool
    dimensions: dict[str, str]
    merchant_order_ref: str
    deadline: datetime | None
    deadline_from: datetime | None
    agreed_until: datetime | None
    carrier_until: datetime | None
    eta: datetime | None
    promises: list[PromiseEntry]
    stages: list[Stage]
    outcome: Outcome
    sla: list[SlaLife]
    events: list[EventEntry]
    problems: list[Problem]


def timeline(
    order_id: str,
    now: datetime,
    *,
    facts: list[AnyFact],
    row: Mapping[str, Any],
    events: Sequence[EventEntry],
    problems: Sequence[Problem],
    currency: str,
    slas: Sequence[SlaLife] = (),
) -> Timeline:
    """The timeline from what the store holds: the order's ``facts`` and state ``row`` (both may be empty), its events
    in order of time, the problems about it, and the SLAs of it that were at risk or broken.
    """
    order = fold(facts)
    promises = order.promises
    return Timeline(
        order_id=order_id,
        as_of=now,
        state=_state(order, facts, row, events),
        overdue=bool(row.get("overdue", 0)),
        abandoned=bool(row.get("abandoned", 0)),
        dimensions=_dimensions(order),
        merchant_order_ref=order.placed.merchant_order_ref if order.placed else "",
        deadline=moment(promises.in_force.deadline) if promises else None,
        deadline_from=moment(promises.in_force.opens) if promises else None,
        agreed_until=moment(promises.agreed) if promises else None,
        carrier_until=moment(promises.carrier) if promises else None,
        eta=moment(order.eta),
        promises=_promises(order, events),
        stages=_stages(order),
        outcome=_outcome(order, now, currency),
        sla=list(slas),
        events=list(events),
        problems=list(problems),
    )


def _state(order: Order, facts: list[AnyFact], row: Mapping[str, Any], events: Sequence[EventEntry]) -> str:
    if row.get("expired"):
        return "expired"
    return order.state if facts else ("test" if events else "unknown")


def retracted_by(events: Sequence[tuple[str, dict[str, Any]]]) -> set[tuple[str, str]]:
    """The identities that retractions among ``events`` (type, data) name."""
    return {
        (data["retracts"]["source"], data["retracts"]["id"])
        for kind, data in events
        if kind == EVENT_RETRACTED.name and "retracts" in data
    }


def _dimensions(order: Order) -> dict[str, str]:
    placed = order.placed
    courier = order.holders[-1][1] if order.holders else ""
    values = (placed.hub_id, placed.zone_id, placed.service_level, placed.merchant_id) if placed else ("",) * 4
    names = ("hub_id", "zone_id", "service_level", "merchant_id", "courier_id")
    return dict(zip(names, (*values, courier), strict=True))


def _stages(order: Order) -> list[Stage]:
    if order.placed is None:
        return []
    return [
        Stage(name, moment_of(start), moment_of(end), (end - start) / MINUTE)
        for name, start, end, _ in stages(order, order.placed.time)
    ]


def _promises(order: Order, events: Sequence[EventEntry]) -> list[PromiseEntry]:
    placed, promises = order.placed, order.promises
    if placed is None or promises is None:
        return []
    first = promises.original
    entries = [
        PromiseEntry(
            moment_of(placed.time), moment(first.opens), moment_of(first.deadline), "", None, "made with the order"
        )
    ]
    deadline = moment_of(first.deadline)
    for event in events:
        if event.type != PROMISE_CHANGED.name or event.testmode:
            continue
        until = datetime.fromisoformat(event.data["promised_until"])
        effect = _effect(event, deadline, moment(order.delivered_at))
        if effect == "moved":
            deadline = until
        opens = event.data.get("promised_from")
        entries.append(
            PromiseEntry(
                event.time,
                datetime.fromisoformat(opens) if opens else None,
                until,
                event.data["requested_by"],
                event.data.get("reason"),
                effect,
            )
        )
    return entries


def _effect(event: EventEntry, deadline: datetime, delivered: datetime | None) -> Effect:
    """Whether a change moved the promise, by the rule of ``domain.promise.resolve``."""
    if event.retracted:
        return "retracted"
    if event.data["requested_by"] == "carrier":
        return "announced by the carrier"
    if event.time > deadline:
        return "after the deadline then in force"
    if delivered is not None and event.time >= delivered:
        return "not before delivery"
    return "moved"


def _outcome(order: Order, now: datetime, currency: str) -> Outcome:
    promises = order.promises
    spent = sum(cost.amount for cost in order.costs.values())
    minutes = (order.delivered_at - order.placed.time) / MINUTE if order.placed and order.delivered_at else None
    return Outcome(
        due=None if promises is None else order.due_by(promises.in_force.deadline),
        kept=_kept(order, now, promises, original=False),
        kept_original=_kept(order, now, promises, original=True),
        in_full=order.in_full,
        attempts=order.failed_attempts + (1 if order.delivered_at else 0),
        first_attempt_delivered=order.first_attempt_delivered if order.first_attempt_at else None,
        minutes_to_delivery=minutes if minutes is None or minutes >= 0 else None,
        returned=order.returned,
        score=order.score if order.score >= 0 else None,
        nps=order.nps if order.nps >= 0 else None,
        cost=f"{spent / AMOUNT_SCALE:.4f}",
        currency=currency,
    )


def _kept(order: Order, now: datetime, promises: Promises | None, *, original: bool) -> bool | None:
    """Whether a promise was kept; None where it was not due, or there is still time."""
    if promises is None:
        return None
    deadline = (promises.original if original else promises.in_force).deadline
    if not order.due_by(deadline) or (not order.delivered_at and deadline >= micros(now)):
        return None
    return 0 < order.delivered_at <= deadline


def parsed(data: str) -> dict[str, Any]:
    """The ``data`` of an event as it is stored, without the fields that are null."""
    found: dict[str, Any] = json.loads(data)
    return {name: value for name, value in found.items() if value is not None}
