"""Putting dead letters back on the topic they came from, in headers whose copy they are."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Self

from kafka import KafkaProducer
from kafka.errors import KafkaError
from kafka.producer.future import FutureRecordMetadata

from milepost.bus.partitions import partition_of
from milepost.settings import Settings

TOPIC, PARTITION, OFFSET, ATTEMPT = "replay-topic", "replay-partition", "replay-offset", "replay-attempt"
MOST_ATTEMPTS = (1 << 32) - 1

_TIMEOUT_SECONDS = 30.0
_LARGEST_BYTES = 64 * 1024 * 1024
"""Before compression; the broker, which counts compressed bytes, has the last word."""


class Place(NamedTuple):
    """Where a record stands, or stood."""

    topic: str
    partition: int
    offset: int


class Replay(NamedTuple):
    """Whose copy a record is, and the how manieth attempt at it."""

    origin: Place
    attempt: int

    @property
    def headers(self) -> list[tuple[str, bytes]]:
        """As they stand in the copy."""
        values = (self.origin.topic, self.origin.partition, self.origin.offset, self.attempt)
        names = (TOPIC, PARTITION, OFFSET, ATTEMPT)
        return [(name, str(value).encode()) for name, value in zip(names, values, strict=True)]


def replay_of(headers: Iterable[tuple[str, bytes]] | None) -> Replay | None:
    """What a record's headers say, None where it is no copy, or says so wrongly."""
    found = dict(headers or ())
    try:
        partition, offset, attempt = (int(found[name]) for name in (PARTITION, OFFSET, ATTEMPT))
        topic = found[TOPIC].decode()
    except (KeyError, ValueError, TypeError, AttributeError):
        return None
    sane = 0 <= partition < 1 << 16 and 0 <= offset < 1 << 62 and 1 < attempt <= MOST_ATTEMPTS
    return Replay(Place(topic, partition, offset), attempt) if sane else None


class ReplayError(RuntimeError):
    """The broker cannot be reached: every letter is as it was, try again later."""


class Copy(NamedTuple):
    """A letter's bytes as they came, with the key they get."""

    replay: Replay
    key: bytes
    value: bytes


class Replayer:
    """A producer for copies. Close it, or use it in a ``with``."""

    def __init__(self, settings: Settings) -> None:
        """Raises ``ReplayError``."""
        try:
            self._producer = KafkaProducer(
                bootstrap_servers=settings.kafka_servers.split(","),
                client_id="milepost-dead-letters",
                acks="all",
                enable_idempotence=True,
                compression_type="gzip",
                max_request_size=_LARGEST_BYTES,
                max_block_ms=int(_TIMEOUT_SECONDS * 1000),
                request_timeout_ms=int(_TIMEOUT_SECONDS * 1000),
                delivery_timeout_ms=int(_TIMEOUT_SECONDS * 2000),
            )
        except (KafkaError, OSError) as error:
            raise ReplayError(f"no broker answers at {settings.kafka_servers}: {error}") from error

    def send(self, copies: Sequence[Copy]) -> list[str]:
        """Append copies, each to the partition of its key; for each why the broker has not taken it, "" where it has.

        Returns once the broker has acknowledged, or refused, every one.
        """
        sent = [self._send(copy) for copy in copies]
        return [one if isinstance(one, str) else _fault(one) for one in sent]

    def _send(self, copy: Copy) -> str | FutureRecordMetadata:
        topic = copy.replay.origin.topic
        key = copy.key or None
        # The client sends no record that has neither key nor value.
        value = copy.value if copy.value or key is None else b""
        try:
            known = self._producer.partitions_for(topic)
            if not known:
                return f"the broker has no topic {topic}"
            partition = None if key is None else partition_of(key, len(known))
            return self._producer.send(topic, value, key, copy.replay.headers, partition)
        except (KafkaError, OSError) as error:
            return str(error)

    def close(self) -> None:
        """Let the broker go."""
        self._producer.close(5)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _fault(sent: FutureRecordMetadata) -> str:
    try:
        sent.get(2 * _TIMEOUT_SECONDS)
    except (KafkaError, OSError) as error:
        return str(error)
    return ""
