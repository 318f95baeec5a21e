"""A lean HTTP client for measuring: prepared requests over kept connections, nothing parsed but status and length."""

import asyncio
import time
from collections.abc import Sequence
from typing import NamedTuple, cast

import uvloop

_LENGTH = b"content-length:"


class Connection(asyncio.Protocol):
    """One connection, one request at a time."""

    def __init__(self) -> None:
        self.open = True
        self._transport: asyncio.Transport | None = None
        self._received = b""
        self._waiting: asyncio.Future[int] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Finish the request once head and body are complete."""
        self._received += data
        head = self._received.find(b"\r\n\r\n")
        if head < 0 or self._waiting is None or self._waiting.done():
            return
        at = self._received.lower().find(_LENGTH, 0, head)
        length = int(self._received[at + len(_LENGTH) : self._received.index(b"\r\n", at)]) if at >= 0 else 0
        if len(self._received) < head + 4 + length:
            return
        status = int(self._received[9:12])
        self._received = b""
        waiting, self._waiting = self._waiting, None
        waiting.set_result(status)

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail what waits."""
        self.open = False
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(exc or ConnectionResetError("the server closed the connection"))

    async def post(self, request: bytes) -> int:
        """Send a whole request; the status of the answer."""
        assert self._transport is not None
        assert self._waiting is None
        self._waiting = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._waiting

    def close(self) -> None:
        """Close the connection."""
        if self._transport is not None:
            self._transport.close()


async def connect(port: int) -> Connection:
    """A connection to loopback."""
    _, connection = await asyncio.get_running_loop().create_connection(Connection, "127.0.0.1", port)
    return connection


def request(port: int, content_type: str, body: bytes) -> bytes:
    """A prepared POST of ``body`` to ``/v1/events``."""
    head = (
        f"POST /v1/events HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: {content_type}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class Load(NamedTuple):
    """What a closed loop of posts came to. ``client_busy`` is the share of a core the client itself used."""

    posts: int
    seconds: float
    refused: int
    p50_ms: float
    p99_ms: float
    client_busy: float


def hammer(port: int, requests: Sequence[bytes], connections: int, seconds: float) -> Load:
    """Post ``requests`` round and round for ``seconds``, each connection its next one as soon as it has an answer."""
    return uvloop.run(_hammer(port, requests, connections, seconds))


async def _hammer(port: int, requests: Sequence[bytes], connections: int, seconds: float) -> Load:
    lines = [await connect(port) for _ in range(connections)]
    took: list[float] = []
    refused = 0
    clock = time.perf_counter
    started, used = clock(), time.process_time()
    end = started + seconds

    async def one(line: Connection, number: int) -> None:
        nonlocal refused
        while (begun := clock()) < end:
            status = await line.post(requests[number % len(requests)])
            took.append(clock() - begun)
            refused += status != 202
            number += connections

    try:
        await asyncio.gather(*(one(line, number) for number, line in enumerate(lines)))
    finally:
        for line in lines:
            line.close()
    whole = clock() - started
    return Load(
        len(took), whole, refused, quantile(took, 0.5) * 1e3, quantile(took, 0.99) * 1e3,
        (time.process_time() - used) / whole,
    )  # fmt: skip


def quantile(values: Sequence[float], q: float) -> float:
    """The ``q`` quantile: the smallest value that at least that share does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(q * len(ordered)))] if ordered else float("nan")


async def post_on_schedule(
    port: int, requests: Sequence[bytes], a_second: float
) -> tuple[list[float], list[float], int]:
    """Post each request at its moment, ``a_second`` of them, however long others take.

    Gives the moments, how late each was sent, and how many were not taken.
    """
    free: list[Connection] = [await connect(port)]
    late: list[float] = []
    refused = 0

    async def one(content: bytes, at: float) -> None:
        nonlocal refused
        # The server closes connections that were idle for some seconds.
        while free and not free[-1].open:
            free.pop()
        line = free.pop() if free else await connect(port)
        late.append(time.monotonic() - at)
        refused += await line.post(content) != 202
        free.append(line)

    start = time.monotonic() + 0.1
    scheduled = [start + number / a_second for number in range(len(requests))]
    async with asyncio.TaskGroup() as group:
        for content, at in zip(requests, scheduled, strict=True):
            await asyncio.sleep(max(0.0, at - time.monotonic()))
            group.create_task(one(content, at))
    for line in free:
        line.close()
    return scheduled, late, refused
