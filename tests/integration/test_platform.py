"""What every other integration test stands on, on whichever platform the run is about."""

import json
import subprocess
from collections.abc import Callable

import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from pydantic import SecretStr

from milepost.contracts.topics import LIFECYCLE, TOPICS
from milepost.embedded.platform import Platform
from milepost.settings import Settings
from milepost.store.client import reader, writer
from milepost.store.errors import StoreError

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


def test_the_read_only_user_with_its_password_reads_and_does_not_write(
    start_platform: Callable[..., Platform], milepost: Command
) -> None:
    settings = start_platform(
        clickhouse_password=SecretStr("of-the-writer"), clickhouse_reader_password=SecretStr("of-the-reader")
    ).settings
    milepost(settings, "migrate", "apply")
    with reader(settings) as store:
        assert store.query("SELECT count() FROM orders") == [(0,)]
        with pytest.raises(StoreError):
            store.command("DROP TABLE orders_store")
    with writer(settings) as store:
        assert store.query("SELECT count() FROM orders_store") == [(0,)]
    stranger = settings.model_copy(update={"clickhouse_reader_password": SecretStr("wrong")})
    with reader(stranger) as store, pytest.raises(StoreError):
        store.query("SELECT 1")
