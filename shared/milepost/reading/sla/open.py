"""A page of the SLAs that are open now, worst first."""

import base64
import binascii
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec
from msgspec import Struct

from milepost.contracts.event import moment_of
from milepost.reading.question import QuestionError
from milepost.reading.sla import words
from milepost.reading.sla.asked import DIMENSIONS, LAST, Wanted, asked, overdue_minutes
from milepost.reading.sla.lives import Ack, detail_of
from milepost.reading.sla.summary import HubSlas, read_summary
from milepost.store.client import Store

MOST_A_PAGE = 1_000

_ORDER = "known, risk, worst, order_id, rule, base"
_COLUMNS = ("order_id", "rule", "base", *LAST, "acked", "acked_by", "note", "known", "risk", "worst")


class SlaItem(Struct, frozen=True):
    """An open SLA. ``overdue_minutes`` since its moment (``due``), negative before; ``since`` when it came here.

    ``chance`` is how likely a promise at risk was to be kept, when that was said; ``detail`` is what the state
    was decided from (moments and durations in microseconds), ``said`` the same in words.
    """

    order_id: str
    rule: str
    base: datetime
    state: str
    cause: str
    due: datetime
    since: datetime
    detected: datetime
    overdue_minutes: float
    chance: float | None
    hub_id: str
    zone_id: str
    service_level: str
    merchant_id: str
    courier_id: str
    policy_version: int
    detail: dict[str, Any]
    said: str
    acknowledged: Ack | None


class SlaPage(Struct, frozen=True):
    """Open SLAs as of ``as_of``: a page, worst first; ``next`` is the cursor of the following one, None at the end.

    ``summary`` covers everything asked for, on whichever page; the hub that is hit worst comes first.
    """

    as_of: datetime
    items: list[SlaItem]
    next: str | None
    summary: list[HubSlas]


def find_open(
    store: Store, now: datetime, wanted: Wanted | None = None, *, limit: int = 100, cursor: str | None = None
) -> SlaPage:
    """The open SLAs that are ``wanted`` at ``now``.

    Those that somebody has acknowledged come last; before that breached ones come before those at risk, the longest
    overdue before others, and the lowest chance before others.

    Raises:
        QuestionError: no such limit or cursor.
        StoreError: ClickHouse cannot be asked.
    """
    if not 1 <= limit <= MOST_A_PAGE:
        raise QuestionError("limit", f"must be from 1 to {MOST_A_PAGE}")
    sql, where, parameters = asked(wanted or Wanted(), now)
    after = "1"
    if cursor is not None:
        after = "(" + _ORDER + ") > ({c0:UInt8}, {c1:UInt8}, {c2:Int64}, {c3:String}, {c4:String}, {c5:Int64})"
    place = {} if cursor is None else {f"c{number}": part for number, part in enumerate(_decoded(cursor))}
    rows = store.query(
        f"SELECT {', '.join(_COLUMNS)} FROM ({sql}) WHERE {where} AND {after} ORDER BY {_ORDER} LIMIT {{limit:UInt32}}",
        {**parameters, **place, "limit": limit + 1},
    )
    named = [dict(zip(_COLUMNS, row, strict=True)) for row in rows]
    following = _encoded(named[limit - 1]) if len(rows) > limit else None
    items = [_item(row, now) for row in named[:limit]]
    return SlaPage(now, items, following, read_summary(store, now, wanted))


def _item(row: Mapping[str, Any], now: datetime) -> SlaItem:
    due, detail = moment_of(int(row["due"])), detail_of(row["detail"])
    chance = float(row["chance"]) if row["chance"] >= 0 else None
    ack = Ack(row["state"], moment_of(int(row["acked"])), row["acked_by"], row["note"]) if row["known"] else None
    return SlaItem(
        order_id=row["order_id"],
        rule=row["rule"],
        base=moment_of(int(row["base"])),
        state=row["state"],
        cause=row["cause"],
        due=due,
        since=moment_of(int(row["at"])),
        detected=moment_of(int(row["detected"])),
        overdue_minutes=overdue_minutes(now, int(row["due"])),
        chance=chance,
        **{name: row[name] for name in DIMENSIONS},
        policy_version=int(row["policy_version"]),
        detail=detail,
        said=words.said(row["rule"], row["state"], row["cause"], due, chance, detail, words.beside(due)),
        acknowledged=ack,
    )


def _encoded(row: Mapping[str, Any]) -> str:
    place = [int(row["known"]), int(row["risk"]), int(row["worst"]), row["order_id"], row["rule"], int(row["base"])]
    return base64.urlsafe_b64encode(msgspec.json.encode(place)).decode().rstrip("=")


def _decoded(cursor: str) -> tuple[int, int, int, str, str, int]:
    try:
        decoded = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        return msgspec.json.decode(decoded, type=tuple[int, int, int, str, str, int])
    except (binascii.Error, ValueError) as error:
        raise QuestionError("cursor", "is not one that this service gave") from error
