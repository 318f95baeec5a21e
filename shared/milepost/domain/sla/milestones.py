"""Where an order stands on its way, and where it has stood. Pure; all moments are microseconds."""

from enum import StrEnum
from operator import itemgetter
from typing import NamedTuple

from milepost.domain.order import Order


class Milestone(StrEnum):
    """The last that happened to an order that is under way."""

    PLACED = "placed"
    READY = "ready"
    ASSIGNED = "assigned"
    OUT = "out"
    ARRIVED = "arrived"
    FAILED = "failed"


class Situation(NamedTuple):
    """What is known of an order that is under way: its ``milestone`` and the moment of it, and the ``deadline``.

    ``eta`` is when it is expected, told at ``eta_at``; both 0 where nobody said.
    """

    hub_id: str
    service_level: str
    milestone: Milestone
    since: int
    eta: int
    eta_at: int
    deadline: int


class Passage(NamedTuple):
    """From when until when an order stood at ``milestone``."""

    milestone: Milestone
    since: int
    until: int


def situation(order: Order, deadline: int) -> Situation | None:
    """Where ``order`` stands against ``deadline``; None where it is not placed, delivered, or closed."""
    placed = order.placed
    if placed is None or order.delivered_at or order.closed_at:
        return None
    milestone, since = _last(order, placed.time)
    return Situation(placed.hub_id, placed.service_level, milestone, since, order.eta, order.eta_at, deadline)


def _last(order: Order, placed_at: int) -> tuple[Milestone, int]:
    """The milestone it stands at. After a failed attempt what went before no longer counts."""
    failed = order.last_failed_at
    if order.last_arrived_at > failed:
        return Milestone.ARRIVED, order.last_arrived_at
    if failed:
        return (Milestone.OUT, order.out_again_at) if order.out_again_at else (Milestone.FAILED, failed)
    if order.out_at:
        return Milestone.OUT, order.out_at
    if order.holders and order.holders[-1][1]:
        return Milestone.ASSIGNED, max(order.assigned_at, order.ready_at)
    if order.ready_at:
        return Milestone.READY, order.ready_at
    return Milestone.PLACED, placed_at


def passages(order: Order, end: int) -> list[Passage]:
    """Where ``order`` has stood until ``end``, in order of time."""
    placed = order.placed
    if placed is None:
        return []
    marks = [
        (since, milestone)
        for since, milestone in (
            (placed.time, Milestone.PLACED),
            (order.ready_at, Milestone.READY),
            (max(order.assigned_at, order.ready_at) if order.assigned_at else 0, Milestone.ASSIGNED),
            (order.out_at, Milestone.OUT),
            (order.last_failed_at, Milestone.FAILED),
            (order.out_again_at, Milestone.OUT),
            (order.last_arrived_at, Milestone.ARRIVED),
        )
        if 0 < since < end
    ]
    if not marks:
        return []
    marks.sort(key=itemgetter(0))
    ends = [since for since, _ in marks[1:]]
    ends.append(end)
    return [
        Passage(milestone, since, until) for (since, milestone), until in zip(marks, ends, strict=True) if since < until
    ]
