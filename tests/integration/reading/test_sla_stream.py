"""The stream of SLA events from a real server over the real engine: nothing missed, nothing twice, and a clean end."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from sla_rows import MINUTE, sla_row

from milepost.access.keys import KeyFile, Right, new_key, write_keys
from milepost.edge.server import config
from milepost.insights.app import create_app
from milepost.insights.sla import feed as feeding
from milepost.insights.sla import stream as streaming
from milepost.insights.sla.feed import Feed, TooManyError
from milepost.insights.sla.news import News
from milepost.settings import Settings
from milepost.store.client import Store, reader, writer
from milepost.store.tables import SLA_EVENTS

pytestmark = pytest.mark.needs_platform
PATIENCE = 30.0


@asynccontextmanager
async def served(settings: Settings) -> AsyncIterator[tuple[str, uvicorn.Server]]:
    """The insights service on a free port, as ``milepost run insights`` serves it."""
    server = uvicorn.Server(config(create_app(settings), "127.0.0.1", 0))
    running = asyncio.create_task(server.serve())
    try:
        await until(lambda: server.started)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}", server
    finally:
        server.should_exit = True
        await running


async def until(condition: Callable[[], Any]) -> None:
    """Wait until something holds."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - what is waited for knows no event
            await asyncio.sleep(0.02)


class Client:
    """Somebody who listens, and keeps every message as its fields."""

    def __init__(self, base: str, **parameters: str) -> None:
        self.url = f"{base}/v1/sla/events"
        self.parameters = parameters
        self.messages: list[dict[str, str]] = []
        self.heard = 0
        self._task: asyncio.Task[None] | None = None

    async def listen(self, **headers: str) -> "Client":
        """Begin, and wait until the service says that it is heard."""
        self._task = asyncio.create_task(self._read(headers))
        await until(lambda: self.heard or (self._task and self._task.done()))
        return self

    async def _read(self, headers: dict[str, str]) -> None:
        async with httpx.AsyncClient(timeout=PATIENCE) as http:
            asked = http.stream("GET", self.url, params=self.parameters, headers=headers)
            async with asked as answer:
                assert answer.status_code == 200, await answer.aread()
                assert answer.headers["content-type"].startswith("text/event-stream")
                fields: dict[str, str] = {}
                async for line in answer.aiter_lines():
                    if not line:
                        self.heard += 1
                        if "event" in fields:
                            self.messages.append(fields)
                        fields = {}
                    elif not line.startswith(":"):
                        name, _, value = line.partition(": ")
                        fields[name] = value

    async def leave(self) -> None:
        """Close the connection."""
        assert self._task
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def ended(self) -> None:
        """Wait until the service has closed it."""
        assert self._task
        await asyncio.wait_for(self._task, PATIENCE)

    @property
    def told(self) -> list[str]:
        """The orders it was told of."""
        return [json.loads(message["data"])["order_id"] for message in self.messages if message["event"] == "sla"]

    @property
    def last(self) -> str:
        """The id of the last event."""
        return self.messages[-1]["id"]


def row(order_id: str, ago: timedelta = timedelta(), **known: Any) -> tuple[Any, ...]:
    at = datetime.now(UTC) - ago
    return sla_row(order_id, "promise", at, "breached", "late", at, **known)


async def store_rows(store: Store, *rows: tuple[Any, ...]) -> None:
    await asyncio.to_thread(store.insert, SLA_EVENTS, rows)


async def metric(base: str, name: str) -> float:
    async with httpx.AsyncClient() as http:
        text = (await http.get(f"{base}/metrics")).text
    (line,) = (line for line in text.splitlines() if line.startswith(f"{name} "))
    return float(line.split()[1])


async def test_everybody_is_told_what_is_asked_for_once(installation: Settings, unique: str) -> None:
    before, one, two, other = (f"{unique}-{name}" for name in ("before", "one", "two", "other"))
    with writer(installation) as store:
        await store_rows(store, row(before, MINUTE))
        async with served(installation) as (base, _):
            everything = await Client(base).listen()
            here = await Client(base, hub_id="HAM-1", state="breached").listen()
            told = row(one)
            await store_rows(store, told, row(other, hub_id="HAM-1"))
            await until(lambda: len(everything.told) == 2)
            # Written late, as after a crash, and one of them again.
            await store_rows(store, row(two, MINUTE / 3), told)
            await until(lambda: two in everything.told)
            await until(lambda: here.told == [other])
            assert sorted(everything.told) == sorted([one, other, two])
            event = json.loads(everything.messages[0]["data"])
            assert (event["rule"], event["state"], event["said"][:24]) == (
                "promise",
                "breached",
                "it was not delivered by ",
            )
            assert await metric(base, "milepost_insights_listeners") == 2
            await here.leave()
            await everything.leave()
            async with asyncio.timeout(PATIENCE):
                while await metric(base, "milepost_insights_listeners"):  # noqa: ASYNC110
                    await asyncio.sleep(0.05)


async def test_who_comes_back_has_missed_nothing(installation: Settings, unique: str) -> None:
    names = [f"{unique}-{number}" for number in range(4)]
    with writer(installation) as store:
        async with served(installation) as (base, _):
            first = await Client(base).listen()
            await store_rows(store, row(names[0]))
            await until(lambda: first.told)
            await first.leave()
            await store_rows(store, row(names[1]))
            # To the same process, which still knows: exactly the rest.
            again = await Client(base).listen(**{"last-event-id": first.last})
            await until(lambda: again.told == [names[1]])
            await store_rows(store, row(names[2]))
            await until(lambda: again.told == names[1:3])
            await again.leave()
        await store_rows(store, row(names[3]))
        async with served(installation) as (base, _):
            # To another, which reads it from the store: all of the rest, perhaps with something told before.
            anew = await Client(base).listen(**{"last-event-id": again.last})
            await until(lambda: names[3] in anew.told)
            assert len(anew.told) == len(set(anew.told))
            await anew.leave()
            long_ago = int((datetime.now(UTC) - timedelta(days=2)).timestamp()) * 1_000_000
            late = await Client(base).listen(**{"last-event-id": f"{long_ago}:x"})
            await until(lambda: late.messages)
            assert late.messages[0]["event"] == "gap"
            await late.leave()
            async with httpx.AsyncClient() as http:
                wrong = await http.get(f"{base}/v1/sla/events", headers={"last-event-id": "yesterday"})
                assert (wrong.status_code, wrong.json()["errors"][0]["pointer"]) == (422, "/header/last-event-id")
                assert (await http.get(f"{base}/v1/sla/events", params={"state": "late"})).status_code == 422


async def test_a_server_that_stops_lets_everybody_go(installation: Settings) -> None:
    async with served(installation) as (base, server):
        listeners = [await Client(base).listen() for _ in range(3)]
        began = asyncio.get_running_loop().time()
        server.should_exit = True
        for one in listeners:
            await one.ended()
    # Nobody had to be thrown out after the grace.
    assert asyncio.get_running_loop().time() - began < 2.5


async def test_a_merchant_is_told_its_own_until_its_key_is_revoked(
    installation: Settings, unique: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "HEARTBEAT_SECONDS", 0.2)
    path = tmp_path / "keys.json"
    key, stored = new_key("m2", (Right.READ,), "/m2", "m2")
    write_keys(path, KeyFile((stored,)))
    bearer = {"authorization": f"Bearer {key}"}
    mine, other = f"{unique}-mine", f"{unique}-other"
    with writer(installation) as store:
        async with served(installation.model_copy(update={"keys": path})) as (base, _):
            async with httpx.AsyncClient() as http:
                assert (await http.get(f"{base}/v1/sla/events")).status_code == 401
                foreign = await http.get(f"{base}/v1/sla/events", params={"merchant_id": "m1"}, headers=bearer)
                assert foreign.status_code == 403
            listener = await Client(base).listen(**bearer)
            await store_rows(store, row(other, merchant_id="m1"))
            await store_rows(store, row(mine, merchant_id="m2"))
            await until(lambda: listener.told)
            assert listener.told == [mine]
            # A sign of life comes while nothing happens.
            heard = listener.heard
            await until(lambda: listener.heard > heard)
            write_keys(path, KeyFile(()))
            await listener.ended()


async def test_only_so_many_may_listen_and_a_slow_one_is_let_go(
    installation: Settings, unique: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeding, "MOST_WAITING", 5)
    monkeypatch.setattr(feeding, "MOST_RESUMED", 5)
    with writer(installation) as store, reader(installation) as asked:
        feed = Feed(asked, poll_seconds=0.05, most_listeners=2)
        slow = await feed.listen(lambda event: event.order_id.startswith(unique))
        quick = await feed.listen(lambda event: event.order_id.startswith(unique))
        with pytest.raises(TooManyError, match="too many"):
            await feed.listen(lambda _event: True)
        taken: list[bytes] = []
        for number in range(12):
            await store_rows(store, row(f"{unique}-{number}"))
            while len(taken) <= number:
                taken += await quick.next(PATIENCE)
        assert (quick.ended, slow.ended, await slow.next(1)) == (False, True, [])
        feed.leave(slow)
        # More was missed than is told again.
        first = taken[0].split(b"id: ")[-1].split(b":")[0].decode()
        back = await feed.listen(lambda _event: True, f"{first}:gone")
        assert b"event: gap" in (await back.next(PATIENCE))[0]
        await feed.closed()
        assert (quick.ended, back.ended) == (True, True)
        with pytest.raises(TooManyError, match="stops"):
            await feed.listen(lambda _event: True)


async def test_while_the_store_is_away_listeners_know(installation: Settings, unique: str) -> None:
    with writer(installation) as store, reader(installation) as asked:
        feed = Feed(asked, poll_seconds=0.05)
        listener = await feed.listen(lambda event: event.order_id.startswith(unique))
        there = asked._options["dsn"]
        asked._options["dsn"] = "http://127.0.0.1:9"
        asked.close()
        assert b"event: trouble" in (await listener.next(PATIENCE))[0]
        late = await feed.listen(lambda _event: False)
        assert b"event: trouble" in (await late.next(PATIENCE))[0]
        await store_rows(store, row(unique, timedelta(seconds=5)))
        asked._options["dsn"] = there
        asked.close()
        told: list[bytes] = []
        while not any(b"event: sla" in message for message in told):
            told += await listener.next(PATIENCE)
        assert b"event: mended" in told[0]
        await feed.closed()


def test_rows_that_come_very_late_are_found_by_the_long_look(
    installation: Settings, unique: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with writer(installation) as store, reader(installation) as asked:
        store.insert(SLA_EVENTS, [row(f"{unique}-known", MINUTE)])
        news = News(asked)
        news.begin(time.time_ns() // 1000)
        assert news.look() == []
        store.insert(SLA_EVENTS, [row(f"{unique}-late", 20 * MINUTE)])
        assert news.look() == []
        monkeypatch.setattr("milepost.insights.sla.news.LONG_EVERY_SECONDS", 0.0)
        assert [event.order_id for event in news.look()] == [f"{unique}-late"]
        assert news.look() == []
