"""What a client that listens is sent: server-sent events, and a sign of life in between."""

from collections.abc import AsyncIterator, Callable

from fastapi.sse import KEEPALIVE_COMMENT, EventSourceResponse, format_sse_event
from starlette.types import Receive, Scope, Send

from milepost.insights.sla.feed import Feed, Listener

HEARTBEAT_SECONDS = 15.0
RETRY_MS = 2_000
"""How long a browser waits before it comes back."""
_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


class Streamed(EventSourceResponse):
    """Everything that ``listener`` is told, until it ends, the client goes, or ``may_listen`` no more."""

    def __init__(self, feed: Feed, listener: Listener, may_listen: Callable[[], bool]) -> None:
        super().__init__(_messages(listener, may_listen), headers=_HEADERS)
        self._feed = feed
        self._listener = listener

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it; whichever way that ends, also before its first byte, nobody listens any more."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._feed.leave(self._listener)


async def _messages(listener: Listener, may_listen: Callable[[], bool]) -> AsyncIterator[bytes]:
    # The client knows at once that it is heard, also where nothing happens for long.
    yield format_sse_event(comment="here is what happens from now on", retry=RETRY_MS)
    while not listener.ended:
        messages = await listener.next(HEARTBEAT_SECONDS)
        if not may_listen():
            return
        if messages:
            for message in messages:
                yield message
        elif not listener.ended:
            yield KEEPALIVE_COMMENT
