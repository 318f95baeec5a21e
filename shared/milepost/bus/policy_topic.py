"""The topic of the policies in force: one key, whose last record counts; one with no value says that there are none."""

import msgspec
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import KafkaError

from milepost.contracts.topics import POLICIES
from milepost.policies.record import AppliedPolicies
from milepost.settings import Settings

KEY = b"policies"

_BOOTSTRAP_MS = 8_000
_TIMEOUT_MS = 15_000
_POLL_MS = 500
_QUIET_POLLS = 30


class PolicyTopicError(RuntimeError):
    """The broker cannot be reached, has no such topic, or does not take the record; nothing else has changed."""


def encoded(applied: AppliedPolicies) -> bytes:
    """The record's value, JSON."""
    return msgspec.json.encode(applied)


def decoded(value: bytes | None) -> AppliedPolicies | None:
    """What a record's value says; None where it takes the policies away. Raises ``msgspec.DecodeError``."""
    return None if value is None else msgspec.json.decode(value, type=AppliedPolicies)


def publish(settings: Settings, applied: AppliedPolicies | None) -> None:
    """Put policies on the topic, or None to take them away; returns once the broker has them. Raises
    ``PolicyTopicError``.
    """
    value = None if applied is None else encoded(applied)
    try:
        producer = KafkaProducer(
            bootstrap_servers=settings.kafka_servers.split(","),
            client_id="milepost-policies",
            acks="all",
            enable_idempotence=True,
            compression_type="gzip",
            bootstrap_timeout_ms=_BOOTSTRAP_MS,
            max_block_ms=_TIMEOUT_MS,
            request_timeout_ms=_TIMEOUT_MS,
            delivery_timeout_ms=2 * _TIMEOUT_MS,
        )
        try:
            producer.send(POLICIES.name, value, KEY).get(2 * _TIMEOUT_MS / 1000)
        finally:
            producer.close(5)
    except (KafkaError, OSError) as error:
        raise PolicyTopicError(f"the broker at {settings.kafka_servers} does not take the policies: {error}") from error


def read(settings: Settings) -> AppliedPolicies | None:
    """The policies in force as the topic has them, by the last record that can be read. Raises ``PolicyTopicError``."""
    try:
        consumer = KafkaConsumer(
            bootstrap_servers=settings.kafka_servers.split(","),
            client_id="milepost-policies",
            enable_auto_commit=False,
            bootstrap_timeout_ms=_BOOTSTRAP_MS,
            request_timeout_ms=_TIMEOUT_MS,
        )
        try:
            return _last(consumer)
        finally:
            consumer.close()
    except (KafkaError, OSError) as error:
        raise PolicyTopicError(f"no broker answers at {settings.kafka_servers}: {error}") from error


def _last(consumer: KafkaConsumer) -> AppliedPolicies | None:
    if not consumer.partitions_for_topic(POLICIES.name):
        raise PolicyTopicError(f"the broker has no topic {POLICIES.name}; make it with `milepost topics apply`")
    place = TopicPartition(POLICIES.name, 0)
    consumer.assign([place])
    consumer.seek_to_beginning(place)
    end = consumer.end_offsets([place])[place]
    found: AppliedPolicies | None = None
    quiet = 0
    while consumer.position(place) < end:
        records = [record for some in consumer.poll(timeout_ms=_POLL_MS).values() for record in some]
        quiet = 0 if records else quiet + 1
        if quiet > _QUIET_POLLS:
            raise PolicyTopicError(f"the broker does not give the records of {POLICIES.name}")
        for record in records:
            try:
                found = decoded(record.value) if record.key == KEY else found
            except msgspec.DecodeError:
                # Workers pass it over, too, and say so.
                continue
    return found
