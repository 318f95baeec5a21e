"""A store in memory, for property tests alone: it keeps rows as ReplacingMergeTree does, and says what was written.

It answers what ``Loader`` asks, and nothing else. That it is like the real engine is a test of its own
(``tests/integration/property/test_shelf.py``).
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from milepost.domain.measures import MEASURES
from milepost.store import tables
from milepost.store.tables import GRAINS, Table

Row = tuple[Any, ...]
Key = tuple[Any, ...]

KEYS: dict[str, tuple[str, ...]] = {
    tables.EVENTS.name: ("subject", "source", "id", "testmode"),
    tables.PERSONAL.name: ("subject", "source", "id"),
    tables.ORDERS.name: ("order_id",),
    tables.LEDGER.name: ("subject", "cost_id"),
    tables.KPIS.name: (
        *("grain", "component", "activity", "minute", "hub_id", "zone_id", "service_level", "merchant_id"),
        *("courier_id", "partition"),
    ),
    tables.DEAD_LETTERS.name: ("topic", "partition", "offset"),
}
"""What tells rows apart, by table: its sorting key."""
VERSIONS = {tables.EVENTS.name: "precedence", tables.PERSONAL.name: "precedence"}
"""What says which of two rows is later, by table; ``version`` elsewhere."""
STAMPED = ("first_seen", "last_seen", "version")
"""Columns of a dead letter that follow the clock of the worker who wrote it."""
CUT = GRAINS["cut"]
_GRAIN_NAMES = {number: name for name, number in GRAINS.items()}
_PLACE = re.compile(r"grain = (\d+) AND minute >= toDateTime\((\d+), 'UTC'\) AND minute < toDateTime\((\d+), 'UTC'\)")


def columns_of(table: Table, names: Iterable[str]) -> Callable[[Row], Key]:
    """Gives these columns of a row."""
    places = [list(table.columns).index(name) for name in names]
    return lambda row: tuple(row[place] for place in places)


_TABLES = {table.name: table for table in tables.WRITTEN_TABLES}
_KEY = {name: columns_of(_TABLES[name], key) for name, key in KEYS.items()}
_VERSION = {name: columns_of(_TABLES[name], [VERSIONS.get(name, "version")]) for name in KEYS}
_TOLD = {
    name: columns_of(table, [one for one in table.columns if one not in STAMPED]) for name, table in _TABLES.items()
}


class Shelf:
    """The tables a flush writes. Of rows with one key the highest version is read; ``written`` has all of them.

    ``insert`` raises ``AssertionError`` where two rows of one key and version are not the same.
    """

    def __init__(self) -> None:
        self.rows: dict[str, dict[Key, Row]] = {name: {} for name in KEYS}
        self.written: dict[str, dict[tuple[Key, Key], Row]] = {name: {} for name in KEYS}

    def insert(self, table: Table, rows: Iterable[Row]) -> int:
        """Write rows."""
        name, given = table.name, list(rows)
        for row in given:
            key, version, told = _KEY[name](row), _VERSION[name](row), _TOLD[name](row)
            first = self.written[name].setdefault((key, version), told)
            assert first == told, f"{name}: two rows of one version differ\n{first}\n{told}"
            kept = self.rows[name].get(key)
            if kept is None or version >= _VERSION[name](kept):
                self.rows[name][key] = row
        return len(given)

    def query(
        self,
        sql: str,
        parameters: Mapping[str, Any],
        settings: Mapping[str, Any] | None = None,
        binary: Iterable[str] = (),
    ) -> list[Row]:
        """The columns of the rows that ``parameters`` choose: what ``Loader`` asks for."""
        chosen = re.search(r"SELECT (.*?)\s+FROM (\w+) FINAL", sql, re.S)
        assert chosen is not None, sql
        table = _TABLES[chosen[2]]
        names = [re.sub(r"toUInt32\((\w+)\)", r"\1", name.strip()) for name in chosen[1].split(",")]
        places = [tuple(map(int, found)) for found in _PLACE.findall(sql)]
        rows = self._chosen(table, places, **parameters)
        told = [columns_of(table, names)(row) for row in rows]
        return [(_GRAIN_NAMES[row[0]], *row[1:]) for row in told] if table is tables.KPIS else told

    def _chosen(
        self,
        table: Table,
        places: Iterable[tuple[int, ...]],
        partition: int,
        subjects: Iterable[str] | None = None,
    ) -> list[Row]:
        if table is tables.KPIS:
            return [
                row
                for row in self.kpis(partition)
                if any(row[0] == grain and first <= row[1] < end for grain, first, end in places)
            ]
        number = list(table.columns).index("partition")
        rows = sorted(self.rows[table.name].items())
        return [row for _, row in rows if row[number] == partition and (subjects is None or row[0] in subjects)]

    def kpis(self, partition: int) -> list[Row]:
        """KPI rows of a partition, cut and all."""
        return [row for row in self.rows[tables.KPIS.name].values() if row[9] == partition]

    def cut(self, partition: int) -> int:
        """How far a partition is stored."""
        return max((row[10] for row in self.kpis(partition) if row[0] == CUT), default=0)

    def orders(self) -> dict[str, dict[str, Any]]:
        """Orders as they are read: by id, their columns."""
        rows = self.rows[tables.ORDERS.name].values()
        return {row[0]: dict(zip(tables.ORDERS.columns, row, strict=True)) for row in rows}

    def content(self, table: Table) -> set[Row]:
        """A table as it is read."""
        return {_frozen(_TOLD[table.name](row)) for row in self.rows[table.name].values()}

    def cells(self) -> dict[tuple[int, Key], dict[str | int, int]]:
        """By grain and key (seconds, dimensions, partition), every measure and bucket that is not 0."""
        return cells_of(self.rows[tables.KPIS.name].values())


def cells_of(rows: Iterable[Row]) -> dict[tuple[int, Key], dict[str | int, int]]:
    """What KPI rows hold: by grain and key (seconds, dimensions, partition), measures and buckets not 0."""
    found: dict[tuple[int, Key], dict[str | int, int]] = {}
    for row in rows:
        held: dict[str | int, int] = {
            name: value for name, value in zip(MEASURES, row[11:-2], strict=True) if value and row[0] != CUT
        }
        held |= {bucket: count for bucket, count in zip(row[-2], row[-1], strict=True) if count}
        if held:
            found[row[0], row[1:10]] = held
    return found


def _frozen(row: Row) -> Row:
    return tuple(tuple(value) if isinstance(value, list) else value for value in row)
