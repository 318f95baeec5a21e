"""Reading state back: much of it is read piece by piece, with a breath between, and comes to the same."""

from typing import Any

import pytest

from milepost.processor.state import loading
from milepost.processor.state.cells import Cells
from milepost.processor.state.loading import Loader, stretches
from milepost.settings import Settings
from milepost.store.client import Store


async def test_many_cells_and_orders_are_read_with_breaths_between(
    database: Settings, store: Store, parts: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = parts.city(orders=120, seed="loading")
    worker = parts.Worker(database, store, log)
    await worker.assign()
    await worker.all()
    partition = next(one for one in worker.engine.partitions.values() if one.cut)
    orders = [row[0] for row in store.query(f"SELECT order_id FROM orders WHERE partition = {partition.number}")]
    places = stretches(store, partition.number)
    at_once = await _read(store, partition, orders, places)
    assert len(at_once[0]) > 500
    assert at_once[2] <= len(places) + 1

    monkeypatch.setattr(loading, "STRETCHES_A_QUERY", 2)
    monkeypatch.setattr(loading, "ROWS_AT_ONCE", 50)
    monkeypatch.setattr(loading, "KEYS_A_QUERY", 10)
    pieces = await _read(store, partition, orders, places)
    assert pieces[:2] == at_once[:2]
    assert pieces[2] > len(at_once[0]) // 50 + len(orders) // 10


async def _read(store: Store, partition: Any, orders: list[str], places: Any) -> tuple[dict[Any, Any], Any, int]:
    """Every cell and order of the partition, and how many breaths that took."""
    breaths = 0

    async def breathe() -> None:
        nonlocal breaths
        breaths += 1

    loader, cells = Loader(store), Cells(places)
    cells.load(places, await loader.cells(partition, places, breathe))
    facts = await loader.orders(partition, orders, breathe)
    found = {
        (grain, key): (cell.values, cell.buckets) for grain, key, cell in await loader.cells(partition, places, breathe)
    }
    assert len(found) == len(cells)
    return found, facts, breaths
