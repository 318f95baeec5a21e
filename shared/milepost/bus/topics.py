"""The topics on the broker: made, looked at, and brought to their declared configuration."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient
from kafka.errors import KafkaError

from milepost.bus import quotas
from milepost.bus.producer import MAX_RECORD_BYTES
from milepost.bus.quotas import QuotaError
from milepost.contracts.topics import TOPICS, Topic
from milepost.settings import Settings

_DAY_MS = 86_400_000
_MAX_MESSAGE_BYTES = 2 * MAX_RECORD_BYTES
"""A batch on the topic; a single record is smaller."""
_TIMEOUT_MS = 15_000
_BOOTSTRAP_MS = 8_000


class TopicsError(RuntimeError):
    """The broker cannot be reached or refuses; the message says which and why."""


@dataclass(frozen=True)
class TopicState:
    """A declared topic beside what the broker has. ``differs``: configuration as (found, declared)."""

    topic: Topic
    exists: bool
    partitions: int = 0
    replication: int = 0
    differs: dict[str, tuple[str | None, str]] = field(default_factory=dict)

    @property
    def in_order(self) -> bool:
        """Whether the topic is there, as declared."""
        return self.exists and not self.differs


def declared_config(topic: Topic, settings: Settings) -> dict[str, str]:
    """The configuration ``topic`` must have.

    Retention goes by a record's timestamp, so it must be the time of the append: with their own times, the
    records of a backfill would be deleted within minutes.
    """
    config = {
        "message.timestamp.type": "LogAppendTime",
        "max.message.bytes": str(_MAX_MESSAGE_BYTES),
        "cleanup.policy": "compact" if topic.compacted else "delete",
        "min.insync.replicas": "2" if settings.replication >= 3 else "1",
    }
    if not topic.compacted:
        config["retention.ms"] = str(settings.topic_retention_days * _DAY_MS)
    return config


def look(settings: Settings) -> list[TopicState]:
    """Every declared topic as the broker has it. Raises ``TopicsError``."""
    with _admin(settings) as admin:
        return _look(admin, settings)


def default_quotas(settings: Settings) -> dict[str, float]:
    """The quotas that every client of the broker has by default, by Kafka's names. Raises ``TopicsError``."""
    with _admin(settings) as admin:
        return quotas.look(admin)


def apply(settings: Settings) -> list[TopicState]:
    """Make what is missing and correct the configuration of what is there; never the number of partitions. Set the
    quotas that the settings ask for.

    Returns the state afterwards; safe to repeat and to run twice at once. Raises ``TopicsError``.
    """
    with _admin(settings) as admin:
        before = _look(admin, settings)
        missing = {state.topic.name: _creation(state.topic, settings) for state in before if not state.exists}
        if missing:
            made = admin.create_topics(missing, raise_errors=False)
            faults = [
                f"{topic['name']}: {topic.get('error_message') or topic['error_code']}"
                for topic in made["topics"]
                if topic["error_code"] not in (0, _ALREADY_EXISTS)
            ]
            if faults:
                raise TopicsError("the broker does not make the topics: " + "; ".join(faults))
            admin.wait_for_topics(list(missing))
        for state in before:
            if state.exists and state.differs:
                wanted = {name: declared for name, (_, declared) in state.differs.items()}
                admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, state.topic.name, wanted)])
        quotas.apply(admin, settings)
        return _look(admin, settings)


_ALREADY_EXISTS = 36


def _creation(topic: Topic, settings: Settings) -> dict[str, Any]:
    return {
        "num_partitions": settings.partitions if topic.partitioned else 1,
        "replication_factor": settings.replication,
        "configs": declared_config(topic, settings),
    }


def _look(admin: KafkaAdminClient, settings: Settings) -> list[TopicState]:
    known = set(admin.list_topics())
    names = [topic.name for topic in TOPICS if topic.name in known]
    found = {topic["name"]: topic for topic in admin.describe_topics(names)} if names else {}
    resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
    configs = admin.describe_configs(resources, config_filter="all").get("topic", {}) if names else {}
    return [_state(topic, found.get(topic.name), configs.get(topic.name, {}), settings) for topic in TOPICS]


def _state(
    topic: Topic, found: dict[str, Any] | None, config: dict[str, dict[str, Any]], settings: Settings
) -> TopicState:
    if found is None:
        return TopicState(topic, exists=False)
    differs = {
        name: (value, declared)
        for name, declared in declared_config(topic, settings).items()
        if (value := config.get(name, {}).get("value")) != declared
    }
    partitions = found["partitions"]
    replication = len(partitions[0]["replica_nodes"]) if partitions else 0
    return TopicState(topic, True, len(partitions), replication, differs)


@contextmanager
def _admin(settings: Settings) -> Iterator[KafkaAdminClient]:
    try:
        admin = KafkaAdminClient(
            bootstrap_servers=settings.kafka_servers.split(","),
            client_id="milepost-topics",
            request_timeout_ms=_TIMEOUT_MS,
            bootstrap_timeout_ms=_BOOTSTRAP_MS,
        )
    except (KafkaError, OSError) as error:
        raise TopicsError(f"no broker answers at {settings.kafka_servers}: {error}") from error
    try:
        yield admin
    except (KafkaError, QuotaError, OSError) as error:
        raise TopicsError(f"the broker at {settings.kafka_servers}: {error}") from error
    finally:
        admin.close()
