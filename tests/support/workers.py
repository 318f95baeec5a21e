"""Workers to do anything to: the real engine over a log in memory, which dies, wakes late and forgets as one likes."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any

from lives import Choices, Log
from shelf import Shelf

from milepost.processor.engine import Engine
from milepost.processor.report import Report
from milepost.processor.state.cells import STRETCH_MINUTES, Cells, stretch_of
from milepost.processor.state.loading import AheadOfUsError
from milepost.processor.state.orders import OrderCache
from milepost.processor.state.partition import Batch, Partition
from milepost.processor.writing.sink import Sink
from milepost.settings import Settings
from milepost.store import tables

LOSABLE = (tables.EVENTS, tables.PERSONAL, tables.ORDERS, tables.LEDGER, tables.DEAD_LETTERS)


class CrashError(RuntimeError):
    """The worker is dead."""


class MortalSink(Sink):
    """The real sink, whose worker dies in the middle of a flush where it is told to.

    ``dies`` is "before" or "after" the KPI rows; ``lost`` tables are not written any more. ``batch`` is the last flush.
    """

    def __init__(self, store: Any) -> None:
        super().__init__(store, self._publish)
        self.dies = ""
        self.lost: tuple[str, ...] = ()
        self.batch = Batch()

    async def _publish(self, rejected: Sequence[Any]) -> None:
        """Nobody listens."""

    async def write(self, batch: Batch) -> None:
        """As the real one."""
        self.batch = batch
        await super().write(batch)

    async def _insert(self, table: tables.Table, rows: list[tuple[Any, ...]]) -> None:
        if table is tables.KPIS and self.dies == "before":
            raise CrashError
        if not (self.dies and table.name in self.lost):
            await super()._insert(table, rows)
        if table is tables.KPIS and self.dies == "after":
            raise CrashError


class LogWorker:
    """An engine over a log and a real store."""

    def __init__(self, settings: Settings, store: Any, log: Log, report: Report) -> None:
        self.log = log
        self.sink = MortalSink(store)
        self.engine = Engine(settings, store, self.sink, report, lambda number: len(log.records[number]))

    async def assign(self) -> None:
        """Take all partitions in hand, recovered from the store."""
        await self.engine.assign(self.log.records)

    async def read(self, number: int, most: int) -> None:
        """Take in up to ``most`` further records of a partition."""
        partition = self.engine.partitions[number]
        start = partition.position
        await self.engine.apply(number, self.log.records[number][start : start + most], partition.reading)


class ShelfWorker(LogWorker):
    """The same over a shelf: what recovery finds is read off it."""

    def __init__(self, settings: Settings, shelf: Shelf, log: Log, report: Report) -> None:
        super().__init__(settings, shelf, log, report)
        self._shelf = shelf

    async def assign(self) -> None:
        """Take all partitions in hand, at the shelf's cuts."""
        self.engine.generation += 1
        self.engine.partitions = {number: self._recovered(number) for number in self.log.records}

    def _recovered(self, number: int) -> Partition:
        stretches = {stretch_of(row[0], row[1] // 60) for row in self._shelf.kpis(number) if row[0] in STRETCH_MINUTES}
        subjects = [row[0] for row in self._shelf.rows[tables.ORDERS.name].values() if row[1] == number]
        return Partition(number, self._shelf.cut(number), Cells(stretches), OrderCache(subjects, len(subjects)))


class Course:
    """What befalls the workers of a log, step by step, as drawn bytes have it.

    There is one owner of all partitions at a time; those before it may be dead, or asleep, to wake and write. Where
    ``wild``, what they write may also be new: the owner must notice, and the store is right once it has.
    """

    def __init__(
        self, make: Callable[[], LogWorker], log: Log, upto: dict[int, int] | None = None, *, wild: bool = False
    ) -> None:
        self._make = make
        self._wild = wild
        self._log = log
        self._upto = upto or {number: len(records) for number, records in log.records.items()}
        self._asleep: list[LogWorker] = []
        self._on_their_way: list[tuple[tables.Table, list[tuple[Any, ...]]]] = []
        self.owner = make()
        self.deaths = 0
        self.woken = 0

    async def run(self, steps: Sequence[bytes]) -> LogWorker:
        """Take every step, then read and flush to the end; gives the last owner."""
        await self.owner.assign()
        for step in steps:
            await self._step(Choices(step))
        await self.finish()
        return self.owner

    async def finish(self) -> None:
        """Read and flush to the end."""
        while any(one.position < self._upto[number] for number, one in self.owner.engine.partitions.items()):
            for number in self._upto:
                await self._read(number, 1_000)
            await self._flush()
        await self._flush()

    async def _step(self, c: Choices) -> None:
        match c.number(16):
            case 0 | 1 | 2 | 3 | 4 | 5:
                await self._read(c.one(list(self._upto)), 1 + c.number(12))
            case 6 | 7:
                await self._flush()
            case 8:
                await self._flush("before", c)
            case 9:
                await self._flush("after", c)
            case 10:
                await self.succeed()
            case 11 | 12:
                self._asleep.append(self.owner)
                await self.succeed()
            case 13:
                await self._write_again(c)
            case 14:
                await self._go_on(c)
            case 15:
                self._forget(c)

    async def _read(self, number: int, most: int) -> None:
        await _read_upto(self.owner, number, most, self._upto[number])

    async def succeed(self) -> None:
        """The owner is gone, another takes over."""
        self.deaths += 1
        self.owner = self._make()
        await self.owner.assign()

    async def _flush(self, dies: str = "", c: Choices | None = None) -> None:
        worker = self.owner
        worker.sink.dies = dies
        if dies == "before" and c is not None:
            chosen = c.number(1 << len(LOSABLE))
            worker.sink.lost = tuple(table.name for place, table in enumerate(LOSABLE) if chosen >> place & 1)
        try:
            await worker.engine.flush()
        except CrashError:
            if dies == "before" and (self._wild or worker.sink.lost):
                self._on_their_way += _unwritten(worker.sink)
            await self.succeed()
        except AheadOfUsError:
            await self.succeed()
        finally:
            worker.sink.dies, worker.sink.lost = "", ()

    async def _write_again(self, c: Choices) -> None:
        """One who sleeps, or the owner itself, writes its last flush again; or an insert of the dead arrives."""
        self.woken += 1
        if self._on_their_way and c.number(2):
            await self.owner.sink.insert(*self._on_their_way.pop(c.number(len(self._on_their_way))))
            return
        sink = c.one([*self._asleep, self.owner]).sink
        await Sink.write(sink, sink.batch)

    async def _go_on(self, c: Choices) -> None:
        """One who sleeps wakes, reads on and flushes, as if it were still the owner."""
        if not self._asleep or not self._wild:
            return
        worker = c.one(self._asleep)
        self.woken += 1
        try:
            for number in worker.engine.partitions:
                await _read_upto(worker, number, c.number(12), self._upto[number])
            await worker.engine.flush()
        except AheadOfUsError:
            self._asleep.remove(worker)

    def _forget(self, c: Choices) -> None:
        for partition in self.owner.engine.partitions.values():
            partition.orders.evict(c.number(3))
            partition.cells.evict(c.number(3))
            partition.accounts.evict(c.number(2))


def _unwritten(sink: MortalSink) -> list[tuple[tables.Table, list[tuple[Any, ...]]]]:
    """What one who died before the KPI rows had sent: the lost tables' rows, or, where there are none, the KPI rows."""
    batch = sink.batch
    rows = {
        tables.EVENTS.name: batch.events,
        tables.PERSONAL.name: batch.personal,
        tables.ORDERS.name: batch.orders,
        tables.LEDGER.name: batch.ledger,
    }
    if not sink.lost:
        return [(tables.KPIS, batch.kpis)]
    return [(table, rows[table.name]) for table in LOSABLE if table.name in sink.lost and rows.get(table.name)]


async def _read_upto(worker: LogWorker, number: int, most: int, upto: int) -> None:
    left = upto - worker.engine.partitions[number].position
    if left > 0:
        await worker.read(number, min(most, left))


class Runner:
    """Runs coroutines on a loop that is made once, for examples by the thousand."""

    def __init__(self) -> None:
        self._runner = asyncio.Runner()

    def __call__(self, work: Coroutine[Any, Any, Any]) -> Any:
        """The result of ``work``."""
        return self._runner.run(work)

    def close(self) -> None:
        """End the loop."""
        self._runner.close()


def subjects_of(logs: Iterable[Log]) -> set[str]:
    """Every subject that the logs speak of."""
    return {event["subject"] for log in logs for *_, event in log.events()}
