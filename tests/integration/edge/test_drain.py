"""SIGTERM in the middle of a flood: what was acknowledged is on the topic, what was taken in hand is answered."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from milepost.embedded.platform import Platform
from milepost.embedded.process import Part, environment, spawn, stop, wait_ready
from milepost.settings import Service, Settings

from .conftest import OnTopic

pytestmark = pytest.mark.needs_platform

POSTERS = 24
BATCH = 20
DRAIN_SECONDS = 12.0


def _edge(settings: Settings, folder: Path) -> subprocess.Popen[bytes]:
    command = (sys.executable, "-m", "milepost.cli", "run", "orders")
    port = settings.port_of(Service.ORDERS)
    part = Part("orders", command, port, "/readyz", environment=environment(settings))
    process = spawn(part, folder / "edge.log")
    wait_ready(part, process, 60, folder / "edge.log")
    return process


def _batch(prefix: str, first: int) -> str:
    return json.dumps(
        [
            {
                "specversion": "1.0",
                "id": f"{prefix}-{number}",
                "source": "/test",
                "type": "milepost.dispatch.ready.v1",
                "time": "2026-03-02T09:30:00Z",
                "subject": f"{prefix}-o-{number % 200}",
                "data": {"order_id": f"{prefix}-o-{number % 200}"},
            }
            for number in range(first, first + BATCH)
        ]
    )


async def test_a_flood_and_sigterm(
    broker: Settings,
    tmp_path: Path,
    unique: str,
    free_settings: Callable[[], Settings],
    on_topic: Callable[[str], Any],
) -> None:
    settings = free_settings().model_copy(update={"kafka": broker.kafka_servers})
    process = await asyncio.to_thread(_edge, settings, tmp_path)
    accepted: list[str] = []
    outcomes: Counter[str] = Counter()
    stopping = asyncio.Event()
    numbers = iter(range(0, 100_000_000, BATCH))

    async def post_until_gone(http: httpx.AsyncClient) -> None:
        while True:
            first = next(numbers)
            try:
                answer = await http.post("/v1/events", content=_batch(unique, first))
            except httpx.TransportError as error:
                outcomes[type(error).__name__] += 1
                if stopping.is_set() and process.poll() is not None:
                    return
                await asyncio.sleep(0.02)
                continue
            outcomes[str(answer.status_code)] += 1
            if answer.status_code == 202:
                accepted.extend(f"{unique}-{number}" for number in range(first, first + BATCH))

    headers = {"content-type": "application/cloudevents-batch+json"}
    url = settings.url_of(Service.ORDERS)
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=30) as http, asyncio.TaskGroup() as group:
        for _ in range(POSTERS):
            group.create_task(post_until_gone(http))
        while len(accepted) < 4_000:  # noqa: ASYNC110 - a count has no event
            await asyncio.sleep(0.01)
        stopping.set()
        began = time.monotonic()
        await asyncio.to_thread(stop, process, DRAIN_SECONDS + 5)
        assert time.monotonic() - began < DRAIN_SECONDS
    assert "Traceback" not in (tmp_path / "edge.log").read_text()
    # Whoever came too late was not let in; whoever was in got an answer that holds.
    assert set(outcomes) <= {"202", "503", "ConnectError", "RemoteProtocolError", "ReadError", "WriteError"}, outcomes
    found: list[OnTopic] = await on_topic(f"{unique}-o-")
    on_it = Counter(record.event["id"] for record in found)
    assert not set(accepted) - set(on_it)
    # An acknowledged event was published once: sending it again was never called for.
    assert {on_it[one] for one in accepted} == {1}


@pytest.mark.embedded_only
async def test_what_waits_for_the_broker_is_answered_before_the_end(
    broker: Settings, platform: Platform, tmp_path: Path, unique: str, free_settings: Callable[[], Settings]
) -> None:
    """The broker stands still while the edge is told to stop: who waits gets the acknowledgement once it goes on."""
    settings = free_settings().model_copy(update={"kafka": broker.kafka_servers})
    process = await asyncio.to_thread(_edge, settings, tmp_path)
    url = settings.url_of(Service.ORDERS)
    headers = {"content-type": "application/cloudevents-batch+json"}
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=30) as http:
        assert (await http.post("/v1/events", content=_batch(unique, 0))).status_code == 202
        os.killpg(platform.pid("kafka"), signal.SIGSTOP)
        try:
            posting = [
                asyncio.create_task(http.post("/v1/events", content=_batch(unique, n * BATCH))) for n in range(5)
            ]
            await asyncio.sleep(0.5)
            ending = asyncio.create_task(asyncio.to_thread(stop, process, DRAIN_SECONDS + 5))
            await asyncio.sleep(1.0)
            assert not any(one.done() for one in posting)
            with pytest.raises(httpx.ConnectError):
                await http.get("/healthz")
        finally:
            os.killpg(platform.pid("kafka"), signal.SIGCONT)
        assert {answer.status_code for answer in await asyncio.gather(*posting)} == {202}
        await ending
