"""Orders, read from ClickHouse: one with its timeline, or pages of them by state."""

import base64
import binascii
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec import Struct

from milepost.contracts.event import micros
from milepost.domain import facts as f
from milepost.reading.gauges import ABANDONED, CLOSED, OPEN, ORPHAN, OVERDUE, clock
from milepost.reading.moments import moment
from milepost.reading.question import QuestionError
from milepost.reading.sla.orders import read_lives
from milepost.reading.timeline import EventEntry, Problem, Timeline, parsed, retracted_by, timeline
from milepost.store.client import Store
from milepost.store.currency import stored_currency

MOST_EVENTS = 2_000
MOST_PROBLEMS = 200
MOST_A_PAGE = 1_000

STATES = {
    "open": OPEN,
    "overdue": OVERDUE,
    "orphan": ORPHAN,
    "abandoned": ABANDONED,
    "closed": CLOSED,
    "delivered": "delivered_at > 0",
    "cancelled": "cancelled_at > 0 AND closed_at > 0 AND delivered_at = 0",
}
"""What orders can be listed by."""

_EVENTS = """
SELECT time, recorded, type, source, id, data, testmode FROM events_store FINAL
WHERE subject = {order:String} ORDER BY time, source, id LIMIT {most:UInt32}
"""
_ORDER = f"""
SELECT facts, {OVERDUE} AS overdue, {ABANDONED} AS abandoned, state = 'expired' AS expired
FROM orders_store FINAL WHERE order_id = {{order:String}}
"""
_PROBLEMS = """
SELECT partition, offset, appended, reason, detail, source, id FROM dead_letters_store FINAL
WHERE subject = {order:String} ORDER BY partition, offset LIMIT {most:UInt32}
"""
_COLUMNS = (
    "order_id", "state", "hub_id", "zone_id", "service_level", "merchant_id", "courier_id", "placed_at", "deadline",
    "agreed_until", "eta", "delivered_at", "closed_at", "last_event_at",
)  # fmt: skip


class OrderItem(Struct, frozen=True):
    """An order in a list; moments None where unknown."""

    order_id: str
    state: str
    hub_id: str
    zone_id: str
    service_level: str
    merchant_id: str
    courier_id: str
    placed_at: datetime | None
    deadline: datetime | None
    agreed_until: datetime | None
    eta: datetime | None
    delivered_at: datetime | None
    closed_at: datetime | None
    last_event_at: datetime | None


class OrderPage(Struct, frozen=True):
    """Orders, the most urgent first; ``next`` is the cursor of the following page, None at the end."""

    items: list[OrderItem]
    next: str | None


def find_order(store: Store, order_id: str, now: datetime) -> Timeline | None:
    """The timeline of an order; None where nothing was ever heard of it.

    Raises:
        StoreError: ClickHouse cannot be asked.
    """
    key = {"order": order_id}
    told = store.query(_EVENTS, key | {"most": MOST_EVENTS})
    kept = store.query(_ORDER, key | clock(now), binary=["facts"])
    problems = [
        Problem(int(row[0]), int(row[1]), _known(row[2]), *map(str, row[3:]))
        for row in store.query(_PROBLEMS, key | {"most": MOST_PROBLEMS})
    ]
    if not told and not kept and not problems:
        return None
    flags = dict(zip(("overdue", "abandoned", "expired"), kept[0][1:], strict=True)) if kept else {}
    facts = f.decode(kept[0][0]) if kept and not flags["expired"] else []
    currency = stored_currency(store) or ""
    return timeline(
        order_id, now, facts=facts, row=flags, events=_entries(told), problems=problems, currency=currency,
        slas=read_lives(store, order_id),
    )  # fmt: skip


def _entries(rows: list[tuple[Any, ...]]) -> list[EventEntry]:
    said = [parsed(row[5]) for row in rows]
    gone = retracted_by([(row[2], data) for row, data in zip(rows, said, strict=True)])
    return [
        EventEntry(
            time=_known(time),
            recorded=moment(recorded),
            skew_seconds=(recorded - time) / 1e6 if recorded else None,
            type=kind,
            source=source,
            id=identity,
            data=data,
            retracted=(source, identity) in gone,
            testmode=bool(testmode),
        )
        for (time, recorded, kind, source, identity, _, testmode), data in zip(rows, said, strict=True)
    ]


def _known(micros: int) -> datetime:
    return moment(micros) or datetime.fromtimestamp(0, UTC)


def find_orders(
    store: Store,
    now: datetime,
    state: str,
    *,
    where: Mapping[str, str | None] | None = None,
    limit: int = 100,
    cursor: str | None = None,
) -> OrderPage:
    """Orders in ``state`` (a key of ``STATES``) at ``now``, by deadline; their dimensions as in ``where``.

    Raises:
        QuestionError: no such state, limit or cursor.
        StoreError: ClickHouse cannot be asked.
    """
    if state not in STATES:
        raise QuestionError("state", f"there is no state {state!r}; there are {', '.join(STATES)}")
    if not 1 <= limit <= MOST_A_PAGE:
        raise QuestionError("limit", f"must be from 1 to {MOST_A_PAGE}")
    parameters: dict[str, Any] = {**clock(now), "limit": limit + 1}
    parts = [f"({STATES[state]})", "state != 'expired'"]
    for name, value in (where or {}).items():
        if value is not None:
            parts.append(f"{name} = {{where_{name}:String}}")
            parameters[f"where_{name}"] = value
    if cursor is not None:
        deadline, order_id = _decoded(cursor)
        parts.append("(deadline, order_id) > ({deadline:Int64}, {after:String})")
        parameters |= {"deadline": deadline, "after": order_id}
    rows = store.query(
        f"SELECT {', '.join(_COLUMNS)} FROM orders_store FINAL WHERE {' AND '.join(parts)} "
        "ORDER BY deadline, order_id LIMIT {limit:UInt32}",
        parameters,
    )
    items = [OrderItem(*row[:7], *map(moment, row[7:])) for row in rows[:limit]]
    more = len(rows) > limit
    return OrderPage(items, _encoded(rows[limit - 1][8], rows[limit - 1][0]) if more else None)


def cursor_at(moment: datetime) -> str:
    """The cursor that goes on with the orders whose deadline is later than, or at, ``moment``."""
    return _encoded(micros(moment), "")


def _encoded(deadline: int, order_id: str) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode([deadline, order_id])).decode().rstrip("=")


def _decoded(cursor: str) -> tuple[int, str]:
    try:
        decoded = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        return msgspec.json.decode(decoded, type=tuple[int, str])
    except (binascii.Error, ValueError) as error:
        raise QuestionError("cursor", "is not one that this service gave") from error
