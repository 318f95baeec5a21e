"""Orders that have expired leave, whole: a tombstone keeps what they counted for, their events and personal data go.

Tombstones come first. They have the same key, version and measures, so numbers add up before and after, and what is
left to delete follows from them: after a crash anywhere in between the next run does it.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

from milepost.domain.kpis import ABANDONED_AFTER_DAYS, DAY_US
from milepost.processor.patience import meanwhile, patiently
from milepost.processor.state.orders import EXPIRED, GONE
from milepost.processor.state.partition import Partition
from milepost.processor.upkeep.rebuild import Insert
from milepost.store import tables
from milepost.store.client import Row, Store
from milepost.store.erasures import reapply_erasures

log = logging.getLogger(__name__)

ORDERS_AT_ONCE = 100_000
ORDERS_A_PAGE = 2_000
TRIALS_KEPT = timedelta(days=1)
"""How long events in test mode are kept."""

_FIRST_SINCE = """
SELECT min(offset), count() FROM events_store
WHERE partition = {partition:UInt16} AND appended >= {cutoff:Int64}
"""
_LAST_MOMENT = "greatest(last_event_at, promised_until, deadline)"
_EXPIRING = f"""
SELECT order_id FROM orders_store FINAL
WHERE partition = {{partition:UInt16}} AND order_id > {{after:String}}
    AND state != 'expired' AND version <= {{most:UInt64}}
    AND {_LAST_MOMENT} < {{cutoff:Int64}}
    AND (closed_at > 0 OR {_LAST_MOMENT} < {{silent:Int64}})
ORDER BY order_id LIMIT {{limit:UInt32}}
"""  # noqa: S608 - column names only
_ROWS = f"""
SELECT {", ".join(tables.ORDERS.columns)} FROM orders_store FINAL
WHERE order_id IN {{orders:Array(String)}} AND partition = {{partition:UInt16}} AND version <= {{most:UInt64}}
"""  # noqa: S608 - column names only
_GONE = """(
    SELECT order_id FROM orders_store WHERE partition = {partition:UInt16} AND state = 'expired'
)"""
_KEPT = "(SELECT subject FROM ledger_store WHERE partition = {partition:UInt16} AND cost_id != '')"
"""A route may bear an order's name."""
_OF_GONE = f"partition = {{partition:UInt16}} AND subject IN {_GONE} AND subject NOT IN {_KEPT}"
_TRIALS = "partition = {partition:UInt16} AND testmode = 1 AND appended < {cutoff:Int64}"
_PERSONAL_TRIALS = f"""(subject, source, id) IN (SELECT subject, source, id FROM events_store WHERE {_TRIALS})
    AND (subject, source, id) NOT IN (
        SELECT subject, source, id FROM events_store WHERE partition = {{partition:UInt16}} AND testmode = 0
            AND subject IN (SELECT subject FROM events_store WHERE {_TRIALS})
    )"""  # noqa: S608
_PERSONAL_OF_GONE = f"""subject IN {_GONE} AND subject NOT IN {_KEPT}"""

_DELETIONS = (
    ("personal_store", _PERSONAL_OF_GONE),
    ("events_store", _OF_GONE),
    ("personal_store", _PERSONAL_TRIALS),
    ("events_store", _TRIALS),
    ("sla_acks_store", f"order_id IN {_GONE}"),
    ("sla_events_store", f"partition = {{partition:UInt16}} AND order_id IN {_GONE}"),
)
# Of the test events the personal data goes first, for it is found by them.

_COLUMNS = list(tables.ORDERS.columns)
_BLANK = {_COLUMNS.index(name): "" for name in ("hub_id", "zone_id", "service_level", "merchant_id", "courier_id")} | {
    _COLUMNS.index("merchant_order_ref"): "",
    _COLUMNS.index("cancelled_by"): "",
    _COLUMNS.index("state"): EXPIRED,
    _COLUMNS.index("facts"): GONE,
}


class Retention:
    """One run over a partition: what was closed or abandoned, and last heard of and counted before the cutoff, goes.

    The cutoff is ``days`` days ago, at midnight (UTC). Between two pages flushes may happen.
    """

    def __init__(self, store: Store, insert: Insert, partition: Partition, days: int, now: int | None = None) -> None:
        self.partition = partition
        self.expired = 0
        self._store = store
        self._insert = insert
        self._now = time.time_ns() // 1000 if now is None else now
        self._cutoff = (self._now - days * DAY_US) // DAY_US * DAY_US

    async def pages(self) -> AsyncIterator[None]:
        """Do it, page by page."""
        number = self.partition.number
        most = await self._heard_of_before()
        after = ""
        while True:
            finding = asyncio.create_task(self._expiring(after, most))
            async for _ in meanwhile(finding):
                yield
            orders = await finding
            for start in range(0, len(orders), ORDERS_A_PAGE):
                await self._bury(orders[start : start + ORDERS_A_PAGE], most)
                yield
            if not orders:
                break
            after = orders[-1]
        if self.expired:
            log.info("partition %d: %d orders have expired", number, self.expired)
        trials = self._now - int(TRIALS_KEPT.total_seconds()) * 1_000_000
        deleting = asyncio.create_task(self._delete_all({"partition": number, "cutoff": trials}))
        async for _ in meanwhile(deleting):
            yield
        await deleting
        erasing = asyncio.create_task(patiently(reapply_erasures, self._store))
        async for _ in meanwhile(erasing):
            yield
        await erasing

    async def _heard_of_before(self) -> int:
        """The highest version of an order of which nothing has come since the cutoff. Rows ahead of the cut are not
        believed.
        """
        since = {"partition": self.partition.number, "cutoff": self._cutoff}
        first, some = (await patiently(self._store.query, _FIRST_SINCE, since))[0]
        return min(self.partition.cut, int(first)) if some else self.partition.cut

    async def _expiring(self, after: str, most: int) -> list[str]:
        silent = min(self._cutoff, self._now - ABANDONED_AFTER_DAYS * DAY_US)
        key = {"partition": self.partition.number, "after": after, "most": most, "limit": ORDERS_AT_ONCE}
        key |= {"cutoff": self._cutoff, "silent": silent}
        return [row[0] for row in await patiently(self._store.query, _EXPIRING, key)]

    async def _bury(self, orders: list[str], most: int) -> None:
        """Put tombstones in place of those of ``orders`` of which nothing has come since they were found."""
        key = {"partition": self.partition.number, "orders": orders, "most": most}
        rows = await patiently(self._store.query, _ROWS, key, binary=["facts"])
        await self._insert(tables.ORDERS, [tombstone(row) for row in rows])
        for row in rows:
            if row[0] in self.partition.orders:
                self.partition.orders.put(row[0], GONE)
        self.expired += len(rows)

    async def _delete_all(self, key: dict[str, Any]) -> None:
        for table, condition in _DELETIONS:
            await self._delete(table, condition, key)

    async def _delete(self, table: str, condition: str, key: dict[str, Any]) -> None:
        """One mutation, and none where nothing is to be deleted."""
        (some,) = (await patiently(self._store.query, f"SELECT count() FROM {table} WHERE {condition}", key))[0]  # noqa: S608
        if some:
            await patiently(self._store.command, f"DELETE FROM {table} WHERE {condition}", key)  # noqa: S608


def tombstone(row: Row) -> Row:
    """What stays of an order: its key, version, moments and measures."""
    return tuple(_BLANK.get(place, value) for place, value in enumerate(row))
