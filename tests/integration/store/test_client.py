"""The client on the real engine: whole inserts, bytes and negatives, reading only where only reading is allowed."""

import pytest

from milepost.settings import Settings
from milepost.store.client import Row, reader, writer
from milepost.store.errors import SchemaMissingError, SinkRefusedError, SinkUnavailableError
from milepost.store.tables import WRITTEN_TABLES, Table

pytestmark = pytest.mark.needs_platform

_VALUES = {
    "String": "zoë \x00",
    "LowCardinality(String)": "hub-1",
    "Int64": -(2**62),
    "UInt64": 2**64 - 1,
    "UInt32": 2**32 - 1,
    "UInt16": 65_535,
    "UInt8": 1,
    "Int8": -1,
    "Float64": 0.1,
    "DateTime('UTC')": 1_800_000_000,
    "Array(Int64)": [0, -5, 2**62],
    "Array(UInt16)": [0, 7, 65_535],
}


def row(table: Table) -> Row:
    return tuple(1 if kind.startswith("Enum8") else _VALUES[kind] for kind in table.columns.values())


@pytest.mark.parametrize("table", WRITTEN_TABLES, ids=lambda table: table.name)
def test_a_row_of_every_table_comes_back_as_it_went_in(installation: Settings, table: Table) -> None:
    with writer(installation) as store:
        assert store.insert(table, [row(table)]) == 1
        names = ", ".join(
            f"toInt64({name})" if kind.startswith(("Enum8", "DateTime")) else name
            for name, kind in table.columns.items()
        )
        found = store.query(f"SELECT {names} FROM {table.name} FINAL")
        store.command(f"TRUNCATE TABLE {table.name}")
    assert [tuple(list(value) if isinstance(value, list | tuple) else value for value in one) for one in found] == [
        tuple(row(table))
    ]


def test_bytes_come_back_as_bytes(installation: Settings) -> None:
    table = next(table for table in WRITTEN_TABLES if table.name == "orders_store")
    facts = bytes(range(256))
    values = dict(zip(table.columns, row(table), strict=True)) | {"facts": facts}
    with writer(installation) as store:
        store.insert(table, [tuple(values.values())])
        assert store.query("SELECT facts FROM orders_store FINAL", binary=["facts"]) == [(facts,)]
        store.command("TRUNCATE TABLE orders_store")


def test_an_insert_of_many_rows_is_one_part(installation: Settings) -> None:
    table = next(table for table in WRITTEN_TABLES if table.name == "ledger_store")
    values = row(table)
    with writer(installation) as store:
        store.insert(table, [(f"{number:07}", *values[1:]) for number in range(150_000)])
        parts = store.query(
            "SELECT uniqExact(_part), count() FROM ledger_store WHERE subject < 'z'",
        )
        store.command("TRUNCATE TABLE ledger_store")
    assert parts == [(1, 150_000)]


def test_nothing_is_inserted_of_no_rows(installation: Settings) -> None:
    with writer(installation) as store:
        assert store.insert(WRITTEN_TABLES[0], []) == 0


def test_the_reader_only_reads(installation: Settings) -> None:
    with reader(installation) as store:
        for statement in ("INSERT INTO installation VALUES ('a', 'b')", "DROP TABLE installation"):
            with pytest.raises(SinkRefusedError):
                store.command(statement)


def test_the_reader_is_held_to_a_number_of_rows(installation: Settings) -> None:
    with reader(installation) as store, pytest.raises(SinkRefusedError, match="Limit for result exceeded"):
        store.query("SELECT number FROM numbers(3000000)")


def test_a_missing_table_says_what_to_run(installation: Settings) -> None:
    with reader(installation) as store, pytest.raises(SchemaMissingError, match="milepost migrate apply"):
        store.query("SELECT * FROM nowhere")


def test_an_engine_that_is_not_there_is_waited_for(installation: Settings) -> None:
    gone = installation.model_copy(update={"clickhouse": "http://127.0.0.1:9"})
    with reader(gone) as store, pytest.raises(SinkUnavailableError, match="cannot be reached: Connection refused"):
        store.ping()
