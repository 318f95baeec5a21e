"""What an SLA has reached, as a row of ``sla_events_store`` and as a CloudEvent of the SLA topic."""

from typing import Any

import msgspec

from milepost.contracts.event import moment_of
from milepost.contracts.sla import SOURCE, SlaChange, event_type
from milepost.domain.sla.words import RANKS, State
from milepost.processor.sla.watch import Told

_encode = msgspec.json.Encoder().encode


def event_id(told: Told) -> str:
    """What makes two copies of this event the same, whoever raised them."""
    step = told.step
    return f"{told.order_id}/{step.rule}/{step.base}/{step.state}"


def detail(told: Told) -> dict[str, Any]:
    """What was known when the state was reached; moments in microseconds, what is not known is left out."""
    step, seen = told.step, told.seen
    if step.state in (State.RESOLVED, State.WITHDRAWN):
        return {"how": step.cause, "moment": step.at}
    found: dict[str, Any] = {"last_heard": told.last_event_at}
    if step.state is State.BREACHED and step.due > step.base:
        found["limit_us"] = step.due - step.base
    if seen is not None:
        found |= {"milestone": seen.milestone, "since": seen.since}
        if seen.eta:
            found["eta"] = seen.eta
    if step.chance >= 0:
        found["chance"] = round(step.chance, 4)
    return found


def sla_row(told: Told, partition: int, detected: int) -> tuple[Any, ...]:
    """The row, in the column order of ``tables.SLA_EVENTS``. The first to notice counts, should there be two."""
    step, place = told.step, told.place
    return (
        event_id(told),
        told.order_id,
        step.rule,
        step.base,
        step.due,
        step.state,
        RANKS[step.state],
        step.cause,
        step.at,
        detected,
        step.chance,
        place.hub_id,
        place.zone_id,
        place.service_level,
        place.merchant_id,
        place.courier_id,
        step.policy_version,
        _encode(detail(told)).decode(),
        partition,
        _LATEST - detected,
    )


_LATEST = 1 << 62
"""Versions fall from here with the moment of detection, so that the first of two rows stays."""


def sla_message(told: Told) -> dict[str, Any]:
    """Key and value of the message: a CloudEvent with the order as its subject."""
    step, place = told.step, told.place
    data = SlaChange(
        order_id=told.order_id,
        rule=step.rule,
        state=step.state.value,
        cause=step.cause.value,
        due=moment_of(step.due),
        hub_id=place.hub_id,
        zone_id=place.zone_id,
        service_level=place.service_level,
        merchant_id=place.merchant_id,
        courier_id=place.courier_id,
        policy_version=step.policy_version,
        chance=round(step.chance, 4) if step.chance >= 0 else None,
    )
    event = {
        "specversion": "1.0",
        "id": event_id(told),
        "source": SOURCE,
        "type": event_type(step.state),
        "time": moment_of(step.at),
        "subject": told.order_id,
        "datacontenttype": "application/json",
        "data": data,
    }
    return {"key": told.order_id.encode(), "value": _encode(event)}
