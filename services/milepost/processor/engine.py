"""The processor's heart: partitions in hand, what arrives for them, and the flushes that write it."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

from milepost.processor.flush import build
from milepost.processor.intake import Record, take
from milepost.processor.loading import Loader
from milepost.processor.partition import Batch, Partition, Pending
from milepost.processor.recovery import recover
from milepost.processor.report import Report
from milepost.processor.sink import Sink
from milepost.settings import Settings
from milepost.store.client import Store

log = logging.getLogger(__name__)

YIELD_EVERY = 500
"""Records decoded between two looks at the event loop."""
CATCHING_UP_SECONDS = 4.0
PROGRESS_SECONDS = 1.0
ACCOUNTS_KEPT = 5_000
"""Ledger accounts of a partition in memory."""
RELEASE_SECONDS = 20.0
"""Longest time a partition being taken away is held up by its last flush."""


class Engine:
    """All partitions this worker has. One flush at a time covers them all, while the next events are being decoded."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        sink: Sink,
        report: Report,
        end_offset: Callable[[int], int | None],
        partition_count: Callable[[], int | None] = lambda: None,
    ) -> None:
        self.partitions: dict[int, Partition] = {}
        self.generation = 0
        self._settings = settings
        self._store = store
        self._sink = sink
        self._loader = Loader(store)
        self._report = report
        self._end_offset = end_offset
        self._partition_count = partition_count
        self._flushing = asyncio.Lock()
        self._writing: asyncio.Task[None] | None = None
        self._full = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()

    @property
    def pending(self) -> int:
        """Records taken in since the last flush."""
        return sum(partition.pending for partition in self.partitions.values())

    @property
    def cuts(self) -> dict[int, int]:
        """Per partition, the offset up to which everything is stored: what may be committed."""
        return {number: partition.cut for number, partition in self.partitions.items()}

    def lag(self) -> dict[int, int]:
        """Per partition, records on the topic that are not stored yet."""
        return {
            number: max(0, end - partition.cut)
            for number, partition in self.partitions.items()
            if (end := self._end_offset(number)) is not None
        }

    async def assign(self, numbers: Iterable[int]) -> dict[int, int]:
        """Take exactly these partitions in hand; returns where to read each from, its cut in the store."""
        started = time.monotonic()
        numbers = sorted(numbers)
        recovered = await asyncio.gather(*(recover(self._store, number) for number in numbers))
        for partition in recovered:
            partition.siblings = self._partition_count()
        self.generation += 1
        self.partitions = {partition.number: partition for partition in recovered}
        self._report.recovered(len(numbers), time.monotonic() - started)
        return self.cuts

    async def release(self, commit: Callable[[], Awaitable[Any]] | None = None) -> None:
        """Write what is in hand and ``commit`` the cuts, for at most ``RELEASE_SECONDS``, and let all partitions go."""
        try:
            async with asyncio.timeout(RELEASE_SECONDS):
                await self.flush()
                if commit is not None:
                    await commit()
        except TimeoutError:
            log.warning("could not write all before letting the partitions go; the next owner reads on from the cut")
        finally:
            if self._writing is not None:
                self._writing.cancel()
                self._writing = None
            self.generation += 1
            self.partitions = {}
            self._room.set()

    async def apply(self, number: int, records: Sequence[Record], generation: int) -> None:
        """Take in records of one partition, in order of offset; waits while too much is in hand.

        Records of an earlier assignment (``generation``), or already taken in, are passed over.
        """
        currency = self._settings.currency
        for start in range(0, len(records), YIELD_EVERY):
            await self._room.wait()
            partition = self.partitions.get(number)
            if partition is None or generation != self.generation:
                return
            pending = partition.gathering
            for record in records[start : start + YIELD_EVERY]:
                if record.offset >= pending.next_offset:
                    pending.add(take(record, currency))
            self._watch_level()
            await asyncio.sleep(0)

    def _watch_level(self) -> None:
        pending = self.pending
        if pending >= self._settings.flush_events:
            self._full.set()
        if pending >= 2 * self._settings.flush_events:
            self._room.clear()

    async def run(self) -> None:
        """Flush whenever enough has come or waited long enough, and say how far we are; until cancelled."""
        told = 0.0
        while True:
            await self._wait_for_fill()
            async with self._flushing:
                if self.pending:
                    await self._flush_some()
                elif self._writing is not None and self._writing.done():
                    await self._written()
            if time.monotonic() - told >= PROGRESS_SECONDS:
                told = time.monotonic()
                await self._tell_progress()

    async def _wait_for_fill(self) -> None:
        """Wait until a flush is full or its first records are old enough.

        Far behind, freshness is lost anyway and large flushes catch up sooner: then they get longer to fill.
        """
        deadline = time.monotonic() + CATCHING_UP_SECONDS
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._full.wait(), self._settings.flush_seconds)
            if self._full.is_set() or time.monotonic() >= deadline or not self._far_behind():
                return

    def _far_behind(self) -> bool:
        ahead = [
            end - partition.position
            for number, partition in self.partitions.items()
            if (end := self._end_offset(number)) is not None
        ]
        return sum(ahead) > self._settings.flush_events

    async def flush(self) -> None:
        """Write everything taken in so far; returns once it is stored."""
        async with self._flushing:
            while self.pending:
                await self._flush_some()
            await self._written()

    async def _flush_some(self) -> None:
        """One flush: a segment of every partition that has any. It is built while the one before is being written."""
        taken = [(one, one.take_pending()) for one in self.partitions.values() if one.pending]
        self._full.clear()
        self._room.set()
        self._watch_level()
        started = time.monotonic()
        batch = Batch()
        for partition, pending in taken:
            await build(partition, pending, self._loader, batch)
        built = time.monotonic()
        await self._written()
        for partition, _ in taken:
            self._evict(partition)
        self._writing = asyncio.create_task(self._write(taken, batch, started, built - started))

    async def _write(
        self, taken: list[tuple[Partition, Pending]], batch: Batch, started: float, build_seconds: float
    ) -> None:
        await self._sink.write(batch)
        for partition, pending in taken:
            partition.cut = pending.next_offset
            partition.appended = pending.appended
            partition.event_time = max(partition.event_time, pending.event_time)
        self._report.flushed(batch, build_seconds, time.monotonic() - started)

    async def _written(self) -> None:
        """Wait for the write under way; raises what it raised."""
        if self._writing is not None:
            writing, self._writing = self._writing, None
            await writing

    def _evict(self, partition: Partition) -> None:
        """Forget what was longest untouched. Nothing that the flush just built touched, for it is not stored yet."""
        share = max(1, len(self.partitions))
        partition.orders.evict(self._settings.cache_orders // share)
        partition.cells.evict(self._settings.cache_minutes // share)
        partition.accounts.evict(ACCOUNTS_KEPT)

    async def _tell_progress(self) -> None:
        rows: list[tuple[Any, ...]] = []
        now = time.time_ns() // 1000
        for number, partition in self.partitions.items():
            end = self._end_offset(number)
            if end is not None:
                rows.append((number, partition.cut, end, partition.appended, partition.event_time, now))
        await self._sink.write_progress(rows)
        self._report.progress(self.lag(), rows, sum(len(partition.orders) for partition in self.partitions.values()))
