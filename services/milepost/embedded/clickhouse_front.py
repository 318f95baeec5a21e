"""ClickHouse's HTTP interface before the embedded engine: what clickhouse-connect's ordinary clients speak."""

import asyncio
import hmac
import secrets
import uuid
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from milepost.embedded.clickhouse_engine import Answer, Engine, EngineError
from milepost.embedded.clickhouse_request import BadRequestError, Request, credentials, read

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

CONCURRENT_QUERIES = 24
CONCURRENT_INSERTS = 8
MOST_BODY_BYTES = 1 << 30
_STATUS = {
    6: 400, 26: 400, 27: 400, 33: 400, 34: 400, 38: 400, 41: 400, 43: 400, 44: 400, 53: 400, 62: 400, 69: 400, 72: 400,
    117: 400, 271: 400, 386: 400, 457: 400,
    46: 404, 47: 404, 50: 404, 56: 404, 60: 404, 81: 404, 115: 404,
    48: 501, 159: 408, 241: 500, 307: 413, 516: 403,
}  # fmt: skip
"""HTTP status of an exception code where it is not 500, as the server's own interface answers."""


class _TooLargeError(Exception):
    """The body is over the limit."""


class _GoneError(Exception):
    """The client went away before its request was complete."""


@dataclass(frozen=True)
class Users:
    """Who may do what: one user that may write, one that may only read."""

    writer: str = "default"
    writer_password: str = ""
    reader: str = "milepost_reader"
    reader_password: str = ""

    def may_write(self, user: str, password: str) -> bool:
        """Whether this user may write.

        Raises:
            BadRequestError: no such user, or not its password.
        """
        for name, expected, writes in (
            (self.writer, self.writer_password, True),
            (self.reader, self.reader_password, False),
        ):
            if user == name and hmac.compare_digest(password.encode(), expected.encode()):
                return writes
        raise BadRequestError(
            516,
            "AUTHENTICATION_FAILED",
            f"{user}: Authentication failed: password is incorrect, or there is no user with such name",
        )


class Front:
    """The ASGI application. Statements run on threads of their own; the loop only moves bytes."""

    def __init__(self, engine: Engine, users: Users | None = None) -> None:
        self._engine = engine
        self._users = users or Users()
        # Inserts have threads of their own, so that a screenful of slow dashboards cannot hold up the processor.
        self._queries = ThreadPoolExecutor(CONCURRENT_QUERIES, thread_name_prefix="query")
        self._inserts = ThreadPoolExecutor(CONCURRENT_INSERTS, thread_name_prefix="insert")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            raise ValueError(f"only HTTP is served, not {scope['type']}")
        query_string: bytes = scope["query_string"]
        if scope["path"] in ("/ping", "/replicas_status") or (
            scope["path"] == "/" and scope["method"] == "GET" and not query_string
        ):
            await _send_whole(send, 200, [], b"Ok.\n")
            return
        if scope["path"] != "/":
            await _send_whole(send, 404, [], b"There is no handle for this path; use / or /ping.\n")
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        try:
            writes = self._users.may_write(*credentials(query_string, headers))
            body = await _body(receive)
            request = await asyncio.get_running_loop().run_in_executor(
                self._queries, read, scope["method"], query_string, headers, body
            )
            await self._serve(request if writes else replace(request, readonly=request.readonly or 2), send)
        except (BadRequestError, EngineError) as error:
            await _send_error(send, error)
        except _TooLargeError:
            await _send_error(send, BadRequestError(307, "TOO_MANY_BYTES", f"Body is over {MOST_BODY_BYTES} bytes"))
        except _GoneError:
            return

    async def _serve(self, request: Request, send: Send) -> None:
        loop = asyncio.get_running_loop()
        threads = self._inserts if request.insert_format else self._queries
        answer, first = await loop.run_in_executor(threads, self._start, request)
        tag = secrets.token_hex(8)
        told = [
            (b"x-clickhouse-summary", answer.summary_header.encode()),
            (b"x-clickhouse-format", request.output_format.encode()),
            (b"x-clickhouse-timezone", b"UTC"),
            (b"x-clickhouse-query-id", str(uuid.uuid4()).encode()),
            (b"x-clickhouse-exception-tag", tag.encode()),
        ]
        if len(first) < 2:
            await _send_whole(send, 200, told, first[0] if first else b"")
            return
        await send(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [*told, (b"content-type", b"application/octet-stream")],
            }
        )
        await send({"type": "http.response.body", "body": first[0], "more_body": True})
        chunk: bytes | None = first[1]
        while chunk is not None:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
            try:
                chunk = await loop.run_in_executor(threads, _next, answer.chunks)
            except EngineError as error:
                await send({"type": "http.response.body", "body": _late_error(error, tag), "more_body": True})
                break
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    def _start(self, request: Request) -> tuple[Answer, list[bytes]]:
        """Run the statement up to its second chunk, so that most errors come before the status line."""
        answer = self._engine.run(request)
        first = [chunk for chunk in (_next(answer.chunks), _next(answer.chunks)) if chunk is not None]
        return answer, first


def _next(chunks: Iterator[bytes]) -> bytes | None:
    return next(chunks, None)


async def _body(receive: Receive) -> list[bytes]:
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _GoneError
        chunk: bytes = message.get("body", b"")
        if chunk:
            chunks.append(chunk)
            size += len(chunk)
            if size > MOST_BODY_BYTES:
                raise _TooLargeError
        if not message.get("more_body", False):
            return chunks


async def _send_whole(send: Send, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    length = [(b"content-type", b"text/plain; charset=UTF-8"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": [*headers, *length]})
    await send({"type": "http.response.body", "body": body})


async def _send_error(send: Send, error: BadRequestError | EngineError) -> None:
    code = str(error.code).encode()
    await _send_whole(
        send, _STATUS.get(error.code, 500), [(b"x-clickhouse-exception-code", code)], f"{error}\n".encode()
    )


def _late_error(error: EngineError, tag: str) -> bytes:
    """An error after the status line, framed as the server frames it so that the client can tell it from data."""
    text = f"{error}\n"
    return f"\r\n__exception__\r\n{tag}\r\n{text}{len(text.encode())} {tag}\r\n__exception__\r\n".encode()
