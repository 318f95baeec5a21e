"""Publishing to one topic, with the broker's acknowledgement or an error, and never a silence."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Sequence

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, UnknownTopicOrPartitionError

from milepost.bus.partitions import partition_of

_log = logging.getLogger(__name__)

Record = tuple[bytes, bytes]
"""Key and value."""

MAX_RECORD_BYTES = 1_000_000
"""Largest record published; the topics allow a little more for the framing."""
_BATCH_BYTES = 1_048_576
HELD_BYTES = 64 * 1024 * 1024
_START_SECONDS = 1.0
_RECONNECT_FIRST_SECONDS = 0.2
_RECONNECT_LAST_SECONDS = 2.0


class PublishError(Exception):
    """Not all of the records are known to be on the topic: publish the same ones again."""


class BrokerUnavailableError(PublishError):
    """The broker cannot be reached, or does not have the topic."""


class PublishTimeoutError(PublishError):
    """The broker did not acknowledge in time; the records may or may not be on the topic."""


class _Lane:
    """One partition: what waits is sent as one batch while the previous one is under way, in order."""

    def __init__(self) -> None:
        self.waiting: list[tuple[Sequence[Record], asyncio.Future[None]]] = []
        self.wake = asyncio.Event()


class Publisher:
    """A producer for one topic: idempotent, ``acks=all``, partitions by key as Kafka does.

    It connects in the background, and again after every failure, so a service starts and lives without a
    broker; meanwhile ``publish`` raises at once and ``fault`` says why.
    """

    def __init__(self, servers: str, topic: str, timeout_seconds: float, held_bytes: int = HELD_BYTES) -> None:
        self.fault: str | None = "not connected to the broker yet"
        self._servers = servers
        self._topic = topic
        self._timeout = timeout_seconds
        self._lanes: list[_Lane] = []
        self._held = 0
        self._held_bytes = held_bytes
        self._acknowledged_at = 0.0
        self._broken = asyncio.Event()
        self._connected = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._producer: AIOKafkaProducer | None = None

    async def start(self) -> None:
        """Begin to connect; waits a moment for it, but does not fail without a broker."""
        self._task = asyncio.create_task(self._stay_connected(), name="publisher")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_START_SECONDS):
                await self._connected.wait()

    async def stop(self) -> None:
        """Disconnect. What is still waiting fails."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def check(self) -> str | None:
        """Ask the broker now: what keeps records from being published, None where nothing does."""
        if self.fault is None and self._producer is not None:
            try:
                if not await self._producer.client.force_metadata_update():
                    return f"the broker at {self._servers} does not answer"
            except KafkaError as error:
                return f"the broker at {self._servers}: {error}"
        return self.fault

    async def publish(self, records: Sequence[Record]) -> None:
        """Put ``records`` on the topic; records of one key stay in their order.

        Returns once the broker has acknowledged every one of them. Raises ``PublishError`` otherwise; then some
        of them may be on the topic, and the caller publishes all again.
        """
        if self.fault is not None:
            raise BrokerUnavailableError(self.fault)
        size = sum(len(value) for _, value in records)
        if self._held and self._held + size > self._held_bytes:
            raise BrokerUnavailableError("the broker does not keep up: too many records wait for it")
        shares: dict[int, list[Record]] = {}
        for record in records:
            shares.setdefault(partition_of(record[0], len(self._lanes)), []).append(record)
        futures = [self._hand_over(partition, share) for partition, share in shares.items()]
        self._held += size
        began = time.monotonic()
        try:
            async with asyncio.timeout(self._timeout):
                await asyncio.gather(*futures)
        except TimeoutError:
            why = f"the broker did not acknowledge within {self._timeout:g} s"
            # A broker that is slow, or throttles us, would not get faster by a new connection.
            if self._acknowledged_at < began:
                self._give_up(why)
            raise PublishTimeoutError(why) from None
        finally:
            self._held -= size
        self._acknowledged_at = time.monotonic()

    def _hand_over(self, partition: int, share: list[Record]) -> asyncio.Future[None]:
        lane = self._lanes[partition]
        future = asyncio.get_running_loop().create_future()
        lane.waiting.append((share, future))
        lane.wake.set()
        return future

    def _give_up(self, why: str) -> None:
        """Drop the connection; every waiting caller is told, and a new connection is tried."""
        if self.fault is None:
            self.fault = why
            _log.warning("publishing stops: %s", why)
        self._broken.set()

    async def _stay_connected(self) -> None:
        pause = _RECONNECT_FIRST_SECONDS
        while True:
            producer = self._new_producer()
            try:
                partitions = await self._connect(producer)
            except asyncio.CancelledError:
                await _close(producer)
                raise
            except Exception as error:  # noqa: BLE001 - whatever it was, all there is to do is to say so and try again
                self._note(error)
                await _close(producer)
                await asyncio.sleep(pause)
                pause = min(pause * 2, _RECONNECT_LAST_SECONDS)
                continue
            pause = _RECONNECT_FIRST_SECONDS
            await self._serve(producer, partitions)
            await asyncio.sleep(pause)

    def _note(self, error: Exception) -> None:
        why = f"the broker at {self._servers} cannot be reached"
        if isinstance(error, UnknownTopicOrPartitionError):
            why = f"the broker has no topic {self._topic}; make it with `milepost topics apply`"
        if why != self.fault:
            self.fault = why
            _log.warning("publishing waits: %s (%s)", why, error or type(error).__name__)

    def _new_producer(self) -> AIOKafkaProducer:
        return AIOKafkaProducer(
            bootstrap_servers=self._servers,
            client_id="milepost-edge",
            acks="all",
            enable_idempotence=True,
            # Measured: a tenth of the bytes on disk for 0.5 µs an event.
            compression_type="lz4",
            max_batch_size=_BATCH_BYTES,
            request_timeout_ms=max(1000, int(self._timeout * 1000)),
            retry_backoff_ms=50,
            metadata_max_age_ms=30_000,
        )

    async def _connect(self, producer: AIOKafkaProducer) -> int:
        async with asyncio.timeout(self._timeout):
            await producer.start()
            found = (await producer.client.fetch_all_metadata()).partitions_for_topic(self._topic)
            if not found:
                raise UnknownTopicOrPartitionError(self._topic)
            return len(await producer.partitions_for(self._topic))

    async def _serve(self, producer: AIOKafkaProducer, partitions: int) -> None:
        self._lanes = [_Lane() for _ in range(partitions)]
        self._broken.clear()
        self._producer = producer
        self.fault = None
        self._connected.set()
        _log.info("publishing to %s, %d partitions", self._topic, partitions)
        tasks = [asyncio.create_task(self._drain(producer, number)) for number in range(partitions)]
        try:
            await self._broken.wait()
        finally:
            self._producer = None
            self.fault = self.fault or "stopped"
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for lane in self._lanes:
                _fail(lane.waiting, BrokerUnavailableError(self.fault))
            await _close(producer)

    async def _drain(self, producer: AIOKafkaProducer, partition: int) -> None:
        lane = self._lanes[partition]
        while True:
            await lane.wake.wait()
            lane.wake.clear()
            # Whoever has given up meanwhile sends the same again, or has gone.
            taken = [(share, future) for share, future in lane.waiting if not future.done()]
            lane.waiting = []
            if not taken:
                continue
            try:
                await self._send(producer, partition, [record for share, _ in taken for record in share])
            except asyncio.CancelledError:
                _fail(taken, BrokerUnavailableError(self.fault or "stopped"))
                raise
            except Exception as error:  # noqa: BLE001 - whoever waits is told, and the connection is made anew
                # After a refused batch the sequence numbers of an idempotent producer no longer fit.
                why = f"the broker refused a batch: {type(error).__name__}"
                _fail(taken, BrokerUnavailableError(why))
                self._give_up(why)
                return
            for _, future in taken:
                if not future.done():
                    future.set_result(None)

    async def _send(self, producer: AIOKafkaProducer, partition: int, records: list[Record]) -> None:
        sent = []
        batch = producer.create_batch()
        for key, value in records:
            if batch.append(key=key, value=value, timestamp=None) is None:
                sent.append(await producer.send_batch(batch, self._topic, partition=partition))
                batch = producer.create_batch()
                batch.append(key=key, value=value, timestamp=None)
        batch.close()
        sent.append(await producer.send_batch(batch, self._topic, partition=partition))
        await asyncio.gather(*sent)


def _fail(waiting: list[tuple[Sequence[Record], asyncio.Future[None]]], error: PublishError) -> None:
    for _, future in waiting:
        if not future.done():
            future.set_exception(error)


async def _close(producer: AIOKafkaProducer) -> None:
    """Stop ``producer`` without waiting for what it still holds."""
    with contextlib.suppress(KafkaError, OSError, TimeoutError):
        async with asyncio.timeout(0.5):
            await producer.stop()
            return
    # stop() flushes first, for ever where the broker is away; these two are what it would do afterwards.
    with contextlib.suppress(KafkaError, OSError, TimeoutError):
        async with asyncio.timeout(0.5):
            await producer._sender.close()
    with contextlib.suppress(KafkaError, OSError, TimeoutError):
        async with asyncio.timeout(0.5):
            await producer.client.close()
