"""Reading a partition's state back from the store, by key."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TypeVar

from milepost.domain import facts as f
from milepost.domain.contributions import CellKey
from milepost.domain.kpis import DAY_US
from milepost.domain.measures import MEASURES
from milepost.processor.patience import patiently
from milepost.processor.state.cells import STRETCH_MINUTES, Cell, Stretch
from milepost.processor.state.ledger import Account
from milepost.processor.state.orders import EXPIRED, GONE
from milepost.processor.state.partition import Partition
from milepost.store import tables
from milepost.store.client import Row, Store

T = TypeVar("T")

KEYS_A_QUERY = 10_000
STRETCHES_A_QUERY = 12
"""A query costs as much as thousands of rows, for it opens seventy columns: small stretches of all grains share one."""
ROWS_AT_ONCE = 10_000
"""Made into cells between two breaths: where more cells are in use than are kept, a flush reads a million of them."""

Breathe = Callable[[], Awaitable[None]]
"""Called now and then while much is read, so that all else goes on, and is seen to."""


async def _breathe() -> None:
    await asyncio.sleep(0)


_ORDERS = """
SELECT order_id, facts, state FROM orders_store FINAL
WHERE order_id IN {subjects:Array(String)} AND partition = {partition:UInt16}
"""
_ACCOUNTS = """
SELECT subject, facts FROM ledger_store FINAL
WHERE subject IN {subjects:Array(String)} AND partition = {partition:UInt16}
"""
_CELL_COLUMNS = (
    "grain, toUInt32(minute), hub_id, zone_id, service_level, merchant_id, courier_id, component, activity, version, "
    + ", ".join(MEASURES)
    + ", hist_bucket, hist_count"
)
_KEY_COLUMNS = 9


_STRETCHES = """
SELECT DISTINCT toInt8(grain) AS g,
    intDiv(intDiv(toUInt32(minute), 60), transform(g, {grains:Array(Int8)}, {lengths:Array(UInt32)}, 1)) AS number
FROM kpi_store WHERE grain != 'cut' AND partition = {partition:UInt16}
"""
_HORIZON = """
SELECT max(greatest(last_event_at, promised_until, deadline)) FROM orders_store FINAL
WHERE partition = {partition:UInt16} AND state = 'expired'
"""


class AheadOfUsError(RuntimeError):
    """Another worker has written this partition further than we have read it: let it go, and recover from its cut."""


class Loader:
    """Reads what a flush needs to know and memory does not hold."""

    def __init__(self, store: Store) -> None:
        self.store = store

    async def orders(
        self, partition: Partition, subjects: Sequence[str], breathe: Breathe = _breathe
    ) -> dict[str, bytes]:
        """Facts of those ``subjects`` that are stored, as of the partition's cut; ``GONE`` for an expired order."""
        found: dict[str, bytes] = {}
        for keys in _portions(subjects, KEYS_A_QUERY):
            rows = await patiently(
                self.store.query, _ORDERS, {"subjects": keys, "partition": partition.number}, binary=["facts"]
            )
            for subject, facts, state in rows:
                if state == EXPIRED:
                    found[subject] = GONE
                    continue
                as_of_cut = below(partition.cut, facts)
                if as_of_cut:
                    found[subject] = as_of_cut
            await breathe()
        return found

    async def accounts(self, partition: Partition, subjects: Sequence[str]) -> dict[str, Account]:
        """The ledger of each of ``subjects`` that is stored, as of the partition's cut."""
        found: dict[str, Account] = {}
        for keys in _portions(subjects, KEYS_A_QUERY):
            rows = await patiently(
                self.store.query, _ACCOUNTS, {"subjects": keys, "partition": partition.number}, binary=["facts"]
            )
            for subject, facts in rows:
                account = found.setdefault(subject, Account())
                for fact in f.decode(facts):
                    if fact.offset < partition.cut:
                        account.add(fact)
        return found

    async def cells(
        self, partition: Partition, stretches: Iterable[Stretch], breathe: Breathe = _breathe
    ) -> list[tuple[int, CellKey, Cell]]:
        """All stored cells of ``stretches``."""
        cells = []
        for some in _portions(sorted(stretches), STRETCHES_A_QUERY):
            for rows in _portions(await patiently(self._stretch_rows, partition, some), ROWS_AT_ONCE):
                cells += [_cell(row) for row in rows if self._is_ours(partition, row)]
                await breathe()
        return cells

    async def cells_of_days(self, partition: Partition, first: int, end: int) -> list[tuple[int, CellKey, Cell]]:
        """All stored cells, of all grains, of the whole days from minute ``first`` up to, not including, ``end``."""
        sql = f"""
        SELECT {_CELL_COLUMNS} FROM kpi_store FINAL
        WHERE grain != 'cut' AND partition = {{partition:UInt16}}
          AND minute >= toDateTime({{first:UInt32}}, 'UTC') AND minute < toDateTime({{end:UInt32}}, 'UTC')
        """  # noqa: S608 - no outside value is put into the text
        parameters = {"partition": partition.number, "first": first * 60, "end": end * 60}
        rows = await patiently(self.store.query, sql, parameters)
        return [_cell(row) for row in rows if self._is_ours(partition, row)]

    @staticmethod
    def _is_ours(partition: Partition, row: Row) -> bool:
        """True; raises ``AheadOfUsError`` where another worker has written the row."""
        if row[_KEY_COLUMNS] > partition.cut:
            raise AheadOfUsError(
                f"partition {partition.number}: the store holds KPI rows of offset {row[_KEY_COLUMNS]}, "
                f"we have written up to {partition.cut}"
            )
        return True

    def _stretch_rows(self, partition: Partition, some: Sequence[Stretch]) -> list[Row]:
        time = "toDateTime({}, 'UTC')"
        places = " OR ".join(
            f"(grain = {grain} AND minute >= {time.format(first * 60)} AND minute < {time.format(end * 60)})"
            for grain, first, end in _runs(some)
        )
        sql = f"""
        SELECT {_CELL_COLUMNS} FROM kpi_store FINAL
        WHERE partition = {{partition:UInt16}} AND ({places})
        """  # noqa: S608 - no outside value is put into the text
        return self.store.query(sql, {"partition": partition.number})


def _runs(some: Sequence[Stretch]) -> list[tuple[int, int, int]]:
    """Grain, first minute and end of each run of stretches; ``some`` is sorted."""
    runs: list[tuple[int, int, int]] = []
    for grain, start in some:
        end = start + STRETCH_MINUTES[grain]
        if runs and runs[-1][::2] == (grain, start):
            runs[-1] = grain, runs[-1][1], end
        else:
            runs.append((grain, start, end))
    return runs


def stretches(store: Store, partition: int) -> list[Stretch]:
    """Every stretch of time of which KPI rows of ``partition`` are stored."""
    parameters = {"partition": partition, "grains": list(STRETCH_MINUTES), "lengths": list(STRETCH_MINUTES.values())}
    return [(grain, count * STRETCH_MINUTES[grain]) for grain, count in store.query(_STRETCHES, parameters)]


def horizon(store: Store, partition: int) -> int:
    """The first minute, at the start of a day, that no expired order of ``partition`` counted in or after."""
    last = int(store.query(_HORIZON, {"partition": partition})[0][0])
    return (last // DAY_US + 1) * 1440 if last else 0


def below(cut: int, facts: bytes) -> bytes:
    """The facts below offset ``cut``: a row may be ahead of the cut after a crash, and the replay brings the rest."""
    if not facts:
        return b""
    decoded = f.decode(facts)
    kept = [fact for fact in decoded if fact.offset < cut]
    if len(kept) == len(decoded):
        return facts
    return f.encode(kept) if kept else b""


def _portions(of: Sequence[T], size: int) -> Iterable[Sequence[T]]:
    for start in range(0, len(of), size):
        yield of[start : start + size]


def _cell(row: Row) -> tuple[int, CellKey, Cell]:
    cell = Cell()
    measures = row[_KEY_COLUMNS + 1 : _KEY_COLUMNS + 1 + len(MEASURES)]
    cell.values = list(measures)
    cell.buckets = dict(zip(row[-2], row[-1], strict=True))
    return tables.GRAINS[row[0]], (row[1] // 60, *row[2:_KEY_COLUMNS]), cell
