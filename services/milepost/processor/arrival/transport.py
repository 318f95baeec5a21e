"""Faust's Kafka transport, with two differences: an agent gets a whole fetched chunk of a partition as one message, and
where to read and what to commit is decided by what is in the store.

Faust's own bookkeeping is per message (13 to 15 k events/s); chunks carry hundreds of thousands. Its acknowledgements
and gap tree do not fit them, and are not used.
"""

import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Container, Iterable
from typing import Any, cast

import faust
from aiokafka import TopicPartition
from faust.exceptions import ConsumerNotStarted
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, AppT, Message
from faust.types.transports import ConsumerCallback, ConsumerT

from milepost.contracts import topics as contracted

log = logging.getLogger(__name__)


class LogTruncatedError(RuntimeError):
    """The topic is shorter than what the store has of it: another one, or made anew. Stop: nothing can be right."""


CURRENT_SECONDS = 15.0
"""How long it is believed where a partition ends, without the broker being asked again."""
UNREAD = 0
"""The reading of records that nobody has asked for."""


class Chunk:
    """Records of one partition, in order of offset, and the reading of it that they were fetched under."""

    __slots__ = ("partition", "reading", "records")

    def __init__(self, partition: int, records: list[Any], reading: int) -> None:
        self.partition = partition
        self.records = records
        self.reading = reading


class Fetched(dict[TP, Any]):
    """Fetched records by partition, and which reading of each they belong to."""

    readings: dict[int, int]


class Offsets:
    """The processor's say in where partitions are read from and committed to."""

    def __init__(
        self,
        assign: Callable[[Iterable[int]], Awaitable[dict[int, int]]],
        cuts: Callable[[], dict[int, int]],
        readings: Callable[[], dict[int, int]],
        bases: Callable[[], Awaitable[dict[int, int]]] | None = None,
        paused: Callable[[], Container[int]] = tuple,
    ) -> None:
        self.assign = assign
        self.cuts = cuts
        self.readings = readings
        self.paused = paused
        self._load_bases = bases
        self._bases: dict[int, int] = {}

    async def load_bases(self) -> None:
        """Learn where the topic's offsets begin in the store's count."""
        if self._load_bases is not None:
            self._bases = await self._load_bases()

    def base(self, number: int) -> int:
        """What an offset of partition ``number`` is more in the store than at the broker."""
        return self._bases.get(number, 0)


class ChunkThread(driver.AIOKafkaConsumerThread):
    """The thread Kafka's client lives in. What belongs together happens here without a break.

    A partition is read on from another place while its flow goes on: after an assignment, a pause, a refused flush. So
    each chunk says which reading it belongs to: without that, one fetched just before would be taken for the first one
    after, and what lies between would be lost.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.readings: dict[int, int] = {}

    async def _fetch_records(self, *arguments: Any, **options: Any) -> Any:
        fetched = Fetched(await super()._fetch_records(*arguments, **options))
        fetched.readings = dict(self.readings)
        return fetched

    def is_member(self) -> bool:
        """Whether the group knows us: it has given away what we had where it says that it does not."""
        coordinator = self._ensure_consumer()._coordinator
        return coordinator is not None and coordinator.generation > 0

    async def hold(self, tp: TP) -> None:
        """Fetch nothing more of a partition, and drop what is fetched and not handed on."""
        client = self._ensure_consumer()
        if tp in client.assignment():
            client.pause(TopicPartition(tp.topic, tp.partition))

    async def read_on(self, tp: TP, offset: int, reading: int) -> None:
        """Fetch a partition from ``offset`` on, as this ``reading``."""
        client = self._ensure_consumer()
        if tp in client.assignment():
            place = TopicPartition(tp.topic, tp.partition)
            client.seek(place, offset)
            client.resume(place)
            self.readings[tp.partition] = reading


class ChunkConsumer(driver.Consumer):
    """A consumer that hands on chunks, reads from the cut and commits the cut."""

    offsets: Offsets
    _thread: ChunkThread

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._ends: dict[int, int] = {}

    def _new_consumer_thread(self) -> ChunkThread:
        return ChunkThread(self, loop=self.loop, beacon=self.beacon)

    def is_member(self) -> bool:
        """Whether the group knows us."""
        return self._thread.is_member()

    async def hold(self, tp: TP) -> None:
        """Fetch nothing more of a partition."""
        await self._thread.call_thread(self._thread.hold, tp)

    async def read_on(self, tp: TP, offset: int, reading: int) -> None:
        """Fetch a partition from ``offset``, as the store counts, on; its chunks say ``reading`` from now on."""
        at_broker = max(0, offset - self.offsets.base(tp.partition))
        await self._thread.call_thread(self._thread.read_on, tp, at_broker, reading)

    async def ask_ends(self) -> None:
        """Ask the broker where the partitions in hand end: fetches tell it only of what is fetched."""
        assigned = self.assignment()
        if assigned:
            self._ends = {tp.partition: end for tp, end in (await self.highwaters(*assigned)).items()}

    def end_of(self, tp: TP) -> int | None:
        """Where a partition ends, as the store counts; None while that is not known."""
        known = [end for end in (self.highwater(tp), self._ends.get(tp.partition)) if end is not None]
        return max(known) + self.offsets.base(tp.partition) if known else None

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, Message]]:  # noqa: ASYNC109 - Faust's signature
        """The next fetched chunks, one message each."""
        records, active = await self._wait_next_records(timeout)
        if records is None or self.should_stop or not self.flow_active:
            return
        readings = records.readings if isinstance(records, Fetched) else {}
        for tp, chunk in records.items():
            if not self.flow_active:
                return
            if chunk and (active is None or tp in active):
                yield tp, self._chunk_message(tp, Chunk(tp.partition, chunk, readings.get(tp.partition, UNREAD)))

    def _chunk_message(self, tp: TP, chunk: Chunk) -> Message:
        base = self.offsets.base(tp.partition)
        if base:
            for record in chunk.records:
                record.offset += base
        last = chunk.records[-1]
        return faust.types.tuples.ConsumerMessage(
            tp.topic,
            tp.partition,
            last.offset - base,
            last.timestamp / 1000.0,
            last.timestamp_type,
            [],
            None,
            cast("bytes", chunk),
            None,
            tp=tp,
            generation_id=self.app.consumer_generation_id,
        )

    async def perform_seek(self) -> None:
        """After every assignment: recover the partitions, and read each on from its cut."""
        assigned = {tp.partition: tp for tp in self.assignment()}
        await self.offsets.load_bases()
        cuts = await self.offsets.assign(assigned)
        ends = await self.highwaters(*assigned.values())
        starts = await self.earliest_offsets(*assigned.values())
        self._ends = {tp.partition: end for tp, end in ends.items()}
        readings = self.offsets.readings()
        for number, cut in cuts.items():
            tp = assigned[number]
            base = self.offsets.base(number)
            check_log(number, cut, starts[tp] + base, ends[tp] + base)
            await self.seek(tp, max(0, cut - base))
            await self.read_on(tp, cut, readings.get(number, UNREAD))
            if number in self.offsets.paused():
                await self.hold(tp)

    async def commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:
        """Commit the cuts: what is stored, and nothing else. For those who watch the group; we read from the store."""
        assigned = {tp.partition: tp for tp in self.assignment()}
        read = {number: cut - self.offsets.base(number) for number, cut in self.offsets.cuts().items()}
        wanted = {
            assigned[number]: offset
            for number, offset in read.items()
            if number in assigned and offset > (self._committed_offset.get(assigned[number]) or 0)
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
            f"Bring the old topic back, or `milepost restore --new-topic` a backup into another database "
            f"(MILEPOST_DATABASE)"
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


class ConsumerFeed:
    """The lifecycle topic, as an engine may ask about it and hold it; the ``app`` has its consumer later."""

    def __init__(self, app: AppT) -> None:
        self._app = app
        self._asked_at = 0.0

    @property
    def _consumer(self) -> ChunkConsumer:
        return cast("ChunkConsumer", self._app.consumer)

    @staticmethod
    def _place(number: int) -> TP:
        return TP(contracted.LIFECYCLE.name, number)

    def end_offset(self, number: int) -> int | None:
        """Where a partition ends, None while that is not known."""
        return self._consumer.end_of(self._place(number))

    def given(self) -> set[int]:
        """The partitions that are ours, as the group says; none before we have joined it."""
        try:
            return {tp.partition for tp in self._consumer.assignment()}
        except ConsumerNotStarted:
            return set()

    def is_member(self) -> bool:
        """Whether the group knows us; where it does not, what we had is others'."""
        return self._consumer.is_member()

    def partition_count(self) -> int | None:
        """How many partitions the topic has, None while that is not known."""
        return self._consumer.topic_partitions(contracted.LIFECYCLE.name)

    async def ask_ends(self) -> None:
        """Ask the broker where the partitions end."""
        await self._consumer.ask_ends()
        self._asked_at = time.monotonic()

    def is_current(self) -> bool:
        """Whether the broker has lately said where the partitions end: what we have read up to there is then all."""
        return time.monotonic() - self._asked_at < CURRENT_SECONDS

    async def hold(self, number: int) -> None:
        """Fetch nothing more of a partition."""
        await self._consumer.hold(self._place(number))

    async def read_on(self, number: int, offset: int, reading: int) -> None:
        """Fetch a partition from ``offset`` on; its chunks say ``reading`` from now on."""
        await self._consumer.read_on(self._place(number), offset, reading)
