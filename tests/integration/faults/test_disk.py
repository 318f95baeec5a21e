"""The engine's disk is full, or read-only: nothing is called stored that is not, and it goes on where there is room."""

import asyncio
from collections.abc import Callable, Iterator
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
) -> Iterator[Settings]:
    """An installation whose engine lies on the disk; there is no broker."""
    settings = free_settings()
    platform = Platform(tmp_path, settings)
    name = Service.CLICKHOUSE.value
    platform.add(next(part for part in engines(tmp_path, settings) if part.name == name))
    platform.start(name)
    try:
        milepost(settings, "migrate", "apply")
        yield settings
    finally:
        platform.stop()


@pytest.fixture
def on_disk(small: Settings) -> Iterator[Store]:
    """The client that writes there."""
    with writer(small) as client:
        yield client


@pytest.mark.parametrize(("spoil", "mend"), [(Disk.fill, Disk.free), (Disk.seal, Disk.unseal)], ids=["full", "sealed"])
async def test_a_flush_waits_for_the_disk_and_is_then_whole(
    spoil: Callable[[Disk], None],
    mend: Callable[[Disk], None],
    disk: Disk,
    small: Settings,
    on_disk: Store,
    parts: Any,
) -> None:
    log = parts.city(40, "disk")
    worker = parts.Worker(small, on_disk, log)
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
