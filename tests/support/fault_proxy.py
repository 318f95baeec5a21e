"""A proxy before ClickHouse that misbehaves as it is told: refuses, stays silent, loses answers, delivers late."""

import asyncio
import contextlib
import re
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import unquote_plus

_INSERT = re.compile(r"INSERT\s+INTO\s+`?([A-Za-z0-9_.]+)`?", re.IGNORECASE)
_HEAD_LIMIT = 1 << 20
_BUSY = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 5\r\nConnection: close\r\n\r\nbusy\n"


@dataclass(frozen=True)
class Request:
    """One HTTP request, whole."""

    head: bytes
    body: bytes

    @property
    def table(self) -> str:
        """The table it inserts into, without the database; empty where it inserts nothing."""
        line = unquote_plus(self.head.split(b"\r\n", 1)[0].decode("latin-1"))
        found = _INSERT.search(line) or _INSERT.search(self.body[:2_000].decode("latin-1"))
        return found[1].rpartition(".")[2] if found else ""


Treatment = Callable[["Exchange"], Awaitable[None]]
Rule = Callable[[Request], Treatment]


@dataclass
class Exchange:
    """A request in the proxy's hands, and the client that waits for its answer."""

    proxy: "FaultProxy"
    request: Request
    client: asyncio.StreamWriter


async def forward(exchange: Exchange) -> None:
    """What a proxy is for."""
    await exchange.proxy.deliver(exchange.request, exchange.client)


async def busy(exchange: Exchange) -> None:
    """Answer 503."""
    exchange.client.write(_BUSY)
    await exchange.client.drain()


async def silence(exchange: Exchange) -> None:
    """Never answer, not even when all is well again: only the client's own patience ends it."""
    await exchange.proxy.stopped.wait()


async def cut(exchange: Exchange) -> None:
    """Take the request and close the connection, nothing delivered."""
    exchange.client.transport.abort()


async def lose_answer(exchange: Exchange) -> None:
    """Deliver the request, and close the connection instead of handing back the answer."""
    await exchange.proxy.deliver(exchange.request, None)
    exchange.client.transport.abort()


def late(seconds: float) -> Treatment:
    """Close the connection now, and deliver the request ``seconds`` later all the same."""

    async def treat(exchange: Exchange) -> None:
        exchange.client.transport.abort()
        exchange.proxy.later(exchange.request, seconds)

    return treat


def inserts(treatment: Treatment, *names: str) -> Rule:
    """``treatment`` for inserts into the tables ``names`` (into any where none is named); all else is forwarded."""

    def rule(request: Request) -> Treatment:
        table = request.table
        return treatment if table and (not names or table in names) else forward

    return rule


def everything(treatment: Treatment) -> Rule:
    """``treatment`` for every request."""
    return lambda _request: treatment


class FaultProxy:
    """Listens on a free loopback port before ``upstream_port``; ``rule`` says what becomes of each request."""

    def __init__(self, upstream_port: int) -> None:
        self.rule: Rule = everything(forward)
        self.port = 0
        self.stopped = asyncio.Event()
        self.struck = 0
        """Requests that were not simply forwarded."""
        self._upstream_port = upstream_port
        self._server: asyncio.Server | None = None
        self._clients: set[asyncio.StreamWriter] = set()
        self._delayed: set[asyncio.Task[None]] = set()
        self._serving: set[asyncio.Task[Any]] = set()

    async def __aenter__(self) -> Self:
        await self._listen()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.stopped.set()
        await self._close()
        waiting = {*self._delayed, *self._serving}
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}"

    @contextlib.contextmanager
    def ruled(self, rule: Rule) -> Iterator[None]:
        """Go by ``rule`` for a while."""
        before, self.rule = self.rule, rule
        try:
            yield
        finally:
            self.rule = before

    async def refuse(self, seconds: float) -> None:
        """Refuse connections for so long, and cut those that are open."""
        await self._close()
        try:
            await asyncio.sleep(seconds)
        finally:
            await self._listen()

    async def settle(self) -> None:
        """Wait until everything that was to come late has been delivered."""
        while self._delayed:
            await asyncio.wait(self._delayed)

    async def deliver(self, request: Request, client: asyncio.StreamWriter | None) -> None:
        """Hand ``request`` on, and its answer to ``client``; an engine that is away is a connection cut."""
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self._upstream_port)
        except OSError:
            if client is not None:
                client.transport.abort()
            return
        try:
            writer.write(request.head + request.body)
            await writer.drain()
            while chunk := await reader.read(1 << 16):
                if client is not None:
                    client.write(chunk)
                    await client.drain()
        except OSError:
            if client is not None:
                client.transport.abort()
        finally:
            writer.close()

    def later(self, request: Request, seconds: float) -> None:
        """Deliver ``request`` after so long, and again until it arrives: the engine may be away just then."""

        async def deliver() -> None:
            await asyncio.sleep(seconds)
            await self.deliver(request, None)

        task = asyncio.create_task(deliver())
        self._delayed.add(task)
        task.add_done_callback(self._delayed.discard)

    async def _listen(self) -> None:
        deadline = time.monotonic() + 5
        while True:
            try:
                self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, limit=_HEAD_LIMIT)
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(0.05)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for client in list(self._clients):
            client.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._clients.add(writer)
        task = asyncio.current_task()
        assert task is not None
        # The streams themselves forget it with its connection.
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)
        # A cancelled handler would be reported by the streams themselves; being stopped is no fault.
        with contextlib.suppress(asyncio.CancelledError):
            await self._treated(reader, writer)

    async def _treated(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = await _read(reader)
            if request is not None:
                treatment = self.rule(request)
                self.struck += treatment is not forward
                await treatment(Exchange(self, request, writer))
        except (OSError, asyncio.IncompleteReadError):
            writer.transport.abort()
        finally:
            self._clients.discard(writer)
            writer.close()


async def _read(reader: asyncio.StreamReader) -> Request | None:
    """The next request, None where the client has gone. It asks for the connection to be closed after the answer."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    lines = [line for line in head.split(b"\r\n") if line]
    kept, length, chunked = [lines[0]], 0, False
    for line in lines[1:]:
        name, _, value = line.partition(b":")
        match name.strip().lower():
            case b"content-length":
                length = int(value)
            case b"transfer-encoding":
                chunked = b"chunked" in value.lower()
            case b"connection":
                continue
            case _:
                kept.append(line)
    body = await _chunks(reader) if chunked else await reader.readexactly(length)
    kept += [b"Content-Length: %d" % len(body), b"Connection: close"]
    return Request(b"\r\n".join(kept) + b"\r\n\r\n", body)


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    found = bytearray()
    while True:
        size = int((await reader.readline()).split(b";")[0], 16)
        found += await reader.readexactly(size)
        await reader.readline()
        if size == 0:
            return bytes(found)
