"""A partition brought back to what its log says, page by page, while flushes go on.

First the orders and the ledger: facts are derived anew from the log, rows that say something else are written anew. The
KPI cells are not touched meanwhile: the gap between what the orders count for and what the KPI rows hold is added up on
the side, and whatever a flush changes on one side only is added to it. At the end it is what is wrong, and one insert
with the cut puts it right: a reader sees the numbers before or after that, nothing between.

Facts that the log does not have are kept, and told of, unless the log is known to be complete from their offset on.
Minutes that an expired order counted in are frozen: nobody knows any more what belongs there.
"""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from itertools import pairwise
from operator import attrgetter
from typing import Any

import msgspec

from milepost.domain import facts as f
from milepost.domain.contributions import contributions, cost_contributions, totals
from milepost.domain.order import fold
from milepost.processor.patience import meanwhile, patiently
from milepost.processor.state.cells import MINUTE, stretch_of
from milepost.processor.state.ledger import Account
from milepost.processor.state.loading import Loader, below, horizon, stretches
from milepost.processor.state.orders import EXPIRED
from milepost.processor.state.partition import Difference, Partition
from milepost.processor.state.rows import ledger_row, order_row
from milepost.processor.upkeep import history
from milepost.processor.upkeep.gap import DAY_MINUTES, Gap, once
from milepost.processor.writing.flush import cut_row
from milepost.store import tables
from milepost.store.client import Row, Store
from milepost.store.rebuilds import UNKNOWN

log = logging.getLogger(__name__)

Insert = Callable[[tables.Table, list[Row]], Awaitable[None]]

ROWS_A_PAGE = 10_000
CELLS_AT_ONCE = 400_000
"""Cells whose gap is kept in memory; more are done in several passes over the orders."""
YIELD_EVERY = 50
END_OF_TIME = (2**32 - 1) // 86_400 * DAY_MINUTES
"""The last minute that a KPI row can have, to a whole day."""

_ORDERS = f"""
SELECT {", ".join(tables.ORDERS.columns)} FROM orders_store FINAL
WHERE partition = {{partition:UInt16}} AND order_id > {{after:String}}
    AND (order_id <= {{upto:String}} OR {{upto:String}} = '')
"""  # noqa: S608 - column names only
_LEDGER = f"""
SELECT {", ".join(tables.LEDGER.columns)} FROM ledger_store FINAL
WHERE partition = {{partition:UInt16}} AND subject > {{after:String}}
    AND (subject <= {{upto:String}} OR {{upto:String}} = '')
"""  # noqa: S608 - column names only
_DAYS = """
SELECT intDiv(toUInt32(minute), 86400) AS day, count() FROM kpi_store
WHERE grain != 'cut' AND partition = {partition:UInt16} AND minute >= toDateTime({first:UInt32}, 'UTC')
GROUP BY day ORDER BY day
"""
_REMOVE = "DELETE FROM orders_store WHERE partition = {partition:UInt16} AND order_id IN {orders:Array(String)}"

_VERSION, _STATE, _FACTS = (list(tables.ORDERS.columns).index(name) for name in ("version", "state", "facts"))
_COST_ID, _COST_VERSION, _COST_FACTS = (
    list(tables.LEDGER.columns).index(name) for name in ("cost_id", "version", "facts")
)


@dataclass
class Found:
    """What a rebuild has done so far; ``unlogged`` counts orders with facts that the log does not have."""

    orders: int = 0
    changed: int = 0
    unlogged: int = 0
    minutes: int = 0


@dataclass
class _Page:
    """What a page of subjects changes."""

    orders: list[Row] = field(default_factory=list)
    ledger: list[Row] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)


class Rebuild:
    """One rebuild. Between two pages flushes may be built and written; during one nothing may be in the making."""

    def __init__(
        self,
        store: Store,
        insert: Insert,
        partition: Partition,
        complete_from: int = UNKNOWN,
        most: int = CELLS_AT_ONCE,
    ) -> None:
        self.found = Found()
        self.partition = partition
        self._store = store
        self._loader = Loader(store)
        self._insert = insert
        self._complete_from = complete_from
        self._most = most
        self._windows: deque[tuple[int, int]] = deque()
        self._gap = Gap(0, 0)
        self._rows_until = 0
        self._subjects_until: str | None = ""

    async def pages(self) -> AsyncIterator[None]:
        """Do it, page by page."""
        partition, number = self.partition, self.partition.number
        try:
            # Long to find, and still good when flushes have gone on: what comes new lies within the spans.
            finding = asyncio.create_task(patiently(history.spans, self._store, number))
            async for _ in meanwhile(finding):
                yield
            spans = await finding
            partition.cells.reset(await patiently(stretches, self._store, number))
            first = await patiently(horizon, self._store, number)
            days = await patiently(self._store.query, _DAYS, {"partition": number, "first": first * 60})
            self._windows.extend(windows([(day * DAY_MINUTES, rows) for day, rows in days], first, self._most))
            check = True
            while self._windows:
                self._begin(*self._windows.popleft())
                yield
                for end in page_ends([(day * DAY_MINUTES, rows) for day, rows in days], self._gap.first):
                    await self._scan_rows(min(end, self._gap.end))
                    yield
                for span in spans:
                    await self._scan_subjects(span, check)
                    yield
                await self._settle()
                check = False
        finally:
            partition.watcher = None

    def _begin(self, first: int, end: int) -> None:
        self._gap = Gap(first, end)
        self._rows_until = first
        self._subjects_until = ""
        self.partition.watcher = self._watch

    def _watch(self, difference: Difference) -> None:
        """What a flush changes belongs to the gap where only one of the two sides has been read."""
        subject, before, after = difference
        counted = self._subjects_until is None or subject <= self._subjects_until
        for cells, sign in ((before, -1), (after, 1)):
            self._gap.count(cells, lambda minute, sign=sign: sign * (counted - (minute < self._rows_until)))  # type: ignore[misc]

    async def _scan_rows(self, end: int) -> None:
        if end <= self._rows_until:
            return
        for grain, key, cell in await self._loader.cells_of_days(self.partition, self._rows_until, end):
            self._gap.take_out(grain, key, cell)
        self._rows_until = end
        self._bound()

    def _bound(self) -> None:
        while len(self._gap) > self._most:
            rest = self._gap.halve()
            if rest is None:
                return
            self._windows.appendleft(rest)

    async def _scan_subjects(self, span: history.Span, check: bool) -> None:
        partition = self.partition
        key = {"partition": partition.number, "after": span[0], "upto": span[1]}
        query, told = self._store.query, {}
        if check:
            told = await patiently(history.told, self._store, partition.number, span, partition.cut)
        orders = {row[0]: row for row in await patiently(query, _ORDERS, key, binary=["facts"])}
        costs: dict[str, list[Row]] = {}
        for row in await patiently(query, _LEDGER, key, binary=["facts"]):
            costs.setdefault(row[0], []).append(row)
        page = _Page()
        nothing = history.Told()
        for number, subject in enumerate(told.keys() | orders.keys() | costs.keys()):
            of_subject = told.get(subject, nothing)
            self._order(subject, of_subject, orders.get(subject), check, page)
            if of_subject.ledger or subject in costs:
                self._account(subject, of_subject, costs.get(subject, []), check, page)
            if number % YIELD_EVERY == 0:
                await asyncio.sleep(0)
        await self._write(page)
        self._subjects_until = span[1] or None
        self._bound()

    def _order(self, subject: str, told: history.Told, row: Row | None, check: bool, page: _Page) -> None:
        partition = self.partition
        if row is not None and row[_STATE] == EXPIRED:
            return
        kept = _readable(row[_FACTS], partition.cut) if row is not None else []
        if not told.orders and not kept:
            return
        facts = kept
        if check:
            surplus = self._surplus(told, told.orders, kept)
            facts = sorted(told.orders + surplus, key=_offset)
            self.found.unlogged += bool(surplus)
        order = fold(facts)
        share = contributions(order)
        self._gap.count(share, once)
        if not check:
            return
        self.found.orders += 1
        encoded = f.encode(facts)
        if not facts:
            page.removed.append(subject)
            partition.orders.put(subject, encoded)
            self.found.changed += 1
            return
        version = facts[-1].offset + 1
        right = order_row(subject, partition.number, version, order, totals(share), len(facts), encoded)
        if row is None or not _same(row, right, _VERSION, _FACTS, partition.cut):
            page.orders.append(_not_below(right, _VERSION, row))
            partition.orders.put(subject, encoded)
            self.found.changed += 1

    def _surplus(self, told: history.Told, facts: list[f.AnyFact], kept: list[f.AnyFact]) -> list[f.AnyFact]:
        """The facts that only a row has, unless the log would have them."""
        known = {fact.identity for fact in facts}
        return [
            fact
            for fact in kept
            if fact.identity not in known and (fact.offset < self._complete_from or fact.identity in told.unreadable)
        ]

    def _account(self, subject: str, told: history.Told, rows: list[Row], check: bool, page: _Page) -> None:
        partition = self.partition
        kept = [fact for row in rows for fact in _readable(row[_COST_FACTS], partition.cut)]
        facts = told.ledger + self._surplus(told, told.ledger, kept) if check else kept
        account = Account()
        versions: dict[str, int] = {}
        for fact in sorted(facts, key=_offset):
            versions.update(dict.fromkeys(account.costs_touched_by(fact), fact.offset + 1))
            account.add(fact)
        for cost_id in account.cost_ids():
            self._gap.count(cost_contributions(account.current(cost_id)), once)
        if not check:
            return
        stored = {row[_COST_ID]: row for row in rows}
        changed = False
        for cost_id in versions.keys() | stored.keys():
            row = stored.get(cost_id)
            current = account.current(cost_id) if cost_id else None
            encoded = f.encode(account.facts(cost_id))
            right = ledger_row(subject, cost_id, partition.number, versions.get(cost_id, 0), current, encoded)
            if row is None or not _same(row, right, _COST_VERSION, _COST_FACTS, partition.cut):
                page.ledger.append(_not_below(right, _COST_VERSION, row))
                changed = True
        if changed:
            partition.accounts.put(subject, account)

    async def _write(self, page: _Page) -> None:
        if page.orders:
            await self._insert(tables.ORDERS, page.orders)
        if page.ledger:
            await self._insert(tables.LEDGER, page.ledger)
        if page.removed:
            key = {"partition": self.partition.number, "orders": page.removed}
            await patiently(self._store.command, _REMOVE, key)

    async def _settle(self) -> None:
        """Close the gap, in one insert with the cut."""
        partition, cells = self.partition, self.partition.cells
        partition.watcher = None
        if self._gap.cells:
            touched = cells.absent({stretch_of(grain, key[0]) for grain, key in self._gap.cells})
            cells.load(touched, await self._loader.cells(partition, touched))
            for (grain, key), slots in self._gap.cells.items():
                cells.touch(grain, key).put_in(list(slots.items()))
            self.found.minutes += sum(grain == MINUTE for grain, _ in self._gap.cells)
            rows = cells.take_changed(partition.number, partition.cut)
            await self._insert(tables.KPIS, [*rows, cut_row(partition, partition.cut)])
        self._gap = Gap(0, 0)


_offset = attrgetter("offset")


def windows(days: list[tuple[int, int]], first: int, most: int) -> list[tuple[int, int]]:
    """All time from minute ``first`` on, in stretches that hold about ``most`` rows each; ``days`` with their rows."""
    bounds, held = [first], 0
    for day, rows in days:
        if held and held + rows > most and day > bounds[-1]:
            bounds.append(day)
            held = 0
        held += rows
    return list(pairwise([*bounds, END_OF_TIME]))


def page_ends(days: list[tuple[int, int]], first: int) -> list[int]:
    """Where the pages of KPI rows from minute ``first`` on end."""
    ends, held = [], 0
    for day, rows in days:
        if day >= first:
            held += rows
            if held >= ROWS_A_PAGE:
                ends.append(day + DAY_MINUTES)
                held = 0
    return [*ends, END_OF_TIME]


def _readable(facts: bytes, cut: int) -> list[f.AnyFact]:
    """Facts of a row below the cut; none where they cannot be read."""
    try:
        return f.decode(below(cut, facts) or f.encode([]))
    except (msgspec.DecodeError, UnicodeDecodeError):
        log.warning("facts that cannot be read are taken from the log anew")
        return []


def _same(row: Row, right: Row, version: int, facts: int, cut: int) -> bool:
    """Whether a stored row says what it should. One ahead of the cut says more: its facts below the cut count."""
    if row[version] > cut:
        return bool(f.encode(_readable(row[facts], cut)) == right[facts])
    return bool(row[version] >= right[version]) and all(
        _plain(one) == _plain(other)
        for place, (one, other) in enumerate(zip(row, right, strict=True))
        if place != version
    )


def _plain(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _not_below(right: Row, version: int, row: Row | None) -> Row:
    if row is None or row[version] <= right[version]:
        return right
    return (*right[:version], row[version], *right[version + 1 :])
