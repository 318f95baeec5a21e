"""What is applied is followed: within a second, over a broker that goes, past what cannot be read."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from kafka import KafkaProducer
from kafka.admin import KafkaAdminClient, NewTopic

from milepost.bus import policy_topic, topics
from milepost.bus.policies import BUILT_IN, PolicyFollower
from milepost.contracts.topics import POLICIES
from milepost.domain.sla.policy import Policies
from milepost.embedded.parts import engines
from milepost.embedded.platform import Platform
from milepost.operations.policies import apply_policies
from milepost.policies.record import AppliedPolicies, digest_of
from milepost.settings import Service, Settings
from milepost.store.client import Store

from .conftest import FILE

pytestmark = pytest.mark.needs_platform


@asynccontextmanager
async def following(settings: Settings, topic: str = POLICIES.name) -> AsyncIterator[tuple[PolicyFollower, list[int]]]:
    heard: list[int] = []
    follower = PolicyFollower(settings.kafka_servers, lambda policies: heard.append(policies.version), topic)
    await follower.start()
    try:
        yield follower, heard
    finally:
        await follower.stop()


async def _until(what: Callable[[], object], seconds: float = 60.0) -> None:
    async with asyncio.timeout(seconds):
        while not what():  # noqa: ASYNC110 - looked at from outside, as a worker's pages do
            await asyncio.sleep(0.01)


def _record(version: int, document: str = FILE) -> AppliedPolicies:
    return AppliedPolicies(version, datetime.now(UTC), "me@here", digest_of(document), document)


async def test_what_is_applied_is_followed_within_a_second(
    none_in_force: Settings, store: Store, file_text: str
) -> None:
    async with following(none_in_force) as (follower, heard):
        assert await follower.wait_ready(60)
        assert (follower.current, follower.fault) == (BUILT_IN, None)
        delays: list[float] = []
        for limit in ("15m", "16m", "17m"):
            text = file_text.replace("15m", limit)
            done = await asyncio.to_thread(apply_policies, none_in_force, store, text, "me", "why")
            applied = time.monotonic()
            await _until(lambda done=done: follower.current.version == done.now.version)  # type: ignore[misc]
            delays.append(time.monotonic() - applied)
        assert min(delays) < 1.0
        assert follower.current == done.now.policies()
        assert heard == [done.now.version - 2, done.now.version - 1, done.now.version]
        # Taken away again.
        await asyncio.to_thread(policy_topic.publish, none_in_force, None)
        await _until(lambda: follower.current == BUILT_IN)


async def test_who_comes_later_goes_by_the_last_alone(none_in_force: Settings) -> None:
    for version in (7, 8, 9):
        await asyncio.to_thread(policy_topic.publish, none_in_force, _record(version))
    async with following(none_in_force) as (follower, heard):
        assert await follower.wait_ready(60)
        assert follower.current.version == 9
        assert heard == [9]


@pytest.fixture
def spoil(none_in_force: Settings) -> Callable[[bytes], Awaitable[None]]:
    """Puts any bytes on the topic."""

    def put(value: bytes) -> None:
        producer = KafkaProducer(bootstrap_servers=none_in_force.kafka_servers, acks="all")
        producer.send(POLICIES.name, value, policy_topic.KEY).get(30)
        producer.close()

    async def put_aside(value: bytes) -> None:
        await asyncio.to_thread(put, value)

    return put_aside


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (b"\xff", "JSON"),
        (policy_topic.encoded(_record(4, "format: 2\npolicies: []\n")), "1:9: /format"),
        (policy_topic.encoded(_record(4)).replace(b"15m", b"99m"), "digest"),
    ],
    ids=["no JSON", "of another format", "altered"],
)
async def test_what_cannot_be_read_is_said_and_the_last_good_one_stays(
    none_in_force: Settings, spoil: Callable[[bytes], Awaitable[None]], value: bytes, said: str
) -> None:
    await asyncio.to_thread(policy_topic.publish, none_in_force, _record(3))
    async with following(none_in_force) as (follower, heard):
        assert await follower.wait_ready(60)
        await spoil(value)
        await _until(lambda: follower.fault)
        assert said in str(follower.fault)
        assert follower.current.version == 3
        # Whoever starts now must not be left with nothing.
        async with following(none_in_force) as (later, _):
            assert await later.wait_ready(60)
            assert later.current.version == 3
            assert said in str(later.fault)
        await asyncio.to_thread(policy_topic.publish, none_in_force, _record(5))
        await _until(lambda: follower.current.version == 5)
        assert follower.fault is None
        assert heard == [3, 5]


async def test_after_compaction_the_last_is_still_there(installation: Settings, unique: str) -> None:
    """A topic of its own with segments of a moment, so that the broker's cleaner gets at them."""
    config = {
        "cleanup.policy": "compact",
        "segment.ms": "100",
        "min.cleanable.dirty.ratio": "0.0",
        "max.compaction.lag.ms": "100",
        "message.timestamp.type": "LogAppendTime",
    }

    def fill() -> None:
        admin = KafkaAdminClient(bootstrap_servers=installation.kafka_servers)
        admin.create_topics([NewTopic(unique, 1, 1, topic_configs=config)])
        admin.wait_for_topics([unique])
        admin.close()
        producer = KafkaProducer(bootstrap_servers=installation.kafka_servers, acks="all")
        for version in range(1, 6):
            producer.send(unique, policy_topic.encoded(_record(version)), policy_topic.KEY).get(30)
            time.sleep(0.15)
        producer.close()

    await asyncio.to_thread(fill)
    async with following(installation, unique) as (follower, heard):
        assert await follower.wait_ready(60)
        assert follower.current.version == 5
        assert heard == [5]


@pytest.fixture
def broker(tmp_path: Path, free_settings: Callable[[], Settings]) -> Iterator[Platform]:
    """A broker of the test's own, not started yet."""
    one = Platform(tmp_path, free_settings())
    one.add(next(part for part in engines(tmp_path, one.settings) if part.name == Service.KAFKA.value))
    yield one
    one.stop()


@pytest.mark.embedded_only
async def test_a_broker_that_is_away_at_first_and_again_later(
    broker: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("milepost.bus.policies._LOOK_SECONDS", 1.0)
    monkeypatch.setattr("milepost.bus.policies._ANSWER_SECONDS", 2.0)
    own = broker
    async with following(own.settings) as (follower, heard):
        assert not await follower.wait_ready(0.2)
        await _until(lambda: "cannot be reached" in str(follower.fault))
        assert follower.current == BUILT_IN
        await asyncio.to_thread(own.start, Service.KAFKA.value)
        await _until(lambda: "has no topic" in str(follower.fault))
        await asyncio.to_thread(topics.apply, own.settings)
        assert await follower.wait_ready(60)
        await asyncio.to_thread(policy_topic.publish, own.settings, _record(1))
        await _until(lambda: follower.current.version == 1)
        own.kill(Service.KAFKA.value)
        await _until(lambda: follower.fault)
        assert (follower.current.version, follower.ready) == (1, True)
        await asyncio.to_thread(own.start, Service.KAFKA.value)
        await asyncio.to_thread(policy_topic.publish, own.settings, _record(2))
        await _until(lambda: follower.current.version == 2)
        assert follower.fault is None
        assert heard == [1, 2]


async def test_a_listener_that_fails_does_not_end_the_following(none_in_force: Settings) -> None:
    def listen(_: Policies) -> None:
        raise LookupError("a fault of the listener's own")

    follower = PolicyFollower(none_in_force.kafka_servers, listen)
    await follower.start()
    for version in (1, 2):
        await asyncio.to_thread(policy_topic.publish, none_in_force, _record(version))
        await _until(lambda version=version: follower.current.version == version)  # type: ignore[misc]
    await follower.stop()
