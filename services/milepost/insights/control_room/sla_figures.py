"""SLAs as the pages show them: the tile of orders at risk, and what is known in the page's time zone. Pure."""

from collections.abc import Sequence

from milepost.insights.control_room.figures import Tile
from milepost.insights.control_room.words import DEFINITIONS, TITLES, Clock, count
from milepost.reading.sla import words as sla_words
from milepost.reading.sla.lives import SlaLife, SlaStep
from milepost.reading.sla.open import SlaItem
from milepost.reading.sla.summary import HubSlas


def risk_tile(slas: Sequence[HubSlas]) -> Tile:
    """Orders expected to break their promise, with what is broken already and not cared for beside."""
    at_risk, breached = sum(hub.at_risk for hub in slas), sum(hub.broken for hub in slas)
    beside = [f"{count(breached)} SLAs breached"] if breached else []
    if unknown := sum(hub.unacknowledged for hub in slas):
        beside.append(f"{count(unknown)} not acknowledged")
    return Tile(
        "at_risk_orders", TITLES["at_risk_orders"], count(at_risk), at_risk, "orders now, not broken yet",
        DEFINITIONS["at_risk_orders"], tuple(beside),
    )  # fmt: skip


def known_of(item: SlaItem, clock: Clock) -> str:
    """What is known of an open SLA, in the page's time zone."""
    return sla_words.said(item.rule, item.state, item.cause, item.due, item.chance, item.detail, clock.minute)


def promised(life: SlaLife, clock: Clock) -> str:
    """What an SLA promised, in the page's time zone."""
    first = life.steps[0].policy_version
    return sla_words.promised(life.rule, life.base, life.due, life.limit, first, clock.minute)


def step_said(life: SlaLife, step: SlaStep, clock: Clock) -> str:
    """What a state followed from, in the page's time zone."""
    said = sla_words.said(life.rule, step.state, step.cause, life.due, step.chance, step.detail, clock.minute)
    return said + sla_words.found_later(step.at, step.detected)
