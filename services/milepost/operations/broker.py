"""The broker's side of a backup: which topic it is, where its partitions begin and end, and who reads it."""

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from kafka import KafkaConsumer, TopicPartition
from kafka.admin import KafkaAdminClient
from kafka.errors import CoordinatorNotAvailableError, KafkaError

from milepost.contracts.topics import LIFECYCLE
from milepost.operations.refusals import RefusedError
from milepost.settings import Settings

_BOOTSTRAP_MS = 8_000
_TIMEOUT_MS = 15_000
_COORDINATOR_SECONDS = 15.0


@dataclass(frozen=True)
class Topic:
    """The lifecycle topic as the broker has it: an id that no other topic ever has, and per partition the broker's
    own offsets of its beginning and its end.
    """

    id: str
    starts: dict[int, int]
    ends: dict[int, int]


def look(settings: Settings) -> Topic:
    """The topic as it is. Raises ``RefusedError`` where the broker does not answer, or has no such topic."""
    with _told(settings):
        admin = KafkaAdminClient(
            bootstrap_servers=settings.kafka_servers.split(","),
            client_id="milepost-operations",
            request_timeout_ms=_TIMEOUT_MS,
            bootstrap_timeout_ms=_BOOTSTRAP_MS,
        )
        try:
            if LIFECYCLE.name not in admin.list_topics():
                raise RefusedError(f"the broker has no topic {LIFECYCLE.name}: run `milepost topics apply` first")
            (found,) = admin.describe_topics([LIFECYCLE.name])
        finally:
            admin.close()
        consumer = KafkaConsumer(bootstrap_servers=settings.kafka_servers.split(","), enable_auto_commit=False)
        try:
            places = [TopicPartition(LIFECYCLE.name, number) for number in range(len(found["partitions"]))]
            starts, ends = consumer.beginning_offsets(places), consumer.end_offsets(places)
        finally:
            consumer.close()
    return Topic(
        str(found.get("topic_id") or uuid.UUID(int=0)),
        {place.partition: offset for place, offset in starts.items()},
        {place.partition: offset for place, offset in ends.items()},
    )


def processor_members(settings: Settings) -> int:
    """How many workers of the processor's group there are. Raises ``RefusedError`` where the broker does not answer."""
    with _told(settings):
        admin = KafkaAdminClient(
            bootstrap_servers=settings.kafka_servers.split(","),
            client_id="milepost-operations",
            request_timeout_ms=_TIMEOUT_MS,
            bootstrap_timeout_ms=_BOOTSTRAP_MS,
        )
        try:
            return _members(admin, settings.consumer_group)
        finally:
            admin.close()


def _members(admin: KafkaAdminClient, group: str) -> int:
    until = time.monotonic() + _COORDINATOR_SECONDS
    while True:
        try:
            return sum(len(found["members"]) for found in admin.describe_groups([group]).values())
        except CoordinatorNotAvailableError:
            # A new broker makes its topic of offsets when it is first asked.
            if time.monotonic() > until:
                raise
            time.sleep(0.3)


@contextmanager
def _told(settings: Settings) -> Iterator[None]:
    try:
        yield
    except (KafkaError, OSError) as error:
        raise RefusedError(f"no broker answers at {settings.kafka_servers}: {error}") from error
