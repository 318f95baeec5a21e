"""The policies in force, followed while a process runs: what `milepost sla apply` publishes is here within a second."""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import UnknownTopicOrPartitionError

from milepost.bus.policy_topic import KEY, decoded
from milepost.contracts.topics import POLICIES
from milepost.domain.sla.policy import Policies
from milepost.policies.faults import PolicyError

_log = logging.getLogger(__name__)

BUILT_IN = Policies(version=0)
"""What holds before any policies were applied: the promise of each order is watched, and nothing else."""

_POLL_MS = 1_000
_LOOK_SECONDS = 5.0
_ANSWER_SECONDS = 5.0
_CLOSE_SECONDS = 2.0
_PAUSE_SECONDS = 1.0


class PolicyFollower:
    """Reads the topic from its beginning and follows it, with a consumer of its own that is in no group.

    ``current`` is what holds; ``fault`` says what keeps it from being the newest, None where nothing does. The broker
    may be away, at first or later, for however long: ``current`` stays, and nothing is ever raised out of here. A
    record that cannot be read is passed over, and said.

    ``await follower.start()`` in the event loop of the process, ``await follower.stop()`` at its end; ``await
    follower.wait_ready(seconds)`` before the first decision that hangs on the policies. ``on_change`` is called in the
    loop with what holds from now on.
    """

    def __init__(
        self, servers: str, on_change: Callable[[Policies], None] | None = None, topic: str = POLICIES.name
    ) -> None:
        self.current = BUILT_IN
        self._servers = servers
        self._place = TopicPartition(topic, 0)
        self._on_change = on_change
        self._caught_up = asyncio.Event()
        self._away: str | None = "not connected to the broker yet"
        self._unreadable: str | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def ready(self) -> bool:
        """Whether the topic was read to its end at least once, so that ``current`` was in force at some time."""
        return self._caught_up.is_set()

    @property
    def fault(self) -> str | None:
        """What keeps ``current`` from being the newest."""
        return self._away or self._unreadable

    async def start(self) -> None:
        """Begin to follow, in the background."""
        self._task = asyncio.create_task(self._follow(), name="policies")

    async def stop(self) -> None:
        """Follow no more; ``current`` stays."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def wait_ready(self, seconds: float) -> bool:
        """Wait until ``ready``, but not longer than this; gives whether it is."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._caught_up.wait()
        return self.ready

    async def _follow(self) -> None:
        while True:
            consumer = AIOKafkaConsumer(
                bootstrap_servers=self._servers,
                client_id="milepost-policies",
                group_id=None,
                enable_auto_commit=False,
                auto_offset_reset="earliest",
                metadata_max_age_ms=30_000,
                retry_backoff_ms=1_000,
            )
            # A task of its own: the consumer may raise a cancellation that nobody asked for, which must not end us.
            reading = asyncio.create_task(self._read(consumer), name="policies reading")
            try:
                await asyncio.wait([reading])
                self._note_away(asyncio.CancelledError() if reading.cancelled() else reading.exception())
            finally:
                reading.cancel()
                await asyncio.wait([reading], timeout=_CLOSE_SECONDS)
                await _close(consumer)
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _read(self, consumer: AIOKafkaConsumer) -> None:
        """Read until the broker does not answer, which raises."""
        await self._connect(consumer)
        await self._read_on(consumer)

    async def _connect(self, consumer: AIOKafkaConsumer) -> None:
        async with asyncio.timeout(_ANSWER_SECONDS):
            await consumer.start()
            if self._place.topic not in await consumer.topics():
                raise UnknownTopicOrPartitionError(self._place.topic)
            consumer.assign([self._place])
            await consumer.seek_to_beginning(self._place)

    async def _read_on(self, consumer: AIOKafkaConsumer) -> None:
        waiting: list[Any] = []
        end = await _end(consumer, self._place)
        loop = asyncio.get_running_loop()
        looked = loop.time()
        while True:
            if await _position(consumer, self._place) >= end:
                # Not before: what has been replaced since must not hold for a moment.
                await self._take(waiting)
                waiting = []
                self._note_caught_up()
            found = await consumer.getmany(self._place, timeout_ms=_POLL_MS)
            waiting += [record for some in found.values() for record in some if record.key == KEY]
            # The consumer itself waits in silence for a broker that is away.
            if loop.time() - looked > _LOOK_SECONDS:
                end = await _end(consumer, self._place)
                looked = loop.time()

    async def _take(self, records: list[Any]) -> None:
        """Let the last record hold; where it cannot be read, the last before it that can."""
        for record in reversed(records):
            try:
                applied = decoded(record.value)
                # Off the loop: a long file takes a while.
                policies = await asyncio.to_thread(applied.policies) if applied else BUILT_IN
            except (msgspec.DecodeError, PolicyError, ValueError) as error:
                if record is records[-1]:
                    self._unreadable = f"record {record.offset} of {self._place.topic} cannot be read: {error}"
                    _log.error("the policies stay as they are: %s", self._unreadable)
                continue
            if record is records[-1]:
                self._unreadable = None
            self._change(policies)
            return

    def _change(self, policies: Policies) -> None:
        if policies == self.current:
            return
        self.current = policies
        _log.info("version %d of the SLA policies holds", policies.version)
        if self._on_change is not None:
            try:
                self._on_change(policies)
            except Exception:  # noqa: BLE001 - it is told, and what holds does not hang on who listens
                _log.exception("the new policies hold, but who was to hear of it failed")

    def _note_caught_up(self) -> None:
        self._away = None
        self._caught_up.set()

    def _note_away(self, error: BaseException | None) -> None:
        why = f"the broker at {self._servers} cannot be reached"
        if isinstance(error, UnknownTopicOrPartitionError):
            why = f"the broker has no topic {self._place.topic}; make it with `milepost topics apply`"
        if why != self._away:
            self._away = why
            _log.warning("the policies stay as they are: %s (%s)", why, error or type(error).__name__)


async def _end(consumer: AIOKafkaConsumer, place: TopicPartition) -> int:
    async with asyncio.timeout(_ANSWER_SECONDS):
        return int((await consumer.end_offsets([place]))[place])


async def _position(consumer: AIOKafkaConsumer, place: TopicPartition) -> int:
    async with asyncio.timeout(_ANSWER_SECONDS):
        return int(await consumer.position(place))


async def _close(consumer: AIOKafkaConsumer) -> None:
    # Stopping awaits requests it has cancelled, and may fail by that; the connections are then still open.
    for close in (consumer.stop, consumer._client.close):
        closing = asyncio.ensure_future(close())
        await asyncio.wait([closing], timeout=_CLOSE_SECONDS)
        closing.cancel()
        if closing.done() and not closing.cancelled() and closing.exception() is not None:
            _log.debug("closing the consumer: %r", closing.exception())
