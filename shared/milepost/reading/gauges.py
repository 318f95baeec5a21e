"""The numbers about now: open, overdue and orphaned orders."""

from datetime import datetime, timedelta
from typing import Any

from milepost.contracts.event import micros
from milepost.domain.kpis import ABANDONED_AFTER_DAYS, COST_DIMENSIONS, Gauge
from milepost.reading.sums import Labels
from milepost.store.client import Store

_ABANDONED = "(deadline < {now:Int64} AND last_event_at < {silent:Int64})"
OPEN = f"placed_at > 0 AND closed_at = 0 AND NOT {_ABANDONED}"
"""Placed, neither closed nor abandoned; takes ``clock(now)`` as parameters."""
OVERDUE = f"{OPEN} AND agreed_until < {{now:Int64}}"
"""Open, past the latest promise agreed with customer or merchant."""
ORPHAN = "state = 'unplaced'"
"""Heard of but not placed. (A row that only holds a retraction is ``unknown``, and counts nowhere.)"""
ABANDONED = f"placed_at > 0 AND closed_at = 0 AND {_ABANDONED}"
CLOSED = "closed_at > 0"

CONDITIONS = {"open_orders": OPEN, "overdue_orders": OVERDUE, "orphan_orders": ORPHAN}


def clock(now: datetime) -> dict[str, int]:
    """The parameters the conditions take, at ``now``."""
    return {"now": micros(now), "silent": micros(now - timedelta(days=ABANDONED_AFTER_DAYS))}


def read_gauges(
    store: Store,
    now: datetime,
    gauges: tuple[Gauge, ...],
    by: tuple[str, ...] = (),
    where: tuple[tuple[str, tuple[str, ...]], ...] = (),
) -> dict[Labels, dict[str, int]]:
    """How many orders each of ``gauges`` counts at ``now``, by dimensions.

    Raises:
        StoreError: ClickHouse cannot be asked.
    """
    if not gauges or {*by, *(name for name, _ in where)} & set(COST_DIMENSIONS):
        return {}
    parameters: dict[str, Any] = dict(clock(now))
    parts = ["closed_at = 0"]
    for name, values in where:
        parts.append(f"{name} IN {{where_{name}:Array(String)}}")
        parameters[f"where_{name}"] = list(values)
    columns = "".join(f"{name}, " for name in by)
    counts = ", ".join(f"countIf({CONDITIONS[gauge.name]})" for gauge in gauges)
    group = f" GROUP BY {', '.join(by)}" if by else ""
    rows = store.query(
        f"SELECT {columns}{counts} FROM orders_store FINAL WHERE {' AND '.join(parts)}{group}", parameters
    )
    names = [gauge.name for gauge in gauges]
    return {row[: len(by)]: dict(zip(names, map(int, row[len(by) :]), strict=True)) for row in rows}
