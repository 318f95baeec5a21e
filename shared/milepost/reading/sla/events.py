"""States that SLAs have reached, in the order they were detected: what a stream of them is made of."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from msgspec import Struct

from milepost.contracts.event import moment_of
from milepost.reading.sla import words
from milepost.reading.sla.lives import detail_of
from milepost.store.client import Store

_COLUMNS = (
    "id", "order_id", "rule", "base", "due", "state", "cause", "at", "detected", "chance", "hub_id", "zone_id",
    "service_level", "merchant_id", "courier_id", "policy_version", "detail",
)  # fmt: skip
# Rows may have been written again, with the same content or detected anew: one of each is enough.
_SINCE = f"""
SELECT {", ".join(_COLUMNS)} FROM sla_events_store PREWHERE detected >= {{since:Int64}}
ORDER BY detected, order_id, rule, base, rank LIMIT 1 BY order_id, rule, base, rank LIMIT {{most:UInt32}}
"""
_IDS = "SELECT id, min(detected) FROM sla_events_store PREWHERE detected >= {since:Int64} GROUP BY id"


class SlaEvent(Struct, frozen=True):
    """A state an SLA reached; ``id`` is the same whenever and wherever it is told. ``said`` has times in UTC."""

    id: str
    order_id: str
    rule: str
    base: datetime
    due: datetime
    state: str
    cause: str
    at: datetime
    detected: datetime
    chance: float | None
    hub_id: str
    zone_id: str
    service_level: str
    merchant_id: str
    courier_id: str
    policy_version: int
    detail: dict[str, Any]
    said: str


def events_since(store: Store, since: int, most: int) -> Sequence[SlaEvent]:
    """The first ``most`` states detected at ``since`` (microseconds) or later. Raises ``StoreError``."""
    return [_event(row) for row in store.query(_SINCE, {"since": since, "most": most})]


def ids_since(store: Store, since: int) -> dict[str, int]:
    """The ids of all states detected at ``since`` or later, and when that was. Raises ``StoreError``."""
    return {name: int(detected) for name, detected in store.query(_IDS, {"since": since})}


def _event(row: tuple[Any, ...]) -> SlaEvent:
    told = dict(zip(_COLUMNS, row, strict=True))
    detail, due = detail_of(told["detail"]), moment_of(int(told["due"]))
    chance = float(told["chance"]) if told["chance"] >= 0 else detail.get("chance")
    moments = {name: moment_of(int(told[name])) for name in ("base", "at", "detected")}
    said = words.said(told["rule"], told["state"], told["cause"], due, chance, detail, words.beside(due))
    return SlaEvent(**{**told, **moments, "due": due, "chance": chance, "detail": detail, "said": said})
