"""Posting events to an edge service: what a program of ours that sends events uses."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import httpx
import msgspec

from milepost.edge.media_types import BATCH

_PASSING = {408, 425, 429, 500, 502, 503, 504}
_FIRST_PAUSE_SECONDS = 0.2
_LONGEST_PAUSE_SECONDS = 5.0
_REQUEST_SECONDS = 60.0
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}


class EdgeError(RuntimeError):
    """The edge did not take the events, and sending the same again at once will not help."""


class EdgeUnavailableError(EdgeError):
    """The edge could not be reached, or could not publish, for the whole time allowed; send the same again later."""


class EdgeDeniedError(EdgeError):
    """The key is missing, unknown, or lacks the right."""


@dataclass
class Answer:
    """What became of a batch; ``index`` in ``refused`` and ``warnings`` counts from 0 in the batch."""

    accepted: int = 0
    refused: list[dict[str, Any]] = field(default_factory=list)
    warnings: list[dict[str, Any]] = field(default_factory=list)

    def add(self, other: "Answer", offset: int) -> None:
        """Take in the answer to a later part of the batch, which begins at ``offset``."""
        self.accepted += other.accepted
        for entry in (*other.refused, *other.warnings):
            if entry["index"] is not None:
                entry["index"] += offset
        self.refused += other.refused
        self.warnings += other.warnings


class EdgeClient:
    """Posts batches of encoded events to ``url``; an ``async with`` closes its connections.

    ``retry_seconds``: how long one batch is sent again while the edge is away or cannot publish; the events'
    identities make that harmless. ``waiting`` is called with the reason before each pause.
    """

    def __init__(
        self,
        url: str,
        key: str | None = None,
        *,
        retry_seconds: float = 60.0,
        waiting: Callable[[str], None] = lambda _why: None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.url = url.rstrip("/")
        self._retry_seconds = retry_seconds
        self._waiting = waiting
        self._sleep = sleep
        headers = {"content-type": BATCH}
        if key:
            headers["authorization"] = f"Bearer {key}"
        self._http = httpx.AsyncClient(
            headers=headers,
            timeout=httpx.Timeout(_REQUEST_SECONDS, connect=5.0),
            trust_env=httpx.URL(self.url).host not in _LOOPBACK,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def post(self, events: Sequence[bytes]) -> Answer:
        """Send ``events`` and return what became of them. A batch too large for the edge goes in halves.

        Raises ``EdgeError``; some of the events may then be on the topic, and may be sent again.
        """
        response = await self._answered(b"[" + b",".join(events) + b"]")
        if response.status_code == 413:
            return await self._halves(events, response)
        document = _document(response)
        if "refused" not in document:
            raise _error(self.url, response, document)
        return Answer(document["accepted"], document["refused"], document.get("warnings", []))

    async def _halves(self, events: Sequence[bytes], response: httpx.Response) -> Answer:
        if len(events) == 1:
            errors = [{"pointer": "", "detail": str(_document(response).get("detail", "is too large"))}]
            return Answer(refused=[{"index": 0, "source": None, "id": None, "errors": errors}])
        middle = len(events) // 2
        answer = await self.post(events[:middle])
        answer.add(await self.post(events[middle:]), middle)
        return answer

    async def _answered(self, body: bytes) -> httpx.Response:
        """The first answer that is not a passing fault."""
        pause = _FIRST_PAUSE_SECONDS
        deadline = time.monotonic() + self._retry_seconds
        while True:
            wait = 0.0
            try:
                response = await self._http.post(f"{self.url}/v1/events", content=body)
            except httpx.TransportError as error:
                why = f"{self.url} cannot be reached ({type(error).__name__})"
            else:
                if response.status_code not in _PASSING:
                    return response
                why = f"{self.url} answers {response.status_code}: {_document(response).get('detail', '')}"
                wait = _seconds(response.headers.get("retry-after"))
            # Never sooner than told, and not all at the same moment.
            wait += pause * random.uniform(0.5, 1.0)  # noqa: S311
            if time.monotonic() + wait > deadline:
                raise EdgeUnavailableError(f"{why}; gave up after {self._retry_seconds:g} s")
            self._waiting(why)
            await self._sleep(wait)
            pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)


def _seconds(text: str | None) -> float:
    return float(text) if text is not None and text.isdecimal() and len(text) < 6 else 0.0


def _document(response: httpx.Response) -> dict[str, Any]:
    try:
        document = msgspec.json.decode(response.content)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {}
    return document if isinstance(document, dict) else {}


def _error(url: str, response: httpx.Response, document: dict[str, Any]) -> EdgeError:
    said = document.get("detail") or response.reason_phrase
    if response.status_code in (401, 403):
        return EdgeDeniedError(f"{url} does not let us in ({response.status_code}): {said}; set MILEPOST_EDGE_KEY")
    return EdgeError(f"{url} answers {response.status_code}: {said}")
