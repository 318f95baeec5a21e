"""`milepost rebuild` against a worker that runs."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from spine import cuts

from milepost.embedded import parts as embedded_parts
from milepost.embedded.process import spawn, stop, wait_ready
from milepost.processor.state.cells import CUT, Cell
from milepost.settings import Settings
from milepost.store import tables

pytestmark = pytest.mark.needs_platform

NO_CELL = (0, "", "", "", "", "", "", "")
_AT_ONCE = {"mutations_sync": 2}


@pytest.fixture
def emptied(database: Settings) -> Settings:
    """The module's database, emptied, with caches as large as a setting allows at least."""
    return database.model_copy(update={"cache_orders": 1_000, "cache_minutes": 1_000})


@pytest.fixture
def worker(emptied: Settings, tmp_path: Path) -> Iterator[Path]:
    """A worker of the module's installation; gives its log."""
    part, log = embedded_parts.worker(0, emptied), tmp_path / "worker.log"
    process = spawn(part, log)
    wait_ready(part, process, 90, log)
    yield log
    stop(process, 20)


@pytest.mark.usefixtures("worker")
def test_from_the_log_and_from_the_topic(
    emptied: Settings, store: Any, parts: Any, unique: str, milepost: Callable[..., Any]
) -> None:
    log = parts.Log()
    orders = [f"{unique}-{number}" for number in range(40)]
    for order in orders:
        log.placed(order)
        log.event("delivery.delivered", order, {"order_id": order}, time="2026-03-02T11:00:00Z")
    log.send(emptied)
    ours = f"FROM orders WHERE order_id LIKE '{unique}-%' AND state = 'delivered'"
    # Orders are written before the KPI rows that count them, and others have left records on the topic too.
    ends = {number: len(records) for number, records in parts.Log.of_topic(emptied).records.items() if records}
    deadline = time.monotonic() + 60
    while cuts(store) != ends:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert store.query(f"SELECT count() {ours}") == [(len(orders),)]
    numbers = "SELECT sum(delivered), sum(due), sum(kept) FROM kpi_minutes"
    right = store.query(numbers)
    assert right[0][0] >= len(orders)
    lost = "DELETE WHERE cityHash64(order_id) % 2 = 0"
    store.command(f"ALTER TABLE orders_store {lost}", settings=_AT_ONCE)
    store.command("ALTER TABLE kpi_store DELETE WHERE grain = 'minute'", settings=_AT_ONCE)
    told = json.loads(milepost(emptied, "rebuild", "--json").stdout)
    assert sum(one["orders_changed"] for one in told) > 0
    assert sum(one["minutes_changed"] for one in told) > 0
    assert store.query(numbers) == right
    assert store.query(f"SELECT count() {ours}") == [(len(orders),)]

    store.command(f"ALTER TABLE events_store {lost.replace('order_id', 'subject')}", settings=_AT_ONCE)
    store.command(f"ALTER TABLE orders_store {lost}", settings=_AT_ONCE)
    said = milepost(emptied, "rebuild", "--from", "topic").stdout
    assert "orders and 0 KPI minutes were wrong" in said
    assert store.query(numbers) == right
    assert store.query(f"SELECT count() {ours}") == [(len(orders),)]
    again = json.loads(milepost(emptied, "rebuild", "--json", "--partition", "2").stdout)
    assert [(one["partition"], one["orders_changed"], one["minutes_changed"]) for one in again] == [(2, 0, 0)]


def test_without_a_worker_it_is_not_done_in_time(emptied: Settings, store: Any, milepost: Callable[..., Any]) -> None:
    assert "nothing to rebuild" in milepost(emptied, "rebuild").stdout
    store.insert(tables.KPIS, [Cell().row(CUT, NO_CELL, 1, 5)])
    done = milepost(emptied, "rebuild", "--timeout", "1", check=False)
    assert done.returncode == 1
    assert "not done after 1 s" in done.stderr
    assert milepost(emptied, "rebuild", "--partition", "3", check=False).returncode == 2
