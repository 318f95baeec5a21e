"""An order's state as a row of ``orders_store``, a cost's as one of ``ledger_store``."""

from typing import Any

from milepost.domain import facts as f
from milepost.domain.order import Order
from milepost.domain.promise import Promise, Promises

_NO_PROMISES = Promises(Promise(0, 0), Promise(0, 0), 0, 0, 0)
_UNKNOWN = -1


def order_row(
    subject: str, partition: int, version: int, order: Order, totals: list[int], count: int, facts: bytes
) -> tuple[Any, ...]:
    """The row of an order with ``count`` events, in the column order of ``tables.ORDERS``."""
    placed = order.placed
    promises = order.promises or _NO_PROMISES
    deadline = promises.in_force.deadline
    courier = order.holders[-1][1] if order.holders else ""
    return (
        subject,
        partition,
        version,
        order.state,
        placed.hub_id if placed else "",
        placed.zone_id if placed else "",
        placed.service_level if placed else "",
        placed.merchant_id if placed else "",
        placed.merchant_order_ref if placed else "",
        courier,
        placed.time if placed else 0,
        promises.original.opens,
        promises.original.deadline,
        promises.in_force.opens,
        deadline,
        promises.agreed,
        promises.carrier,
        promises.moves,
        order.ready_at,
        order.assigned_at,
        order.out_at,
        order.eta,
        order.first_arrived_at,
        order.last_arrived_at,
        order.first_attempt_at,
        order.failed_attempts,
        order.delivered_at,
        order.cancelled_at if order.cancelled else 0,
        order.cancelled_by if order.cancelled else "",
        order.closed_at,
        int(order.returned),
        max(1, len(placed.parcels)) if placed else 0,
        int(placed is not None and order.due_by(deadline)),
        int(placed is not None and 0 < order.delivered_at <= deadline),
        _UNKNOWN if order.in_full is None else int(order.in_full),
        order.score,
        order.nps,
        sum(cost.amount for cost in order.costs.values()),
        order.last_event_at,
        count,
        totals,
        facts,
    )


def ledger_row(
    subject: str, cost_id: str, partition: int, version: int, current: f.CostRecorded | None, facts: bytes
) -> tuple[Any, ...]:
    """The row of a cost that belongs to no order, in the column order of ``tables.LEDGER``."""
    return (
        subject,
        cost_id,
        partition,
        version,
        current.hub_id if current else "",
        current.courier_id if current else "",
        current.component if current else "",
        current.activity if current else "",
        current.time if current else 0,
        current.amount if current else 0,
        int(current is not None),
        facts,
    )
