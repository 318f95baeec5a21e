"""An open-loop flood of three times what the edge can take: accepted soon or told to wait, and others get in."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import psutil
import uvloop

from bench.posting import Connection, connect, quantile
from milepost.access.keys import KeyFile, Right, new_key, write_keys
from milepost.settings import Service
from soak import city
from soak.stage import Stage, running
from soak.watch import MEBIBYTE, metric
from support.spine import EDGE

PREPARED = 20_000
CALIBRATION_SECONDS = 3.0
CALIBRATION_CONNECTIONS = 16
OVERLOAD = 3.0
CONNECTIONS = 900
NEIGHBOUR_POSTS_A_SECOND = 20
SHAPES = {"batches of 500": 500, "single posts": 1}
STRUCTURED, BATCHED = "application/cloudevents+json", "application/cloudevents-batch+json"


def soak(folder: Path, seconds: int, say: Callable[[str], None]) -> dict[str, Any]:
    """For batches and single posts: capacity, then a flood of ``seconds`` with a quiet neighbour; figures, faults."""
    known = city.simulate(PREPARED, folder / "city")
    made = [new_key(name, (Right.WRITE,), "/", None) for name in ("flood", "neighbour")]
    write_keys(folder / "keys.json", KeyFile(tuple(stored for _, stored in made)))
    flooder, neighbour = (key for key, _ in made)
    events = [event for batch in known.batches(500) for event in batch]
    figures: dict[str, Any] = {}
    faults: list[str] = []
    with running(folder / "platform", keys=folder / "keys.json") as stage:
        port = stage.settings.port_of(Service.ORDERS)
        quiet = [_request(port, neighbour, STRUCTURED, event) for event in events[:1_000]]
        for name, size in SHAPES.items():
            requests = _requests(port, flooder, events, size)
            say(name)
            found = uvloop.run(_flood(stage, requests, quiet, seconds))
            figures |= {f"{name}: {key}": value for key, value in found.items()}
            if found["neighbour_not_accepted"]:
                faults.append(f"{name}: {found['neighbour_not_accepted']} posts of the neighbour not accepted")
            if not found["told_to_wait"]:
                faults.append(f"{name}: nobody was told to wait")
    return {"figures": figures, "faults": faults}


def _requests(port: int, key: str, events: list[bytes], size: int) -> list[bytes]:
    if size == 1:
        return [_request(port, key, STRUCTURED, event) for event in events]
    rest = iter(events)
    made = []
    while batch := list(islice(rest, size)):
        made.append(_request(port, key, BATCHED, b"[" + b",".join(batch) + b"]"))
    return made


def _request(port: int, key: str, kind: str, body: bytes) -> bytes:
    head = (
        f"POST /v1/events HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: {kind}\r\n"
        f"Authorization: Bearer {key}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def _flood(stage: Stage, requests: list[bytes], quiet: list[bytes], seconds: int) -> dict[str, Any]:
    port = stage.settings.port_of(Service.ORDERS)
    process = psutil.Process(stage.platform.pid(EDGE))
    before = process.memory_info().rss
    # What the edge takes when each sender awaits its answers.
    closed = Flood(port, requests, 1e9, CALIBRATION_CONNECTIONS)
    await closed.run(CALIBRATION_SECONDS)
    capacity = closed.statuses[202] / CALIBRATION_SECONDS
    refused = await asyncio.to_thread(metric, stage.edge_url, "milepost_edge_refusals_total")
    flood = Flood(port, requests, capacity * OVERLOAD, CONNECTIONS)
    neighbour = Flood(port, quiet, NEIGHBOUR_POSTS_A_SECOND, CONNECTIONS)
    peak = before
    running_both = asyncio.gather(flood.run(seconds), neighbour.run(seconds))
    while not running_both.done():
        peak = max(peak, process.memory_info().rss)
        await asyncio.sleep(0.1)
    await running_both
    told = await asyncio.to_thread(metric, stage.edge_url, "milepost_edge_refusals_total") - refused
    return {
        "capacity_posts_a_second": round(capacity),
        "calm_p99_ms": round(quantile(closed.accepted, 0.99) * 1e3),
        "offered_posts_a_second": round(flood.sent / seconds),
        "accepted_posts_a_second": round(flood.statuses[202] / seconds),
        "accepted_p50_ms": round(quantile(flood.accepted, 0.5) * 1e3),
        "accepted_p99_ms": round(quantile(flood.accepted, 0.99) * 1e3),
        "answers": dict(flood.statuses),
        "told_to_wait": round(told),
        "broken_connections": flood.broken + neighbour.broken,
        "neighbour_accepted_p99_ms": round(quantile(neighbour.accepted, 0.99) * 1e3),
        "neighbour_not_accepted": neighbour.sent - neighbour.statuses[202],
        "edge_mib_before": round(before / MEBIBYTE),
        "edge_mib_most": round(peak / MEBIBYTE),
        "edge_mib_after": round(process.memory_info().rss / MEBIBYTE),
    }


class Flood:
    """Posts at a rate, whether or not there have been answers, over at most ``connections`` connections."""

    def __init__(self, port: int, requests: list[bytes], rate: float, connections: int) -> None:
        self.statuses: Counter[int] = Counter()
        self.accepted: list[float] = []
        self.sent = 0
        self.broken = 0
        self._port = port
        self._requests = requests
        self._rate = rate
        self._most = connections
        self._open = 0
        self._free: list[Connection] = []

    async def run(self, seconds: float) -> None:
        """Post for so long, and await the answers to all."""
        began = time.monotonic()
        tasks: set[asyncio.Task[None]] = set()
        while (now := time.monotonic()) - began < seconds:
            due = int((now - began) * self._rate) + 1 if self._rate < 1e9 else self.sent + self._most
            while self.sent < due and len(tasks) < self._most:
                task = asyncio.create_task(self._post(self._requests[self.sent % len(self._requests)]))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
                self.sent += 1
            await asyncio.sleep(0.001)
        await asyncio.gather(*tasks)
        for line in self._free:
            line.close()

    async def _post(self, request: bytes) -> None:
        began = time.monotonic()
        while self._free and not self._free[-1].open:
            self._free.pop()
        try:
            line = self._free.pop() if self._free else await connect(self._port)
            status = await line.post(request)
        except OSError:
            self.broken += 1
            return
        self.statuses[status] += 1
        if status == 202:
            self.accepted.append(time.monotonic() - began)
        self._free.append(line)
