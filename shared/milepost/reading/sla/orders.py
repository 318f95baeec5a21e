"""One order's SLAs, with their whole life."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from msgspec import Struct

from milepost.contracts.event import moment_of
from milepost.reading.sla.asked import DIMENSIONS
from milepost.reading.sla.lives import Ack, Row, SlaLife, lives
from milepost.store import tables
from milepost.store.client import Store

_COLUMNS = ", ".join(name for name in tables.SLA_EVENTS.columns if name not in ("id", "partition"))
_ROWS = f"SELECT {_COLUMNS} FROM sla_events_store WHERE order_id = {{order:String}} ORDER BY rule, base, rank"
_ACKS = """
SELECT rule, base, state, acknowledged_at, acknowledged_by, note FROM sla_acks_store FINAL
WHERE order_id = {order:String}
"""
_ORDER = f"""
SELECT state, {", ".join(DIMENSIONS)} FROM orders_store FINAL
WHERE order_id = {{order:String}} AND state != 'expired'
"""


class OrderSlas(Struct, frozen=True):
    """An order's SLAs: those that were at risk or broken, open ones first. Empty where none ever was."""

    order_id: str
    as_of: datetime
    state: str
    hub_id: str
    zone_id: str
    service_level: str
    merchant_id: str
    courier_id: str
    slas: list[SlaLife]


def find_order_slas(store: Store, order_id: str, now: datetime) -> OrderSlas | None:
    """The SLAs of an order; None where the order is not known. Raises ``StoreError``."""
    rows = _rows(store, order_id)
    orders = store.query(_ORDER, {"order": order_id})
    if not orders and not rows:
        return None
    known = (
        dict(zip(("state", *DIMENSIONS), orders[0], strict=True)) if orders else {"state": ""} | _dimensions(rows[-1])
    )
    return OrderSlas(order_id=order_id, as_of=now, slas=lives(rows, read_acks(store, order_id)), **known)


def read_lives(store: Store, order_id: str) -> list[SlaLife]:
    """An order's SLAs alone. Raises ``StoreError``."""
    rows = _rows(store, order_id)
    return lives(rows, read_acks(store, order_id)) if rows else []


def read_acks(store: Store, order_id: str) -> Sequence[tuple[str, int, Ack]]:
    """Who took note of which of an order's SLAs: rule, base and acknowledgement. Raises ``StoreError``."""
    return [
        (rule, int(base), Ack(state, moment_of(int(at)), by, note))
        for rule, base, state, at, by, note in store.query(_ACKS, {"order": order_id})
    ]


def _rows(store: Store, order_id: str) -> list[dict[str, Any]]:
    return store.named(_ROWS, {"order": order_id})


def _dimensions(row: Row) -> dict[str, str]:
    return {name: row[name] for name in DIMENSIONS}
