"""What every other integration test stands on, on whichever platform the run is about."""

import json
import subprocess
from collections.abc import Callable

import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from milepost.contracts.topics import LIFECYCLE, TOPICS
from milepost.embedded.platform import Platform
from milepost.settings import Settings

pytestmark = pytest.mark.needs_platform

Command = Callable[..., subprocess.CompletedProcess[str]]


def test_topics_and_schema_are_as_declared(installation: Settings, milepost: Command) -> None:
    found = json.loads(milepost(installation, "topics", "check", "--json").stdout)
    assert {topic["name"] for topic in found if topic["in_order"]} == {topic.name for topic in TOPICS}
    assert next(topic["partitions"] for topic in found if topic["name"] == LIFECYCLE.name) == installation.partitions
    migrations = json.loads(milepost(installation, "migrate", "ls", "--json").stdout)["migrations"]
    assert {migration["state"] for migration in migrations} == {"applied"}


def test_both_engines_keep_what_they_acknowledged_over_kill_9(
    start_platform: Callable[[], Platform], milepost: Command
) -> None:
    own = start_platform()
    milepost(own.settings, "topics", "apply")
    milepost(own.settings, "migrate", "apply")
    producer = KafkaProducer(bootstrap_servers=own.settings.kafka_servers, acks="all")
    producer.send(LIFECYCLE.name, b"kept", partition=0).get(timeout=30)
    producer.close()

    for engine in ("kafka", "clickhouse"):
        own.kill(engine)
        own.restart(engine)

    consumer = KafkaConsumer(
        bootstrap_servers=own.settings.kafka_servers, auto_offset_reset="earliest", consumer_timeout_ms=20_000
    )
    consumer.assign([TopicPartition(LIFECYCLE.name, 0)])
    assert next(consumer).value == b"kept"
    consumer.close()
    migrations = json.loads(milepost(own.settings, "migrate", "ls", "--json").stdout)["migrations"]
    assert {migration["state"] for migration in migrations} == {"applied"}
