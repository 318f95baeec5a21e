"""Orders and costs that have moved on, told as they were at a cut."""

from typing import Any

from milepost.processor.upkeep.as_of import rows_as_of
from milepost.settings import Settings
from milepost.store import tables
from milepost.store.client import Store


async def test_what_is_ahead_of_a_cut_is_told_as_it_was_at_it(database: Settings, store: Store, parts: Any) -> None:
    log = parts.city(orders=80, seed="asof")
    worker = parts.Worker(database, store, log)
    await worker.assign()
    await worker.read(most=90)
    await worker.engine.flush()
    cuts = worker.engine.cuts
    await worker.all()

    prefix = parts.Log()
    prefix.records = {number: records[: cuts[number]] for number, records in log.records.items()}
    wanted = parts.expected(prefix)
    ahead = list(rows_as_of(store, cuts))
    orders = {row[0]: _plain(row) for table, row in ahead if table is tables.ORDERS}
    costs = {(row[0], row[1]): row for table, row in ahead if table is tables.LEDGER}
    assert orders
    for row in _stored(store, tables.ORDERS):
        if row[2] <= cuts[row[1]]:
            assert orders.setdefault(row[0], _plain(row)) == _plain(row)
    for row in _stored(store, tables.LEDGER):
        if row[3] <= cuts[row[2]]:
            costs.setdefault((row[0], row[1]), row)
    assert orders == {order: _plain(row) for order, row in wanted.orders.items()}
    amount, counted = (list(tables.LEDGER.columns).index(name) for name in ("amount", "counted"))
    assert {place: row[amount] for place, row in costs.items() if row[counted]} == wanted.ledger


def _stored(store: Store, table: tables.Table) -> list[Any]:
    return store.query(f"SELECT {', '.join(table.columns)} FROM {table.name} FINAL", binary=["facts"])


def _plain(row: Any) -> tuple[Any, ...]:
    return tuple(tuple(value) if isinstance(value, list) else value for value in row)
