"""`milepost topics` makes, checks and mends the topics, and never touches the number of partitions."""

import json
import subprocess
from collections.abc import Callable

import pytest
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient

from milepost.bus import topics
from milepost.contracts.topics import LIFECYCLE, TOPICS
from milepost.settings import Settings

pytestmark = pytest.mark.needs_platform

Command = Callable[..., subprocess.CompletedProcess[str]]


def test_every_topic_is_there_as_declared(broker: Settings, milepost: Command) -> None:
    rows = json.loads(milepost(broker, "topics", "check", "--json").stdout)
    assert {row["name"] for row in rows} == {topic.name for topic in TOPICS}
    assert all(row["in_order"] for row in rows)
    (lifecycle,) = (row for row in rows if row["name"] == LIFECYCLE.name)
    assert lifecycle["partitions"] == broker.partitions
    assert topics.declared_config(LIFECYCLE, broker)["message.timestamp.type"] == "LogAppendTime"


def test_applying_again_changes_nothing_not_even_partitions(broker: Settings, milepost: Command) -> None:
    more = broker.model_copy(update={"partitions": broker.partitions + 3})
    milepost(more, "topics", "apply")
    (lifecycle,) = (state for state in topics.look(broker) if state.topic is LIFECYCLE)
    assert lifecycle.partitions == broker.partitions


def test_a_changed_configuration_is_found_and_mended(broker: Settings, milepost: Command) -> None:
    admin = KafkaAdminClient(bootstrap_servers=broker.kafka_servers.split(","))
    try:
        admin.alter_configs(
            [ConfigResource(ConfigResourceType.TOPIC, "milepost.sla.v1", {"message.timestamp.type": "CreateTime"})]
        )
    finally:
        admin.close()
    checked = milepost(broker, "topics", "check", check=False)
    assert checked.returncode == 1
    assert "message.timestamp.type is CreateTime, declared LogAppendTime" in checked.stdout
    milepost(broker, "topics", "apply")
    assert milepost(broker, "topics", "ls").stdout.count("in order") == len(TOPICS)


def test_without_a_broker_it_says_so(milepost: Command) -> None:
    done = milepost(Settings(kafka="127.0.0.1:1"), "topics", "ls", check=False)
    assert done.returncode == 1
    assert "127.0.0.1:1" in done.stderr
    assert "Traceback" not in done.stderr


def test_quotas_are_set_where_the_settings_ask_for_them(broker: Settings, milepost: Command) -> None:
    before = topics.default_quotas(broker)
    milepost(broker, "topics", "apply")
    assert topics.default_quotas(broker) == before
    generous = broker.model_copy(update={"quota_producer_bytes": 10**9, "quota_request_percent": 500})
    milepost(generous, "topics", "apply")
    milepost(broker, "topics", "apply")
    wanted = {"producer_byte_rate": 1e9, "request_percentage": 500.0}
    assert topics.default_quotas(broker) == before | wanted
    none = broker.model_copy(update={"quota_producer_bytes": 0, "quota_request_percent": 0})
    milepost(none, "topics", "apply")
    assert topics.default_quotas(broker) == {name: value for name, value in before.items() if name not in wanted}
