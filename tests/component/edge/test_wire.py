"""The service behind its real server: what slow, endless and oversized requests get."""

import asyncio
import socket
from collections.abc import AsyncIterator

import httpx
import pytest
import uvicorn

from milepost.edge import body
from milepost.edge.server import config
from milepost.orders.app import create_app
from milepost.settings import Settings

HEAD = b"POST /v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/cloudevents+json\r\n"


@pytest.fixture
async def port(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[int]:
    """A running service with the default limits, but short patience."""
    monkeypatch.setattr(body, "_DRAIN_SECONDS", 1.5)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(
            config(create_app(Settings(kafka="127.0.0.1:1", edge_patience_seconds=3)), "127.0.0.1", 0)
        )
        running = asyncio.create_task(server.serve([listener]))
        while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.02)
        yield listener.getsockname()[1]
        server.should_exit = True
        await running


async def _until_closed(port: int, *parts: bytes) -> bytes:
    """What the server says to ``parts`` before it closes the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for part in parts:
        writer.write(part)
        await writer.drain()
    async with asyncio.timeout(20):
        answer = await reader.read()
    writer.close()
    return answer


async def test_a_head_that_never_ends_is_cut(port: int) -> None:
    assert (await _until_closed(port, HEAD)).startswith(b"HTTP/1.1 408")


async def test_a_connection_that_says_nothing_is_cut(port: int) -> None:
    assert (await _until_closed(port)).startswith(b"HTTP/1.1 408")


async def test_a_head_without_bounds_is_cut(port: int) -> None:
    answer = await _until_closed(port, HEAD, b"X-Long: " + b"x" * 70_000)
    assert answer.startswith(b"HTTP/1.1 4")


async def test_a_body_that_never_ends_is_a_timeout(port: int) -> None:
    answer = await _until_closed(port, HEAD + b"Content-Length: 100\r\n\r\n", b"{")
    assert answer.startswith(b"HTTP/1.1 408")
    assert b"application/problem+json" in answer


async def test_a_body_of_6_mib_is_too_large_and_its_sender_reads_so(port: int) -> None:
    async with httpx.AsyncClient() as http:
        answer = await http.post(
            f"http://127.0.0.1:{port}/v1/events",
            content=b" " * (6 * 1024 * 1024),
            headers={"content-type": "application/cloudevents+json"},
        )
        assert answer.status_code == 413
        assert (await http.get(f"http://127.0.0.1:{port}/healthz")).status_code == 200


async def test_a_chunked_body_without_end_is_too_large(port: int) -> None:
    chunk = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
    answer = await _until_closed(port, HEAD + b"Transfer-Encoding: chunked\r\n\r\n", *[chunk] * 8)
    assert answer.startswith(b"HTTP/1.1 413")


async def test_a_forwarding_header_does_not_make_a_stranger_a_local(port: int) -> None:
    async with httpx.AsyncClient() as http:
        answer = await http.post(
            f"http://127.0.0.1:{port}/v1/orders", json={}, headers={"x-forwarded-for": "127.0.0.1"}
        )
    assert answer.status_code == 403


async def test_several_requests_go_over_one_connection(port: int) -> None:
    async with httpx.AsyncClient(limits=httpx.Limits(max_connections=1)) as http:
        for _ in range(3):
            assert (await http.get(f"http://127.0.0.1:{port}/healthz")).status_code == 200
            await asyncio.sleep(0.4)
