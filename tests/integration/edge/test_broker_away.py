"""The broker goes and comes back: nothing is acknowledged that is not on the topic."""

import asyncio
import json
import time
from collections.abc import Callable

import httpx
import pytest

from milepost.bus import topics
from milepost.embedded.platform import Platform

from .conftest import open_edge, read_topic

pytestmark = pytest.mark.needs_platform

HEADERS = {"content-type": "application/cloudevents+json"}


def _ready(order: str, number: int) -> str:
    return json.dumps(
        {
            "specversion": "1.0",
            "id": f"e-{number}",
            "source": "/test",
            "type": "milepost.dispatch.ready.v1",
            "time": "2026-03-02T09:30:00Z",
            "subject": order,
            "data": {"order_id": order},
        }
    )


async def _until(http: httpx.AsyncClient, status: int) -> httpx.Response:
    """Asks whether it is ready until the answer is ``status``."""
    deadline = time.monotonic() + 60
    while True:
        answer = await http.get("/readyz")
        if answer.status_code == status:
            return answer
        assert time.monotonic() < deadline, answer.text
        await asyncio.sleep(0.1)


async def test_a_killed_broker_and_one_without_topics(start_platform: Callable[[], Platform]) -> None:
    platform = await asyncio.to_thread(start_platform)
    settings = platform.settings.model_copy(update={"publish_timeout_seconds": 2.0})
    accepted: set[str] = set()
    async with open_edge("orders", settings) as http:

        async def post(number: int) -> int:
            answer = await http.post("/v1/events", content=_ready(f"o-{number % 20}", number), headers=HEADERS)
            if answer.status_code == 202:
                accepted.add(f"e-{number}")
            else:
                assert int(answer.headers["retry-after"]) > 0
            return answer.status_code

        missing = (await _until(http, 503)).json()["missing"]
        assert "milepost topics apply" in missing[0]
        assert await post(-1) == 503

        await asyncio.to_thread(topics.apply, settings)
        await _until(http, 200)
        assert await post(-2) == 202

        posting = [asyncio.create_task(post(number)) for number in range(200)]
        await asyncio.sleep(0.01)
        await asyncio.to_thread(platform.kill, "kafka")
        statuses = set(await asyncio.gather(*posting)) | {await post(number) for number in range(200, 203)}
        assert statuses <= {202, 503}
        assert 503 in statuses
        assert (await _until(http, 503)).json()["missing"]
        assert await post(300) == 503

        await asyncio.to_thread(platform.restart, "kafka")
        await _until(http, 200)
        # What was answered 503 is sent again, as its sender is told to.
        for number in range(203):
            assert await post(number) == 202
    found = {record.event["id"] for record in await read_topic(settings, "o-")}
    assert accepted <= found
