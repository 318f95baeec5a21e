"""The processor's heart: partitions in hand, what arrives for them, and the flushes that write it."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from typing import Any

from milepost.domain.sla.policy import Policies
from milepost.processor.arrival.intake import Record, failed, take
from milepost.processor.arrival.pauses import Feed, NoFeed, Pauses
from milepost.processor.patience import PATIENCE, abandoned, meanwhile, patiently
from milepost.processor.report import Report
from milepost.processor.sla.clock import BrokerClock
from milepost.processor.sla.desk import SlaDesk
from milepost.processor.state.loading import AheadOfUsError, Loader
from milepost.processor.state.partition import Batch, Partition, Pending, next_reading
from milepost.processor.upkeep.jobs import Upkeep
from milepost.processor.upkeep.recovery import recover
from milepost.processor.writing.flush import build
from milepost.processor.writing.sink import Sink
from milepost.settings import Settings
from milepost.store.client import Store
from milepost.store.errors import SchemaMissingError, SinkRefusedError
from milepost.store.pauses import Pause

log = logging.getLogger(__name__)

YIELD_EVERY = 500
"""Records decoded between two looks at the event loop."""
CATCHING_UP_SECONDS = 4.0
PROGRESS_SECONDS = 1.0
ACCOUNTS_KEPT = 5_000
"""Ledger accounts of a partition in memory."""
SHARE_IN_HAND = 1.25
"""Of a full flush: records taken in before the partitions have to wait."""
SHARE_WHILE_AWAY = 0.25
"""The same while the store is away: what waits on the topic needs no memory here."""
SETTLE_US = 250_000
"""How long after a moment its SLAs are decided where nothing comes: an event of just then is on its way."""
NO_POLICIES = Policies(0)
"""Before any policies are known only promises are watched."""
RELEASE_SECONDS = 20.0
"""Longest time partitions being taken away are held up by their last flush: what is not stored is read again."""
SILENT_SECONDS = 6.0
"""The same while the store says nothing."""
ABANDONED_SECONDS = 5.0
"""How long partitions are not taken in hand because an insert that was given up may still land."""
REBALANCE_SECONDS = 4.0
"""How long the rebalance is waited for that must follow where another has written what we have in hand: it comes with
the next heartbeat."""
RECOVERIES = 3
"""Attempts to take partitions in hand while others still write them."""

_LAST_PROGRESS = "SELECT max(checked_at) FROM progress_store WHERE partition IN {partitions:Array(UInt16)}"


class RefusedFlushError(SinkRefusedError):
    """The store refuses a flush of the partitions ``reached``, which goes up to these offsets: step back, try apart."""

    def __init__(self, reached: dict[int, int], words: str) -> None:
        super().__init__(words)
        self.reached = reached


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
        feed: Feed | None = None,
        policies: Callable[[], Policies] = lambda: NO_POLICIES,
    ) -> None:
        self.partitions: dict[int, Partition] = {}
        self.generation = 0
        self._turn = 0
        self._taking = 0
        self._told_at = 0
        self._settings = settings
        self._store = store
        self._sink = sink
        self._loader = Loader(store)
        self._report = report
        self._end_offset = end_offset
        self._partition_count = partition_count
        self._feed = feed or NoFeed()
        self._pauses = Pauses(settings, store, self._feed)
        self._suspects: dict[int, int] = {}
        """Partitions of a flush that the store refused, and the offset each must get past by itself."""
        self.slas = SlaDesk(store, sink.tell, report, policies)
        self.upkeep = Upkeep(settings, store, sink.insert, report)
        self._clock = BrokerClock()
        self._under_way: tuple[list[int], Batch] = [], Batch()
        self._flushing = asyncio.Lock()
        self._building: asyncio.Task[None] | None = None
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

    @property
    def steps(self) -> dict[int, int]:
        """How far the making of the last flush has come, by partition that is in it: it moves while it is worked at."""
        numbers, batch = self._under_way
        return dict.fromkeys(numbers, batch.steps)

    @property
    def taking(self) -> bool:
        """Whether partitions are being taken in hand now."""
        return self._taking > 0

    @property
    def paused(self) -> dict[int, Pause]:
        """The partitions that wait for an answer, and why."""
        return {number: one.pause for number, one in self.partitions.items() if one.pause is not None}

    def lag(self) -> dict[int, int]:
        """Per partition, records on the topic that are not stored yet."""
        return {
            number: max(0, end - partition.cut)
            for number, partition in self.partitions.items()
            if (end := self._end_offset(number)) is not None
        }

    async def assign(self, numbers: Iterable[int]) -> dict[int, int]:
        """Take exactly these partitions in hand; returns where to read each from, its cut in the store.

        Nothing is taken, and nothing returned, where they are given to others while they are being recovered.
        """
        started = time.monotonic()
        numbers = sorted(numbers)
        self._turn += 1
        turn = self._turn
        self._taking += 1
        try:
            await abandoned(ABANDONED_SECONDS)
            recovered = await self._recover(numbers)
            await self._pauses.adopt(recovered)
            if numbers:
                told = await patiently(self._store.query, _LAST_PROGRESS, {"partitions": numbers})
                self._told_at = max(self._told_at, int(told[0][0]))
                await self._sink.repeat(numbers)
        finally:
            self._taking -= 1
        if turn != self._turn:
            return {}
        self.generation += 1
        self._suspects.clear()
        self.partitions = {partition.number: partition for partition in recovered}
        self.slas.adopt(self.partitions)
        self._report.assigned(numbers)
        self._report.paused(numbers, self.paused)
        self._report.recovered(len(numbers), time.monotonic() - started)
        return self.cuts

    async def _recover(self, numbers: list[int]) -> list[Partition]:
        attempts = 0
        while True:
            attempts += 1
            try:
                return await recover(self._store, numbers, self._partition_count(), self._report.mended)
            except AheadOfUsError as error:
                if attempts == RECOVERIES:
                    raise
                log.warning("%s: its cut is read again", error)

    async def release(
        self, commit: Callable[[], Awaitable[Any]] | None = None, seconds: float = RELEASE_SECONDS
    ) -> None:
        """Write what is in hand, ``commit`` the cuts, and let all partitions go.

        That takes ``seconds`` at most, and no more than ``SILENT_SECONDS`` without an answer of the store.
        """
        self._turn += 1
        try:
            if not await _unless_silent(self._finish(commit), seconds):
                log.warning("not all could be written before letting go; the next owner reads on from the cut")
        except RefusedFlushError as error:
            log.warning("the store refuses the last flush (%s); the next owner reads on from the cut", error)
        except AheadOfUsError as error:
            log.warning("%s; the next owner reads on from its cut", error)
        finally:
            self.let_go()

    async def _finish(self, commit: Callable[[], Awaitable[Any]] | None) -> None:
        await self.flush()
        if commit is not None:
            await commit()

    def let_go(self) -> None:
        """Have no partition in hand any more: what is not stored of them is read again by whoever has them next."""
        self._turn += 1
        self.generation += 1
        self.partitions = {}
        for task in (self._building, self._writing):
            if task is not None:
                task.cancel()
        self._report.assigned(())
        self._room.set()

    @property
    def readings(self) -> dict[int, int]:
        """Per partition, the reading of it whose records are taken in."""
        return {number: partition.reading for number, partition in self.partitions.items()}

    async def apply(self, number: int, records: Sequence[Record], reading: int) -> None:
        """Take in records of one partition, in order of offset; waits while too much is in hand.

        Records of another ``reading`` of the partition than the present one, of one that waits, and those already taken
        in, are passed over.
        """
        currency = self._settings.currency
        for start in range(0, len(records), YIELD_EVERY):
            await self._room.wait()
            partition = self.partitions.get(number)
            if partition is None or partition.pause is not None or reading != partition.reading:
                return
            if start == 0 and await self._is_doubtful(partition, records[0].offset):
                return
            pending = partition.gathering
            rejected = len(pending.rejected)
            for record in records[start : start + YIELD_EVERY]:
                if record.offset >= pending.next_offset:
                    try:
                        taken = take(record, currency)
                    except MemoryError:
                        raise
                    except Exception as error:  # noqa: BLE001 - whatever it is, the record is kept with it
                        taken = failed(record, error)
                    pending.add(taken)
            if len(pending.rejected) > rejected:
                self._pauses.count(partition, pending.rejected[rejected:])
            partition.arrived = max(partition.arrived, pending.appended)
            self._clock.hear(partition.arrived)
            self._watch_level()
            await asyncio.sleep(0)

    async def _is_doubtful(self, partition: Partition, first: int) -> bool:
        """Whether records from offset ``first`` on do not follow on the last ones: then these are asked for again.

        What lies between may be gone indeed (expired, or another producer's transaction): it is, if the next ones
        begin there too. Nothing is ever passed over by mistake.
        """
        if first <= partition.position or first == partition.doubted:
            return False
        log.warning("partition %d: offset %d came where %d was due", partition.number, first, partition.position)
        partition.doubted = first
        partition.reading = next_reading()
        await self._feed.read_on(partition.number, partition.position, partition.reading)
        return True

    def _watch_level(self) -> None:
        pending = self.pending
        if pending >= self._settings.flush_events:
            self._full.set()
        most = self._settings.flush_events * (SHARE_WHILE_AWAY if PATIENCE.failures else SHARE_IN_HAND)
        if pending >= most:
            self._room.clear()

    async def run(self) -> None:
        """Flush whenever enough has come or waited long enough, and say how far we are; until cancelled."""
        told = 0.0
        while True:
            if not self.upkeep.busy:
                await self._wait_for_fill()
            try:
                async with self._flushing:
                    if self.pending:
                        await self._flush_some()
                    elif self._writing is not None and self._writing.done():
                        await self._written()
                await self.maintain()
            except RefusedFlushError as error:
                await self._step_back(error)
            except AheadOfUsError as error:
                await self._give_way(error)
            if time.monotonic() - told >= PROGRESS_SECONDS:
                told = time.monotonic()
                await self._tell_progress()

    async def _give_way(self, ahead: AheadOfUsError) -> None:
        """Let all go at once: another worker has written what we have in hand. Either it is the owner, and we were
        taken for dead; or it was, has woken, and joins again.

        Raises ``ahead`` where no rebalance follows that would have us recover from what it has written.
        """
        log.warning("%s: letting all partitions go", ahead)
        self.let_go()
        turn, until = self._turn, time.monotonic() + REBALANCE_SECONDS
        while self._turn == turn:
            if time.monotonic() > until:
                raise ahead
            await asyncio.sleep(0.05)

    def reached(self, partition: Partition) -> int:
        """The moment, in microseconds, up to which all that was appended to ``partition`` is in hand."""
        end = self._end_offset(partition.number)
        if partition.pause is None and end is not None and partition.position >= end and self._feed.is_current():
            return self._clock.now() - SETTLE_US
        return partition.arrived

    async def watch_slas(self) -> None:
        """Let time pass for the SLAs of the orders in hand; until cancelled."""
        await self.slas.run(lambda: self.partitions, self.reached)

    async def look_at_pauses(self) -> None:
        """Keep which partitions wait, and let those that were answered go on."""
        await self._pauses.look(lambda: self.partitions)
        self._report.paused(self.partitions, self.paused)

    async def maintain(self) -> None:
        """Go on for a moment with a rebuild or with what retention takes, where either is wanted."""
        async with self._flushing:
            if await self.upkeep.wanted(self.partitions):
                await self._written()
                await self.upkeep.turn()
                for partition in self.partitions.values():
                    self._evict(partition)

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
            if partition.pause is None and (end := self._end_offset(number)) is not None
        ]
        return sum(ahead) > self._settings.flush_events

    async def flush(self) -> None:
        """Write everything taken in so far; returns once it is stored. Raises ``RefusedFlushError``."""
        async with self._flushing:
            while self.pending:
                await self._flush_some()
            await self._written()

    async def _flush_some(self) -> None:
        """One flush: a segment of every partition that has any. It is built while the one before is being written."""
        generation = self.generation
        taken = [(one, one.take_pending()) for one in self._due()]
        self._full.clear()
        self._room.set()
        self._watch_level()
        started = time.monotonic()
        batch = Batch()
        self._under_way = [partition.number for partition, _ in taken], batch
        self._building = asyncio.create_task(self._build_all(taken, batch))
        try:
            await _end_of(self._building)
            built = time.monotonic()
            await self._written()
        except (AheadOfUsError, RefusedFlushError):
            if generation == self.generation:
                raise
        if generation != self.generation:
            return
        for partition, _ in taken:
            self._evict(partition)
        self._writing = asyncio.create_task(self._write(taken, batch, started, built - started))

    def _due(self) -> list[Partition]:
        """The partitions of the next flush: all that have something; while the store refuses, one suspect by itself."""
        due = [partition for partition in self.partitions.values() if partition.pending]
        return [partition for partition in due if partition.number in self._suspects][:1] or due

    async def _build_all(self, taken: list[tuple[Partition, Pending]], batch: Batch) -> None:
        for partition, pending in taken:
            await self._build(partition, pending, batch)

    async def _build(self, partition: Partition, pending: Pending, batch: Batch) -> None:
        known = len(batch.rejected)
        partition.building = pending
        try:
            await build(partition, pending, self._loader, batch)
        except SchemaMissingError:
            raise
        except SinkRefusedError as error:
            raise RefusedFlushError({partition.number: pending.next_offset}, str(error)) from error
        finally:
            partition.building = None
        if len(batch.rejected) > known:
            counted = set(map(id, pending.rejected))
            late = [one for one in batch.rejected[known:] if id(one) not in counted]
            if late and self._pauses.count(partition, late):
                partition.drop_pending()
            partition.failures.forget(pending.first_offset)

    async def _write(
        self, taken: list[tuple[Partition, Pending]], batch: Batch, started: float, build_seconds: float
    ) -> None:
        try:
            await self._sink.write(batch)
        except SchemaMissingError:
            raise
        except SinkRefusedError as error:
            reached = {partition.number: pending.next_offset for partition, pending in taken}
            raise RefusedFlushError(reached, str(error)) from error
        for partition, pending in taken:
            partition.cut = pending.next_offset
            if partition.cut >= self._suspects.get(partition.number, partition.cut + 1):
                del self._suspects[partition.number]
            partition.appended = pending.appended
            partition.event_time = max(partition.event_time, pending.event_time)
        self._report.flushed(batch, build_seconds, time.monotonic() - started)

    async def _written(self) -> None:
        """Wait until the write under way has ended, or was given up; raises what it raised."""
        writing = self._writing
        if writing is not None:
            try:
                await _end_of(writing)
            finally:
                if writing.done():
                    self._writing = None

    async def _step_back(self, refused: RefusedFlushError) -> None:
        """Go on after a flush that the store refuses: memory is ahead of it, so everything is recovered from the cuts.

        A partition that was refused by itself waits; where there were several, each is tried by itself.
        """
        async with self._flushing:
            log.error("the store refuses a flush of partitions %s: %s", sorted(refused.reached), refused)
            reached, words = dict(refused.reached), str(refused)
            try:
                await self._written()
            except RefusedFlushError as error:
                reached |= error.reached
            generation, numbers = self.generation, sorted(self.partitions)
            recovered = await recover(self._store, numbers, self._partition_count(), self._report.mended)
            if generation != self.generation:
                return
            self.generation += 1
            self.slas.adopt({partition.number: partition for partition in recovered})
            for partition in recovered:
                before = self.partitions[partition.number]
                partition.pause, partition.failures = before.pause, before.failures
                self.partitions[partition.number] = partition
            if len(reached) == 1:
                for number in reached:
                    self._suspects.pop(number, None)
                    self._pauses.stop(self.partitions[number], f"the store refuses: {words}")
            else:
                self._suspects |= reached
            self._full.clear()
            self._room.set()
            for partition in recovered:
                if partition.pause is None:
                    await self._feed.read_on(partition.number, partition.cut, partition.reading)

    def _evict(self, partition: Partition) -> None:
        """Forget what was longest untouched. Nothing that the flush just built touched, for it is not stored yet."""
        share = max(1, len(self.partitions))
        partition.orders.evict(self._settings.cache_orders // share)
        partition.cells.evict(self._settings.cache_minutes // share)
        partition.accounts.evict(ACCOUNTS_KEPT)

    async def _tell_progress(self) -> None:
        rows: list[tuple[Any, ...]] = []
        # The latest row counts, also after a clock was put back.
        now = self._told_at = max(time.time_ns() // 1000, self._told_at + 1)
        for number, partition in self.partitions.items():
            end = self._end_offset(number)
            if end is not None:
                rows.append((number, partition.cut, end, partition.appended, partition.event_time, now))
        await self._sink.write_progress(rows)
        self._report.progress(self.lag(), rows, sum(len(partition.orders) for partition in self.partitions.values()))


async def _end_of(task: "asyncio.Task[None]") -> None:
    """Wait until ``task`` has ended, or was cancelled by another than us; raises what it raised."""
    await asyncio.wait({task})
    if not task.cancelled():
        task.result()


async def _unless_silent(work: Coroutine[Any, Any, None], seconds: float) -> bool:
    """Whether ``work`` was done, within ``seconds`` and with the store answering meanwhile. Raises what it raised."""
    began = time.monotonic()
    working = asyncio.create_task(work)
    try:
        async for _ in meanwhile(working):
            now = time.monotonic()
            if now - began > seconds or now - max(began, PATIENCE.answered_at) > SILENT_SECONDS:
                return False
        working.result()
        return True
    finally:
        working.cancel()
