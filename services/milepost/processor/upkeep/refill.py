"""The log filled up again from the topic: what it has lost comes back, what it would not have stays out."""

import asyncio
from collections.abc import Callable, Collection, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from milepost.bus.partitions import partition_of
from milepost.bus.replays import replay_of
from milepost.bus.topics import TopicsError, look
from milepost.contracts import topics
from milepost.processor.arrival.intake import Record, Rejected, take
from milepost.processor.upkeep.retention import TRIALS_KEPT
from milepost.settings import Settings
from milepost.store import tables
from milepost.store.client import Row, Store
from milepost.store.dead_letters import State
from milepost.store.offset_bases import offset_bases

ROWS_AN_INSERT = 20_000
_POLL_MS = 500

_OURS = "partition IN {partitions:Array(UInt16)}"
_CUTS = f"SELECT partition, max(version) FROM kpi_store WHERE grain = 'cut' AND {_OURS} GROUP BY partition"  # noqa: S608
_LETTERS = "SELECT partition, offset, state FROM dead_letters_store FINAL WHERE topic = {topic:String}"
_EXPIRED = f"SELECT order_id FROM orders_store WHERE state = 'expired' AND {_OURS}"  # noqa: S608
_ERASED = "SELECT subject FROM erasures_store"


class TopicUnreadableError(RuntimeError):
    """The broker cannot be reached, or does not have the topic."""


class Refill:
    """Reads the lifecycle topic from its beginning up to each partition's cut, and writes every event to the log.

    That changes nothing that the log has. Left out is what the worker rejected, what belongs to expired orders, tests
    of former days, and the personal data of erased subjects.
    """

    def __init__(self, settings: Settings, store: Store, now: int) -> None:
        self._settings = settings
        self._store = store
        self._oldest_trial = now - int(TRIALS_KEPT.total_seconds()) * 1_000_000
        self._rejected: Collection[tuple[int, int]] = frozenset()
        self._unreplayed: Collection[tuple[int, int]] = frozenset()
        self._expired: Collection[str] = frozenset()
        self._erased: Collection[str] = frozenset()
        self._count = 0
        self._events: list[Row] = []
        self._personal: list[Row] = []

    async def run(self, partitions: Sequence[int], tell: Callable[[int, int], Any]) -> dict[int, int]:
        """Fill the log of ``partitions``; gives for each the offset from which on it is complete now.

        ``tell`` is told how many of how many records have been read. Raises ``TopicUnreadableError`` and the store's
        errors; what was written until then does no harm.
        """
        self._count = await asyncio.to_thread(_partition_count, self._settings)
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._settings.kafka_servers, enable_auto_commit=False, auto_offset_reset="none"
        )
        try:
            await consumer.start()
            return await self._read(consumer, partitions, tell)
        except KafkaError as error:
            raise TopicUnreadableError(f"the topic cannot be read: {error or type(error).__name__}") from error
        finally:
            await consumer.stop()

    async def _read(
        self, consumer: AIOKafkaConsumer, partitions: Sequence[int], tell: Callable[[int, int], Any]
    ) -> dict[int, int]:
        places = {number: TopicPartition(topics.LIFECYCLE.name, number) for number in partitions}
        starts = await consumer.beginning_offsets(list(places.values()))
        ends = await consumer.end_offsets(list(places.values()))
        cuts = await asyncio.to_thread(self._known, partitions)
        bases = await asyncio.to_thread(offset_bases, self._store)
        base = {place: bases.get(number, 0) for number, place in places.items()}
        last = {place: min(cuts.get(number, 0) - base[place], ends[place]) for number, place in places.items()}
        left = {place for place in places.values() if starts[place] < last[place]}
        total = sum(last[place] - starts[place] for place in left)
        read = 0
        consumer.assign(list(places.values()))
        for place in places.values():
            consumer.seek(place, starts[place])
            if place not in left:
                consumer.pause(place)
        while left:
            for place, records in (await consumer.getmany(*left, timeout_ms=_POLL_MS)).items():
                ours = [record for record in records if record.offset < last[place]]
                for record in ours:
                    record.offset += base[place]
                self._take(ours)
                read += len(ours)
            for place in list(left):
                if await consumer.position(place) >= last[place]:
                    left.discard(place)
                    consumer.pause(place)
            if len(self._events) >= ROWS_AN_INSERT or not left:
                await self._write()
            tell(read, total)
        return {number: starts[place] + base[place] for number, place in places.items()}

    def _known(self, partitions: Sequence[int]) -> dict[int, int]:
        ours = {"partitions": list(partitions)}
        letters = self._store.query(_LETTERS, {"topic": topics.LIFECYCLE.name})
        self._rejected = {(number, offset) for number, offset, _ in letters}
        self._unreplayed = {(number, offset) for number, offset, state in letters if state != State.REPLAYED}
        self._expired = {row[0] for row in self._store.query(_EXPIRED, ours)}
        self._erased = {row[0] for row in self._store.query(_ERASED)}
        return {row[0]: int(row[1]) for row in self._store.query(_CUTS, ours)}

    def _take(self, records: Sequence[Record]) -> None:
        for record in records:
            if self._was_rejected(record):
                continue
            taken = take(record, self._settings.currency)
            if (
                isinstance(taken, Rejected)
                or (taken.in_orders and taken.subject in self._expired)
                or partition_of(taken.subject.encode(), self._count) != record.partition
                or (taken.fact is None and record.timestamp * 1000 < self._oldest_trial)
            ):
                continue
            self._events.append(taken.event_row)
            if taken.personal_row is not None and taken.subject not in self._erased:
                self._personal.append(taken.personal_row)

    def _was_rejected(self, record: Record) -> bool:
        """Whether it is a dead letter, or the copy of one that failed again and so has no letter of its own."""
        replay = replay_of(getattr(record, "headers", None))
        copied = replay is not None and (replay.origin.partition, replay.origin.offset) in self._unreplayed
        return copied or (record.partition, record.offset) in self._rejected

    async def _write(self) -> None:
        events, self._events = self._events, []
        personal, self._personal = self._personal, []
        await asyncio.to_thread(self._store.insert, tables.EVENTS, events)
        await asyncio.to_thread(self._store.insert, tables.PERSONAL, personal)


def _partition_count(settings: Settings) -> int:
    try:
        states = look(settings)
    except TopicsError as error:
        raise TopicUnreadableError(str(error)) from error
    count = next((state.partitions for state in states if state.topic is topics.LIFECYCLE), 0)
    if not count:
        raise TopicUnreadableError(f"the broker has no topic {topics.LIFECYCLE.name}")
    return count
