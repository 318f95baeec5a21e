"""Faust's Kafka transport, with two differences: an agent gets a whole fetched chunk of a partition as one message, and
where to read and what to commit is decided by what is in the store.

Faust's own bookkeeping is per message (13 to 15 k events/s); chunks carry hundreds of thousands. Its acknowledgements
and gap tree do not fit them, and are not used.
"""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Any, cast

import faust
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, AppT, Message
from faust.types.transports import ConsumerCallback, ConsumerT

log = logging.getLogger(__name__)


class LogTruncatedError(RuntimeError):
    """The topic is shorter than what the store has of it: another one, or made anew. Stop: nothing can be right."""


class Chunk:
    """Records of one partition, in order of offset, and the assignment they were fetched under."""

    __slots__ = ("generation", "partition", "records")

    def __init__(self, partition: int, records: list[Any], generation: int) -> None:
        self.partition = partition
        self.records = records
        self.generation = generation


class Offsets:
    """The processor's say in where partitions are read from and committed to."""

    def __init__(
        self,
        assign: Callable[[Iterable[int]], Awaitable[dict[int, int]]],
        cuts: Callable[[], dict[int, int]],
        generation: Callable[[], int],
    ) -> None:
        self.assign = assign
        self.cuts = cuts
        self.generation = generation


class ChunkConsumer(driver.Consumer):
    """A consumer that hands on chunks, reads from the cut and commits the cut."""

    offsets: Offsets

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, Message]]:  # noqa: ASYNC109 - Faust's signature
        """The next fetched chunks, one message each."""
        records, active = await self._wait_next_records(timeout)
        if records is None or self.should_stop or not self.flow_active:
            return
        generation = self.offsets.generation()
        for tp, chunk in records.items():
            if not self.flow_active or generation != self.offsets.generation():
                return
            if chunk and (active is None or tp in active):
                yield tp, self._chunk_message(tp, chunk, generation)

    def _chunk_message(self, tp: TP, records: list[Any], generation: int) -> Message:
        last = records[-1]
        return faust.types.tuples.ConsumerMessage(
            tp.topic,
            tp.partition,
            last.offset,
            last.timestamp / 1000.0,
            last.timestamp_type,
            [],
            None,
            cast("bytes", Chunk(tp.partition, records, generation)),
            None,
            tp=tp,
            generation_id=self.app.consumer_generation_id,
        )

    async def perform_seek(self) -> None:
        """After every assignment: recover the partitions, and read each on from its cut."""
        assigned = {tp.partition: tp for tp in self.assignment()}
        cuts = await self.offsets.assign(assigned)
        ends = await self.highwaters(*assigned.values())
        starts = await self.earliest_offsets(*assigned.values())
        for number, cut in cuts.items():
            tp = assigned[number]
            check_log(number, cut, starts[tp], ends[tp])
            await self.seek(tp, cut)

    async def commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:
        """Commit the cuts: what is stored, and nothing else. For those who watch the group; we read from the store."""
        assigned = {tp.partition: tp for tp in self.assignment()}
        wanted = {
            assigned[number]: cut
            for number, cut in self.offsets.cuts().items()
            if number in assigned and cut > (self._committed_offset.get(assigned[number]) or 0)
        }
        return bool(wanted) and await self._commit_offsets(wanted)

    async def wait_empty(self) -> None:
        """Nothing to wait for: the processor flushes what it has in hand, and what it has not is read again."""

    def ack(self, message: Message) -> bool:
        """Acknowledgements do nothing; the cut does."""
        return True

    def track_message(self, message: Message) -> None:
        """Messages in flight are not tracked: chunks of an old assignment are passed over."""

    def on_buffer_full(self, tp: TP) -> None:
        """A full queue makes the fetcher wait. No partition is put aside: a rebalance could forget to bring it back."""

    def on_buffer_drop(self, tp: TP) -> None:
        """See ``on_buffer_full``."""

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """Between the last records of two chunks lies no gap."""

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Stalls are seen by the worker's own liveness, from offsets that do not move while there is lag."""


def check_log(number: int, cut: int, start: int, end: int) -> None:
    """Whether partition ``number``, which lies from offset ``start`` to ``end``, can be read on from ``cut``.

    Raises ``LogTruncatedError`` where it ends before; says so where records have expired unread.
    """
    if cut > end:
        raise LogTruncatedError(
            f"partition {number} ends at offset {end}, but the store has it up to {cut}: the topic was made anew. "
            f"Give the new topic a database of its own (MILEPOST_DATABASE), or bring the old topic back"
        )
    if cut < start:
        log.error("partition %d: records %d to %d have expired from the topic unread", number, cut, start - 1)


class ChunkTransport(driver.Transport):
    """Faust's aiokafka transport, whose consumers are ``ChunkConsumer`` that ask ``offsets``."""

    def __init__(self, url: Any, app: AppT, offsets: Offsets) -> None:
        super().__init__(url, app, loop=app.loop)
        self._offsets = offsets

    def create_consumer(self, callback: ConsumerCallback, **options: Any) -> ConsumerT:
        """The worker's consumer."""
        consumer = ChunkConsumer(self, callback=callback, **options)
        consumer.offsets = self._offsets
        return consumer
