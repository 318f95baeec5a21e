"""The embedded broker is a real one: what it acknowledged is there after any end."""

from collections.abc import Callable
from pathlib import Path

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import NewTopic

from milepost.embedded import kafka
from milepost.embedded.platform import Platform
from milepost.embedded.process import Part, environment
from milepost.settings import Service

pytestmark = pytest.mark.needs_platform


def produce(servers: str, values: range) -> None:
    producer = KafkaProducer(bootstrap_servers=servers, acks="all")
    sent = [producer.send("kept", str(value).encode(), partition=0) for value in values]
    for one in sent:
        one.get(timeout=30)
    producer.close()


def consume(servers: str, count: int) -> list[int]:
    consumer = KafkaConsumer(bootstrap_servers=servers, auto_offset_reset="earliest", consumer_timeout_ms=20_000)
    consumer.assign([TopicPartition("kept", 0)])
    got = [int(record.value) for _, record in zip(range(count), consumer, strict=False)]
    consumer.close()
    return got


def test_acknowledged_records_survive_kill_9_and_other_ports(start_platform: Callable[[], Platform]) -> None:
    own = start_platform()
    servers = own.settings.kafka_servers
    admin = KafkaAdminClient(bootstrap_servers=servers)
    admin.create_topics([NewTopic("kept", 1, 1)])
    admin.close()
    produce(servers, range(1000))
    own.kill("kafka")
    own.restart("kafka")
    produce(servers, range(1000, 1500))
    assert consume(servers, 1500) == list(range(1500))

    own.kill("kafka")
    moved = own.settings.model_copy(update={"port_base": own.settings.port_base + 2})
    argv = kafka.argv(own.data / "kafka")
    own.add(Part("kafka", tuple(argv), moved.port_of(Service.KAFKA), environment=environment(moved)))
    own.start("kafka")
    assert consume(moved.kafka_servers, 1500) == list(range(1500))


def test_storage_is_formatted_once(platform: Platform, tmp_path: Path) -> None:
    first = kafka.prepare(tmp_path / "kafka", platform.settings)
    cluster = (tmp_path / "kafka" / "log" / "meta.properties").read_text()
    assert kafka.prepare(tmp_path / "kafka", platform.settings) == first
    assert (tmp_path / "kafka" / "log" / "meta.properties").read_text() == cluster
