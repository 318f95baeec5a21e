"""Reading a partition's state back from the store, by key."""

from collections.abc import Iterable, Sequence

from milepost.domain import facts as f
from milepost.domain.contributions import CellKey
from milepost.domain.measures import MEASURES
from milepost.processor.cells import STRETCH_MINUTES, Cell, Stretch
from milepost.processor.ledger import Account
from milepost.processor.partition import Partition
from milepost.processor.patience import patiently
from milepost.store.client import Row, Store

KEYS_A_QUERY = 10_000

_ORDERS = """
SELECT order_id, facts FROM orders_store FINAL
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


class AheadOfUsError(RuntimeError):
    """Another worker has written this partition further than we have read it: stop, and recover from its cut."""


class Loader:
    """Reads what a flush needs to know and memory does not hold."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def orders(self, partition: Partition, subjects: Sequence[str]) -> dict[str, bytes]:
        """Facts of those ``subjects`` that are stored, as of the partition's cut."""
        found: dict[str, bytes] = {}
        for keys in _portions(subjects):
            rows = await patiently(
                self._store.query, _ORDERS, {"subjects": keys, "partition": partition.number}, binary=["facts"]
            )
            for subject, facts in rows:
                as_of_cut = below(partition.cut, facts)
                if as_of_cut:
                    found[subject] = as_of_cut
        return found

    async def accounts(self, partition: Partition, subjects: Sequence[str]) -> dict[str, Account]:
        """The ledger of each of ``subjects`` that is stored, as of the partition's cut."""
        found: dict[str, Account] = {}
        for keys in _portions(subjects):
            rows = await patiently(
                self._store.query, _ACCOUNTS, {"subjects": keys, "partition": partition.number}, binary=["facts"]
            )
            for subject, facts in rows:
                account = found.setdefault(subject, Account())
                for fact in f.decode(facts):
                    if fact.offset < partition.cut:
                        account.add(fact)
        return found

    async def cells(self, partition: Partition, stretches: Iterable[Stretch]) -> list[tuple[int, CellKey, Cell]]:
        """All stored cells of ``stretches``."""
        by_grain: dict[int, list[int]] = {}
        for grain, start in stretches:
            by_grain.setdefault(grain, []).append(start)
        cells = []
        for grain, starts in by_grain.items():
            rows = await patiently(self._stretch_rows, partition, grain, starts)
            for row in rows:
                if row[_KEY_COLUMNS] > partition.cut:
                    raise AheadOfUsError(
                        f"partition {partition.number}: the store holds KPI rows of offset {row[_KEY_COLUMNS]}, "
                        f"we have written up to {partition.cut}"
                    )
                cells.append(_cell(grain, row))
        return cells

    def _stretch_rows(self, partition: Partition, grain: int, starts: list[int]) -> list[Row]:
        length = STRETCH_MINUTES[grain] * 60
        sql = f"""
        SELECT {_CELL_COLUMNS} FROM kpi_store FINAL
        WHERE grain = {{grain:UInt8}} AND partition = {{partition:UInt16}}
          AND minute >= toDateTime({{first:UInt32}}, 'UTC') AND minute < toDateTime({{last:UInt32}}, 'UTC')
          AND toUInt32(intDiv(toUInt32(minute), {length}) * {length}) IN {{starts:Array(UInt32)}}
        """  # noqa: S608 - no outside value is put into the text
        seconds = sorted(start * 60 for start in starts)
        return self._store.query(
            sql,
            {
                "grain": grain,
                "partition": partition.number,
                "first": seconds[0],
                "last": seconds[-1] + length,
                "starts": seconds,
            },
        )


def below(cut: int, facts: bytes) -> bytes:
    """The facts below offset ``cut``: a row may be ahead of the cut after a crash, and the replay brings the rest."""
    decoded = f.decode(facts)
    kept = [fact for fact in decoded if fact.offset < cut]
    if len(kept) == len(decoded):
        return facts
    return f.encode(kept) if kept else b""


def _portions(subjects: Sequence[str]) -> Iterable[Sequence[str]]:
    for start in range(0, len(subjects), KEYS_A_QUERY):
        yield subjects[start : start + KEYS_A_QUERY]


def _cell(grain: int, row: Row) -> tuple[int, CellKey, Cell]:
    cell = Cell()
    measures = row[_KEY_COLUMNS + 1 : _KEY_COLUMNS + 1 + len(MEASURES)]
    cell.values = list(measures)
    cell.buckets = dict(zip(row[-2], row[-1], strict=True))
    return grain, (row[1] // 60, *row[2:_KEY_COLUMNS]), cell
