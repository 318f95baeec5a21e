"""A body is read within its limits, and gives back the memory it held."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

import pytest
from starlette.requests import Request

from milepost.edge.admission import Admission
from milepost.edge.body import BodyReader
from milepost.edge.pace import Pace
from milepost.edge.problems import ProblemError


def _request(*chunks: bytes, hang: bool = False, gone: bool = False, encoding: str | None = None) -> Request:
    waiting = list(chunks)

    async def receive() -> dict[str, Any]:
        if waiting:
            chunk = waiting.pop(0)
            return {"type": "http.request", "body": chunk, "more_body": bool(waiting) or hang or gone}
        if gone:
            return {"type": "http.disconnect"}
        await asyncio.sleep(3600)
        raise AssertionError

    headers = [(b"content-encoding", encoding.encode())] if encoding else []
    return Request({"type": "http", "method": "POST", "path": "/", "headers": headers}, receive)


async def _status(reader: BodyReader, request: Request) -> int:
    with pytest.raises(ProblemError) as error:
        await reader.read(request)
    return error.value.status


async def test_a_body_up_to_the_limit_is_read_whole() -> None:
    reader = BodyReader(10)
    assert await reader.read(_request(b"12345", b"67890")) == b"1234567890"
    assert await reader.read(_request(b"")) == b""


async def test_one_byte_more_is_too_large() -> None:
    assert await _status(BodyReader(10), _request(b"12345", b"678901")) == 413


async def test_reading_stops_far_beyond_the_limit() -> None:
    assert await _status(BodyReader(10), _request(*[b"x" * 10] * 100, hang=True)) == 413


async def test_a_body_that_does_not_arrive_is_a_timeout() -> None:
    assert await _status(BodyReader(10, seconds=0.05), _request(b"1", hang=True)) == 408


async def test_a_sender_that_goes_away_is_a_bad_request() -> None:
    assert await _status(BodyReader(10), _request(b"1", gone=True)) == 400


async def test_a_compressed_body_is_not_read() -> None:
    assert await _status(BodyReader(10), _request(b"1", encoding="gzip")) == 415
    assert await BodyReader(10).read(_request(b"1", encoding="identity")) == b"1"


@pytest.mark.parametrize(
    "first",
    [
        lambda: _request(b"x" * 60),
        lambda: _request(b"x" * 60, gone=True),
        lambda: _request(b"x" * 60, hang=True),
        lambda: _request(b"x" * 60, b"x" * 60),
        lambda: _request(*[b"x" * 60] * 20),
    ],
)
async def test_whatever_became_of_a_body_its_room_is_free_again(first: Callable[[], Request]) -> None:
    reader, admission = BodyReader(100, seconds=0.05), Admission(2, 100, Pace(100, 1.0))
    for _ in range(5):
        with contextlib.suppress(ProblemError), admission.enter("a", None) as ticket:
            await reader.read(first(), ticket.hold)
    assert (admission.requests, admission.size) == (0, 0)


async def test_what_there_is_no_room_for_is_not_read_on() -> None:
    reader, admission = BodyReader(1_000_000), Admission(10, 300_000, Pace(300_000, 1.0))
    with admission.enter("a", 200_000), admission.enter("b", None) as ticket:
        chunks = iter([b"x" * 60_000] * 10)
        with pytest.raises(ProblemError) as error:
            await reader.read(_request(*chunks, hang=True), ticket.hold)
        assert error.value.status == 429
        assert admission.size <= 300_000
