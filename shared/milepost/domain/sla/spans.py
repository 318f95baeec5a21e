"""What of an order an SLA can be about: for each rule, the time that runs, from where, and how it ended."""

from typing import NamedTuple

from milepost.domain.order import Order
from milepost.domain.sla.words import PROMISE, SILENCE, Cause


class Span(NamedTuple):
    """The time a rule looks at; moments in microseconds.

    ``base`` is what it is counted from: the deadline promised (the time runs before it), the stage's start, the last
    event. ``end`` is 0 while it runs. ``cause`` says how it ended; of what ended the stage rather than the order, MET.
    """

    rule: str
    base: int
    end: int
    cause: Cause


def spans(order: Order) -> list[Span]:
    """Every span of ``order``, at most one a rule; none before it is placed."""
    placed, promises = order.placed, order.promises
    if placed is None or promises is None:
        return []
    closed_at, closing = _closing(order)
    found = [Span(PROMISE, promises.in_force.deadline, closed_at, closing)]
    ready, assigned, out, arrived = order.ready_at, order.assigned_at, order.out_at, order.first_arrived_at
    tried = order.first_tried_at

    def stage(rule: str, base: int, *ends: int) -> None:
        reached = [end for end in ends if end]
        if reached:
            found.append(Span(rule, base, min(reached), Cause.MET))
        else:
            found.append(Span(rule, base, closed_at, closing))

    stage("prepare", placed.time, ready, out, arrived, tried)
    if ready:
        stage("assign", ready, max(ready, assigned) if assigned else 0, out, arrived, tried)
        if assigned:
            stage("collect", max(ready, assigned), out, arrived, tried)
    if out:
        stage("transit", out, arrived, tried)
    if order.last_arrived_at:
        since = order.last_arrived_at
        stage("door", since, order.last_failed_at if order.last_failed_at >= since else 0)
    if order.on_road and not closed_at:
        found.append(Span(SILENCE, order.last_event_at, 0, Cause.NONE))
    return found


def _closing(order: Order) -> tuple[int, Cause]:
    """When and how the order ended for its customer; (0, NONE) while it is open."""
    if order.delivered_at:
        return order.delivered_at, Cause.MET
    if order.cancelled:
        return order.cancelled_at, Cause.CANCELLED
    if order.closed_at:
        return order.closed_at, Cause.LOST if order.lost else Cause.RETURNED
    return 0, Cause.NONE
