"""Reading a request's body within bounds of size, time and memory."""

import asyncio

from starlette.requests import ClientDisconnect, Request

from milepost.edge.problems import ProblemError

READ_SECONDS = 30.0
"""How long a request may take to arrive."""
_DRAINED_BODIES = 4
"""An oversized body is read on and thrown away up to so many times the limit, so that its sender reads the answer."""
_CLOSE = {"Connection": "close"}


class BodyReader:
    """Reads bodies up to ``limit`` bytes, and all of the process's together up to ``held_limit``."""

    def __init__(self, limit: int, held_limit: int = 256 * 1024 * 1024, seconds: float = READ_SECONDS) -> None:
        self._limit = limit
        self._held_limit = max(held_limit, limit)
        self._seconds = seconds
        self._held = 0

    async def read(self, request: Request) -> bytes:
        """The whole body. Raises ``ProblemError``: 413 too large, 408 too slow, 415 compressed, 503 no room now."""
        encoding = request.headers.get("content-encoding", "identity").strip().lower()
        if encoding not in ("", "identity"):
            raise ProblemError(
                415, f"the content encoding {encoding[:40]!r} is not read; send it plain", headers=_CLOSE
            )
        try:
            async with asyncio.timeout(self._seconds):
                return await self._read(request)
        except TimeoutError:
            raise ProblemError(408, f"the body did not arrive within {self._seconds:g} s", headers=_CLOSE) from None
        except ClientDisconnect:
            raise ProblemError(400, "the connection was closed before the body was complete", headers=_CLOSE) from None

    async def _read(self, request: Request) -> bytes:
        chunks: list[bytes] = []
        size = 0
        try:
            async for chunk in request.stream():
                size += len(chunk)
                if size <= self._limit:
                    self._held += len(chunk)
                    chunks.append(chunk)
                    if self._held > self._held_limit:
                        detail = "too many requests at once; send again"
                        raise ProblemError(503, detail, headers={"Retry-After": "1", **_CLOSE})
                else:
                    self._held -= sum(map(len, chunks))
                    chunks = []
                    if size > self._limit * _DRAINED_BODIES:
                        raise self._too_large(closing=True)
            if size > self._limit:
                raise self._too_large(closing=False)
            return b"".join(chunks)
        finally:
            self._held -= sum(map(len, chunks))

    def _too_large(self, *, closing: bool) -> ProblemError:
        detail = f"the body is larger than {self._limit} bytes; send smaller batches"
        return ProblemError(413, detail, headers=_CLOSE if closing else None)
