"""Reading a request's body within bounds of size, time and memory."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

from starlette.requests import ClientDisconnect, Request

from milepost.edge.problems import ProblemError

READ_SECONDS = 30.0
"""How long a request may take to arrive."""
_DRAIN_SECONDS = 5.0
_DRAINED_BODIES = 4
"""An oversized body is read on and thrown away up to so many times the limit, so that its sender reads the answer."""
_CLOSE = {"Connection": "close"}


class BodyReader:
    """Reads bodies up to ``limit`` bytes that arrive within ``seconds``."""

    def __init__(self, limit: int, seconds: float = READ_SECONDS) -> None:
        self._limit = limit
        self._seconds = seconds

    def declared(self, request: Request) -> int | None:
        """How many bytes of the body will be held, as its sender declares; None where it does not say."""
        text = request.headers.get("content-length")
        if text is not None and text.isdecimal():
            return min(int(text), self._limit)
        return None if "transfer-encoding" in request.headers else 0

    async def read(self, request: Request, hold: Callable[[int], None] = lambda _size: None) -> bytes:
        """The whole body; ``hold`` is told how long it is so far, and raises where there is no room for that.

        Raises ``ProblemError``: 413 too large, 408 too slow, 415 compressed, and what ``hold`` raises.
        """
        encoding = request.headers.get("content-encoding", "identity").strip().lower()
        if encoding not in ("", "identity"):
            raise ProblemError(
                415, f"the content encoding {encoding[:40]!r} is not read; send it plain", headers=_CLOSE
            )
        try:
            async with asyncio.timeout(self._seconds):
                return await self._read(request, hold)
        except TimeoutError:
            raise ProblemError(408, f"the body did not arrive within {self._seconds:g} s", headers=_CLOSE) from None
        except ClientDisconnect:
            raise ProblemError(400, "the connection was closed before the body was complete", headers=_CLOSE) from None

    async def _read(self, request: Request, hold: Callable[[int], None]) -> bytes:
        chunks: list[bytes] = []
        size = 0
        stream = request.stream()
        async for chunk in stream:
            size += len(chunk)
            if size > self._limit:
                break
            hold(size)
            chunks.append(chunk)
        else:
            return b"".join(chunks)
        chunks.clear()
        ended = await self._drained(stream)
        detail = f"the body is larger than {self._limit} bytes; send smaller batches"
        raise ProblemError(413, detail, headers=None if ended else _CLOSE)

    async def _drained(self, stream: AsyncIterator[bytes]) -> bool:
        """Whether the rest of an oversized body ended within bounds; it is thrown away as it comes."""
        size = 0
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_DRAIN_SECONDS):
                async for chunk in stream:
                    size += len(chunk)
                    if size > self._limit * _DRAINED_BODIES:
                        return False
                return True
        return False
