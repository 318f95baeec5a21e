"""The SLAs that are open now as SQL: what of them is asked for, and the rows that answer it.

An SLA stands in the state of the highest rank it has reached. Only those whose moment lies at most
``ABANDONED_AFTER_DAYS`` back are looked at, as an order of which nothing more is heard is abandoned then: so the cost
is that of a month, whatever the history.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from milepost.contracts.event import moment_of
from milepost.domain.sla.words import RANKS, RULES, State
from milepost.reading.gauges import clock
from milepost.reading.question import QuestionError
from milepost.reading.sla.lives import OPEN_STATES

DIMENSIONS = ("hub_id", "zone_id", "service_level", "merchant_id", "courier_id")

LAST = ("state", "cause", "due", "at", "detected", "chance", *DIMENSIONS, "policy_version", "detail")
_RANKS = ", ".join(str(RANKS[state]) for state in OPEN_STATES)
# First which are open, by a hash of their keys (by the keys themselves it takes three times as long), then their rows.
# The scale only orders: the lowest chance, in millionths, or the earliest moment, in microseconds.
_OPEN = f"""
SELECT open.*, ack.acknowledged_at AS acked, ack.acknowledged_by AS acked_by, ack.note AS note, acked > 0 AS known,
    state = '{State.AT_RISK}' AS risk, if(risk, toInt64(1000000 * chance), due) AS worst
FROM (
    SELECT order_id, rule, base, {", ".join(LAST)} FROM sla_events_store
    PREWHERE {{prewhere}} AND rank IN ({_RANKS}) AND (cityHash64(order_id, rule, base), rank) IN (
        SELECT cityHash64(order_id, rule, base) AS sla, max(rank) AS reached FROM sla_events_store
        PREWHERE {{prewhere}} GROUP BY sla HAVING reached IN ({_RANKS})
    )
    ORDER BY version DESC LIMIT 1 BY order_id, rule, base
) AS open
LEFT JOIN sla_acks_store AS ack FINAL
ON open.order_id = ack.order_id AND open.rule = ack.rule AND open.base = ack.base AND open.state = ack.state
"""


@dataclass(frozen=True)
class Wanted:
    """Which open SLAs are asked for; None says nothing about it."""

    hub_id: str | None = None
    rule: str | None = None
    state: str | None = None
    merchant_id: str | None = None
    acknowledged: bool | None = None

    def __post_init__(self) -> None:
        """Raises ``QuestionError`` where there is no such rule or state."""
        if self.rule is not None and self.rule not in RULES:
            raise QuestionError("rule", f"there is no rule {self.rule!r}; there are {', '.join(RULES)}")
        if self.state is not None and self.state not in OPEN_STATES:
            raise QuestionError("state", f"{self.state!r} is no open state; there are {', '.join(OPEN_STATES)}")


def asked(wanted: Wanted, now: datetime) -> tuple[str, str, dict[str, Any]]:
    """The open SLAs as SQL, the condition on them, and the parameters of both."""
    known = {"hub_id": wanted.hub_id, "rule": wanted.rule, "merchant_id": wanted.merchant_id}
    parameters: dict[str, Any] = {name: value for name, value in known.items() if value is not None}
    parts = ["due >= {silent:Int64}", *(f"{name} = {{{name}:String}}" for name in parameters)]
    where = ["1"]
    if wanted.state is not None:
        where.append("state = {state:String}")
        parameters["state"] = wanted.state
    if wanted.acknowledged is not None:
        where.append("known" if wanted.acknowledged else "NOT known")
    return _OPEN.format(prewhere=" AND ".join(parts)), " AND ".join(where), parameters | clock(now)


def overdue_minutes(now: datetime, due: int) -> float:
    """How long ago ``due`` (microseconds) was at ``now``; negative where it is still to come."""
    return round((now - moment_of(due)).total_seconds() / 60, 2)
