"""What posts to the edge sends the same again while that helps, and says why it stops."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from milepost.edge.client import EdgeClient, EdgeDeniedError, EdgeError, EdgeUnavailableError

TAKEN = {"accepted": 1, "refused": [], "warnings": []}


class Script:
    """A server that gives prepared answers in turn, the last one for ever, and keeps what it was sent."""

    def __init__(self) -> None:
        self.answers: list[Response] = [JSONResponse(TAKEN, 202)]
        self.bodies: list[bytes] = []
        self.headers: list[dict[str, str]] = []
        self.url = ""

    async def answer(self, request: Request) -> Response:
        """The next answer."""
        self.bodies.append(await request.body())
        self.headers.append(dict(request.headers))
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@pytest.fixture
async def script() -> AsyncIterator[Script]:
    """A running server with a script."""
    made = Script()
    app = Starlette(routes=[Route("/v1/events", made.answer, methods=["POST"])])
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        made.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
        running = asyncio.create_task(server.serve([listener]))
        while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.02)
        yield made
        server.should_exit = True
        await running


def _noting(pauses: list[float]) -> Callable[[float], Awaitable[None]]:
    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    return sleep


async def test_the_same_batch_is_sent_again_after_the_time_it_is_told(script: Script) -> None:
    script.answers = [
        JSONResponse({}, 503, headers={"Retry-After": "7"}),
        JSONResponse({}, 429, headers={"Retry-After": "9"}),
        Response("no such gateway", 502),
        JSONResponse(TAKEN, 202),
    ]
    pauses: list[float] = []
    said: list[str] = []
    async with EdgeClient(script.url, "key-1", waiting=said.append, sleep=_noting(pauses)) as client:
        answer = await client.post([b'{"a":1}', b"2"])
    assert answer.accepted == 1
    assert script.bodies == [b'[{"a":1},2]'] * 4
    assert [7 <= pauses[0] < 8, 9 <= pauses[1] < 10, 0 < pauses[2] < 2] == [True] * 3
    assert len(said) == 3
    assert script.headers[0]["authorization"] == "Bearer key-1"
    assert script.headers[0]["content-type"] == "application/cloudevents-batch+json"


async def test_it_gives_up_when_the_time_is_over(script: Script) -> None:
    script.answers = [JSONResponse({"detail": "no broker"}, 503, headers={"Retry-After": "60"})]
    async with EdgeClient(script.url, retry_seconds=30) as client:
        with pytest.raises(EdgeUnavailableError, match="no broker; gave up after 30 s"):
            await client.post([b"1"])
    assert len(script.bodies) == 1


@pytest.mark.parametrize("status", [401, 403])
async def test_who_is_not_let_in_is_told_so_at_once(script: Script, status: int) -> None:
    script.answers = [JSONResponse({"detail": "no"}, status)]
    async with EdgeClient(script.url) as client:
        with pytest.raises(EdgeDeniedError, match="MILEPOST_EDGE_KEY"):
            await client.post([b"1"])


async def test_refusals_of_sources_are_refused_events_and_no_reason_to_stop(script: Script) -> None:
    refused = [{"index": 0, "source": "/x", "id": "1", "errors": []}]
    script.answers = [JSONResponse({"accepted": 0, "refused": refused, "warnings": []}, 403)]
    async with EdgeClient(script.url) as client:
        assert (await client.post([b"1"])).refused == refused


@pytest.mark.parametrize("status", [200, 301, 404, 405, 415])
async def test_what_is_no_edge_is_said_at_once(script: Script, status: int) -> None:
    script.answers = [Response("hello", status)]
    async with EdgeClient(script.url) as client:
        with pytest.raises(EdgeError, match=str(status)):
            await client.post([b"1"])


async def test_what_is_too_large_goes_in_halves_and_keeps_its_numbers(script: Script) -> None:
    refused = {"index": 1, "source": None, "id": None, "errors": []}
    script.answers = [
        JSONResponse({"detail": "too large"}, 413),
        JSONResponse({"accepted": 2, "refused": [], "warnings": []}, 202),
        JSONResponse({"accepted": 1, "refused": [refused], "warnings": []}, 207),
    ]
    async with EdgeClient(script.url) as client:
        answer = await client.post([b"1", b"2", b"3", b"4"])
    assert script.bodies == [b"[1,2,3,4]", b"[1,2]", b"[3,4]"]
    assert answer.accepted == 3
    assert [entry["index"] for entry in answer.refused] == [3]


async def test_a_single_event_that_is_too_large_is_refused(script: Script) -> None:
    script.answers = [JSONResponse({"detail": "too large"}, 413)]
    async with EdgeClient(script.url) as client:
        (entry,) = (await client.post([b"1"])).refused
    assert entry["errors"] == [{"pointer": "", "detail": "too large"}]
