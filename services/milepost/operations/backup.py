"""Writing a backup: the state of the database at each partition's cut, while the platform goes on.

One SELECT is a snapshot: the KPI rows with the cuts they are complete up to. Everything else is read after them and
may be ahead; what is, is left out, or told as it was at the cut. So the files hold the state at one offset of each
partition.
"""

import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

from milepost.contracts.topics import LIFECYCLE
from milepost.operations import broker
from milepost.operations.archive import Archive
from milepost.operations.manifest import FORMAT, Applied, File, Manifest, Place, now, write
from milepost.operations.refusals import RefusedError
from milepost.settings import Settings
from milepost.store import tables
from milepost.store.client import Row, Store
from milepost.store.currency import check_currency
from milepost.store.migrations import statuses
from milepost.store.offset_bases import offset_bases

RowsAsOf = Callable[[Store, Mapping[int, int]], Iterable[tuple[tables.Table, Row]]]
"""Gives the rows of orders and costs that are ahead of the cuts, as they were at them."""
Tell = Callable[[str, int, int], None]
"""Called with a table's name, the rows written of it, and how many there may be."""

INSTALLATION = "installation"
_FIRST = (tables.KPIS, tables.ORDERS, tables.LEDGER, tables.EVENTS, tables.PERSONAL, tables.DEAD_LETTERS)
_LAST = (tables.ERASURES.name, INSTALLATION)
"""Erasures after all that they may concern: what was erased meanwhile is known to be."""
_LEFT_OUT = frozenset({tables.PROGRESS.name, "schema_migrations"})
_READING = {"max_threads": 2, "max_block_size": 8192, "max_execution_time": 0}
"""Little at once: what a table of any size needs of the engine's memory."""
_CUT_LINES = re.compile(rb"^cut\t.*$", re.MULTILINE)


class _Source(NamedTuple):
    """A table to be read: its name and columns, in the order they are kept."""

    name: str
    columns: list[str]


def back_up(
    settings: Settings, store: Store, folder: Path, rows_as_of: RowsAsOf, tell: Tell = lambda *_: None
) -> Manifest:
    """Write a backup of ``store`` into ``folder``, which must not exist; it appears when it is whole.

    Raises:
        RefusedError: ``folder`` exists, a migration is interrupted, or the broker does not answer.
        StoreError: ClickHouse cannot be asked.
        OSError: the files cannot be written.
    """
    partial = folder.with_name(f"{folder.name}.partial")
    for taken in (folder, partial):
        if taken.exists():
            raise RefusedError(f"{taken} exists; name another folder, or remove it first")
    check_currency(store, settings)
    broker.look(settings)
    # It holds personal data: nobody else on this machine may look.
    partial.mkdir(mode=0o700, parents=True)
    try:
        manifest = _write_all(settings, store, partial, rows_as_of, tell)
    except BaseException:
        shutil.rmtree(partial)
        raise
    partial.rename(folder)
    return manifest


def _write_all(settings: Settings, store: Store, folder: Path, rows_as_of: RowsAsOf, tell: Tell) -> Manifest:
    migrations = _applied(store)
    bases = offset_bases(store)
    files: dict[str, File] = {}
    cuts: dict[int, int] = {}
    for source in _sources(store):
        condition, most = _condition(source.name, cuts), _roughly(store, source.name)
        with Archive(folder / f"{source.name}.tsv.zst", source.columns) as archive:
            for lines in archive.add(store.stream_text(_select(source, condition), _READING)):
                if source.name == tables.KPIS.name:
                    # Every writer of a partition has a cut row of its own.
                    for number, reached in _cuts(source.columns, lines):
                        cuts[number] = max(reached, cuts.get(number, 0))
                tell(source.name, archive.rows, most)
            if source.name in (tables.ORDERS.name, tables.LEDGER.name):
                archive.add_rows(_in_order(source, rows_as_of(store, cuts)))
        size = (folder / f"{source.name}.tsv.zst").stat().st_size
        files[source.name] = File(f"{source.name}.tsv.zst", source.columns, archive.rows, size, archive.sha256)
    topic = broker.look(settings)
    manifest = Manifest(
        FORMAT,
        version("milepost"),
        now(),
        settings.database,
        settings.currency,
        migrations,
        LIFECYCLE.name,
        topic.id,
        {
            number: Place(
                cut=cuts.get(number, bases.get(number, 0)),
                base=bases.get(number, 0),
                start=topic.starts[number] + bases.get(number, 0),
                end=end + bases.get(number, 0),
            )
            for number, end in sorted(topic.ends.items())
        },
        files,
    )
    write(folder, manifest)
    return manifest


def _applied(store: Store) -> list[Applied]:
    states = statuses(store)
    for status in states:
        if status.state in ("interrupted", "edited"):
            raise RefusedError(f"migration {status.migration} is {status.state}: see to that first")
    return [
        Applied(status.migration.number, status.migration.name, status.migration.checksum)
        for status in states
        if status.state == "applied"
    ]


def _sources(store: Store) -> list[_Source]:
    """Every table that holds something of its own, in the order they must be read."""
    found = store.query(
        "SELECT table, arrayMap(one -> one.2, arraySort(groupArray((position, name)))) FROM system.columns "
        # What ClickHouse makes of other columns it makes again, and takes from nobody.
        "WHERE database = currentDatabase() AND default_kind != 'MATERIALIZED' "
        "AND table IN (SELECT name FROM system.tables "
        "WHERE database = currentDatabase() AND engine LIKE '%MergeTree') GROUP BY table ORDER BY table"
    )
    columns: dict[str, list[str]] = {name: list(names) for name, names in found if name not in _LEFT_OUT}
    first = [table.name for table in _FIRST if table.name in columns]
    last = [name for name in _LAST if name in columns]
    middle = [name for name in columns if name not in first and name not in last]
    return [_Source(name, columns[name]) for name in (*first, *middle, *last)]


def _select(source: _Source, condition: str) -> str:
    columns = ", ".join(f"`{name}`" for name in source.columns)
    return f"SELECT {columns} FROM {source.name} FINAL WHERE {condition}"  # noqa: S608 - names of our own


def _condition(table: str, cuts: Mapping[int, int]) -> str:
    """What of ``table`` is not ahead of the cuts. Personal data is by event: what is ahead changes nothing."""
    if table in (tables.ORDERS.name, tables.LEDGER.name):
        return f"version <= {_cut_of_partition(cuts)}"
    if table == tables.EVENTS.name:
        return f"offset < {_cut_of_partition(cuts)}"
    if table == tables.DEAD_LETTERS.name:
        return f"topic != '{LIFECYCLE.name}' OR offset < {_cut_of_partition(cuts)}"
    return "1"


def _cut_of_partition(cuts: Mapping[int, int]) -> str:
    if not cuts:
        return "0"
    return f"transform(partition, {list(cuts)}, {list(cuts.values())}, toUInt64(0))"


def _cuts(columns: list[str], lines: bytes) -> Iterator[tuple[int, int]]:
    """The cut rows among ``lines`` of the KPI table, whose first column is the grain."""
    partition, reached = columns.index("partition"), columns.index("version")
    for line in _CUT_LINES.findall(lines):
        fields = line.split(b"\t")
        yield int(fields[partition]), int(fields[reached])


def _in_order(source: _Source, rows: Iterable[tuple[tables.Table, Row]]) -> Iterator[list[Any]]:
    for table, row in rows:
        if table.name == source.name:
            named = dict(zip(table.columns, row, strict=True))
            yield [named[name] for name in source.columns]


def _roughly(store: Store, table: str) -> int:
    """How many rows there may be, before several versions of one are made one."""
    sql = "SELECT total_rows FROM system.tables WHERE database = currentDatabase() AND name = {name:String}"
    return int(store.query(sql, {"name": table})[0][0] or 0)
