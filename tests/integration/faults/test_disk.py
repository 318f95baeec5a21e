"""The engine's disk is full, or read-only: nothing is called stored that is not, and it goes on where there is room."""

import asyncio
import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from small_disk import Disk

from milepost.embedded.parts import engines
from milepost.embedded.platform import Platform
from milepost.processor.patience import PATIENCE
from milepost.settings import Service, Settings
from milepost.store import tables
from milepost.store.client import Store, writer
from milepost.store.errors import SinkUnavailableError

ENGINE = Service.CLICKHOUSE.value
ROWS = 2_000_000
ONE_PART = f"max_insert_block_size = {ROWS}, min_insert_block_size_rows = {ROWS}, min_insert_block_size_bytes = 0"

pytestmark = [pytest.mark.needs_platform, pytest.mark.embedded_only]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """A small disk of the engine's own."""
    one = Disk(tmp_path / "clickhouse")
    one.mount()
    if one.absent is not None:
        pytest.skip(one.absent)
    yield one
    one.unmount()


@pytest.fixture
def small(
    disk: Disk, tmp_path: Path, free_settings: Callable[[], Settings], milepost: Callable[..., Any]
) -> Iterator[Platform]:
    """An installation whose engine lies on the disk; there is no broker."""
    settings = free_settings()
    platform = Platform(tmp_path, settings)
    platform.add(next(part for part in engines(tmp_path, settings) if part.name == ENGINE))
    platform.start(ENGINE)
    try:
        milepost(settings, "migrate", "apply")
        yield platform
    finally:
        platform.stop()


@pytest.fixture
def on_disk(small: Platform) -> Iterator[Store]:
    """The client that writes there."""
    with writer(small.settings) as client:
        yield client


@pytest.mark.parametrize(("spoil", "mend"), [(Disk.fill, Disk.free), (Disk.seal, Disk.unseal)], ids=["full", "sealed"])
async def test_a_flush_waits_for_the_disk_and_is_then_whole(
    spoil: Callable[[Disk], None],
    mend: Callable[[Disk], None],
    disk: Disk,
    small: Platform,
    on_disk: Store,
    parts: Any,
) -> None:
    log = parts.city(40, "disk")
    worker = parts.Worker(small.settings, on_disk, log)
    await worker.assign()
    await worker.read(80)
    await worker.engine.flush()
    before = on_disk.query("SELECT count() FROM events")
    await worker.read()
    await asyncio.to_thread(spoil, disk)
    with pytest.raises(SinkUnavailableError):
        on_disk.insert(tables.PROGRESS, [(0, 0, 0, 0, 0, 0)])
    flushing = asyncio.create_task(worker.engine.flush())
    async with asyncio.timeout(60):
        while not PATIENCE.failures:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    assert not flushing.done()
    assert on_disk.query("SELECT count() FROM events") == before, "what is stored can be read all the time"
    await asyncio.to_thread(mend, disk)
    async with asyncio.timeout(60):
        await flushing
    parts.check(on_disk, log)


@pytest.fixture
def table(on_disk: Store) -> Store:
    """A table of the test's own, filled with two parts that nothing merges unless it is told to."""
    on_disk.command(
        "CREATE TABLE torn (a UInt64, s String) ENGINE = MergeTree ORDER BY a"
        " SETTINGS max_bytes_to_merge_at_max_space_in_pool = 1"
    )
    for part in range(2):
        on_disk.command(f"INSERT INTO torn {rows_of(part)}")
    return on_disk


def test_an_insert_that_the_disk_cuts_short_is_not_acknowledged(table: Store, disk: Disk, small: Platform) -> None:
    before = whole(table)
    with pytest.raises(SinkUnavailableError):
        fill_while(table, f"INSERT INTO torn {rows_of(3)}", "tmp_insert*", disk, small)
    reopen(small, disk)
    assert whole(table) == before
    table.command(f"INSERT INTO torn {rows_of(3)}")
    assert whole(table)[0] == before[0] + ROWS


def test_a_merge_that_the_disk_cuts_short_costs_no_row(table: Store, disk: Disk, small: Platform) -> None:
    before = whole(table)
    with pytest.raises(SinkUnavailableError):
        fill_while(table, "OPTIMIZE TABLE torn FINAL SETTINGS optimize_throw_if_noop = 1", "tmp_merge*", disk, small)
    reopen(small, disk)
    assert whole(table) == before
    table.command("OPTIMIZE TABLE torn FINAL")
    assert whole(table) == before


def test_a_disk_that_is_almost_full_takes_no_insert(table: Store, disk: Disk, small: Platform) -> None:
    before = whole(table)
    disk.fill(but=60)
    with pytest.raises(SinkUnavailableError, match="not enough space"):
        table.command("INSERT INTO torn SELECT 1, 'one'")
    assert whole(table) == before
    disk.free()
    table.command("INSERT INTO torn SELECT 1, 'one'")
    assert whole(table)[0] == before[0] + 1
    assert "refused a write" not in small.log(ENGINE).read_text()


def rows_of(part: int) -> str:
    """A query of a part's rows. Its text is digits by chance, which no codec makes small."""
    return f"SELECT number + {part * ROWS}, toString(rand64()) FROM numbers({ROWS}) SETTINGS {ONE_PART}"


def whole(store: Store) -> tuple[Any, ...]:
    """What all of the table's bytes add up to."""
    return store.query("SELECT count(), sum(a), sum(cityHash64(s)) FROM torn")[0]


def fill_while(store: Store, statement: str, folder: str, disk: Disk, platform: Platform) -> None:
    """Run the statement, and fill the disk when it has just begun to write into such a folder."""
    disk.fill(but=300)
    with ThreadPoolExecutor(1) as thread:
        running = thread.submit(store.command, statement)
        while not running.done() and not any((disk.folder / "engine" / "store").glob(f"*/*/{folder}")):
            time.sleep(0.002)
        os.killpg(platform.pid(ENGINE), signal.SIGSTOP)
        disk.fill()
        os.killpg(platform.pid(ENGINE), signal.SIGCONT)
        running.result()


def reopen(platform: Platform, disk: Disk) -> None:
    """Start the engine again, which must have ended itself, on a disk with room."""
    log = platform.log(ENGINE)
    deadline = time.monotonic() + 10
    while "refused a write" not in log.read_text():
        assert time.monotonic() < deadline, "the engine has noticed nothing"
        time.sleep(0.05)
    disk.free()
    platform.restart(ENGINE)
