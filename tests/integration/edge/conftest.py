"""Edge services before the real broker, and a reader of what they put on the topic."""

import asyncio
import importlib
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, NamedTuple

import httpx
import msgspec
import pytest
import uvicorn
from asgi_lifespan import LifespanManager
from kafka import KafkaConsumer, TopicPartition

from milepost.bus import topics
from milepost.contracts.topics import LIFECYCLE
from milepost.edge.server import config
from milepost.embedded.platform import Platform
from milepost.settings import Settings


class OnTopic(NamedTuple):
    """A record of the lifecycle topic."""

    partition: int
    key: str
    event: dict[str, Any]
    timestamp_type: int
    value: bytes


Edge = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]


@pytest.fixture(scope="session")
def broker(platform: Platform, settings: Settings) -> Settings:
    """The session's broker with its topics made."""
    topics.apply(settings)
    return settings


@asynccontextmanager
async def open_edge(service: str, settings: Settings, **options: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A client of ``service``, running in this process."""
    app = importlib.import_module(f"milepost.{service}.app").create_app(settings)
    async with (
        LifespanManager(app),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app=app), base_url="http://localhost", timeout=60, **options
        ) as http,
    ):
        yield http


@pytest.fixture
def edge(broker: Settings) -> Edge:
    """Opens a client of a service on the session's broker: ``async with edge("orders") as http``."""

    def make(service: str, **changes: Any) -> AbstractAsyncContextManager[httpx.AsyncClient]:
        return open_edge(service, broker.model_copy(update=changes))

    return make


async def read_topic(settings: Settings, prefix: str) -> list[OnTopic]:
    """Every record now on the topic whose key begins with ``prefix``, in the order of each partition."""
    return await asyncio.to_thread(_read_topic, settings, prefix.encode())


def _read_topic(settings: Settings, prefix: bytes) -> list[OnTopic]:
    consumer = KafkaConsumer(bootstrap_servers=settings.kafka_servers, enable_auto_commit=False)
    try:
        numbers = consumer.partitions_for_topic(LIFECYCLE.name)
        partitions = [TopicPartition(LIFECYCLE.name, number) for number in sorted(numbers)]
        consumer.assign(partitions)
        consumer.seek_to_beginning(*partitions)
        ends = consumer.end_offsets(partitions)
        found = []
        while any(consumer.position(partition) < ends[partition] for partition in partitions):
            for records in consumer.poll(timeout_ms=500, max_records=5000).values():
                found += [
                    OnTopic(
                        record.partition,
                        record.key.decode(),
                        msgspec.json.decode(record.value),
                        record.timestamp_type,
                        record.value,
                    )
                    for record in records
                    if record.key is not None and record.key.startswith(prefix)
                ]
        return found
    finally:
        consumer.close()


@pytest.fixture
def on_topic(broker: Settings) -> Callable[[str], Any]:
    """Reads what is on the session's topic: ``await on_topic(prefix_of_keys)``."""

    async def read(prefix: str) -> list[OnTopic]:
        return await read_topic(broker, prefix)

    return read


@asynccontextmanager
async def serve_edge(service: str, settings: Settings, port: int = 0) -> AsyncIterator[str]:
    """The service behind its real server; yields its URL."""
    app = importlib.import_module(f"milepost.{service}.app").create_app(settings)
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        server = uvicorn.Server(config(app, "127.0.0.1", 0))
        running = asyncio.create_task(server.serve([listener]))
        while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.02)
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            await running
