"""The HTTP protocol of the server, with bounds on clients' slowness and number that uvicorn leaves open."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from milepost.edge.problems import problem

HEAD, REST, UNREAD = "head", "rest", "unread"
CUTS = (HEAD, REST, UNREAD)
"""Why a connection is cut: no whole head, a body that goes on after its answer, an answer that nobody reads."""
HEAD_BYTES = 64 * 1024
SPARE_CONNECTIONS = 32
"""Connections over the limit that are still read, so that they get a proper answer, and health checks theirs."""
_ALWAYS_SERVED = frozenset({"/healthz", "/readyz", "/metrics"})
_RETRY = {"Retry-After": "1", "Connection": "close"}
_BUSY = "too many connections are open here; send again on one that is open, or later"


def _nobody(*_: object) -> None:
    """Where nobody counts."""


@dataclass(frozen=True)
class ConnectionLimits:
    """How many clients a server bears, and how slow they may be.

    ``patience`` (seconds): for a client to read its answer; a head has a third of it, the rest of a body that was
    answered before its end a sixth. ``cut`` is called with the reason of a cut, ``refused`` when one is refused,
    ``stopping`` when the server begins to stop, once for every connection: an answer without end must then end.
    """

    connections: int = 1_000
    patience: float = 30.0
    grace: float = 3.0
    """Seconds that requests under way get to end when the server is stopped."""
    cut: Callable[[str], None] = _nobody
    refused: Callable[[], None] = _nobody
    stopping: Callable[[], None] = _nobody

    @property
    def head_seconds(self) -> float:
        """How long the head of a request may take."""
        return self.patience / 3

    @property
    def rest_seconds(self) -> float:
        """How long the rest of a body may take to arrive, to be thrown away, after the request was answered."""
        return self.patience / 6


class BoundedHttpProtocol(HttpToolsProtocol):
    """Closes connections whose client is too slow, in sending as in reading, and those that are too many."""

    limits = ConnectionLimits()
    _timer: asyncio.TimerHandle | None = None
    _awaited = ""
    """What the timer waits for: a head, or the rest of an answered body."""
    _unread_timer: asyncio.TimerHandle | None = None
    _answering: RequestResponseCycle | None = None
    _head_bytes = 0
    _in_message = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client connected: its first request is awaited."""
        super().connection_made(transport)
        surplus = len(self.connections) - self.limits.connections
        if surplus > SPARE_CONNECTIONS:
            self.limits.refused()
            transport.write(_raw(503, _BUSY))
            transport.close()
            self._linger()
            return
        if surplus > 0:
            self.app = _Busy(self.app, self.limits.refused)
        self._await_head()

    def data_received(self, data: bytes) -> None:
        """Something arrived."""
        if self.transport.is_closing():
            return
        self._head_bytes += len(data)
        super().data_received(data)
        if self.transport.is_closing():
            self._linger()
        elif self._timer is None:
            # uvicorn has stopped waiting for the next request; blank lines, or the end of an answered body, are none.
            if not self._in_message and self._answered():
                self._await_head()
        elif self._awaited == HEAD and self._head_bytes > HEAD_BYTES:
            self._cut(HEAD)

    def on_message_begin(self) -> None:
        """The first byte of a request."""
        super().on_message_begin()
        self._in_message = True
        if self._timer is None:
            self._await_head()

    def on_headers_complete(self) -> None:
        """The head is there; reading the body is bounded by who reads it."""
        self._stop_timer()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The request is there, whole."""
        self._in_message = False
        self._stop_timer()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """The request is answered; what is left of its body must end soon."""
        super().on_response_complete()
        if self.transport.is_closing():
            self._linger()
        elif self._in_message and self._timer is None:
            self._await(REST, self.limits.rest_seconds)

    def pause_writing(self) -> None:
        """The client reads more slowly than we write."""
        super().pause_writing()
        self._await_reading()

    def resume_writing(self) -> None:
        """It has read."""
        self._stop_unread_timer()
        super().resume_writing()
        self._linger()

    def timeout_keep_alive_handler(self) -> None:
        """No further request has come."""
        super().timeout_keep_alive_handler()
        self._linger()

    def shutdown(self) -> None:
        """The server stops: idle connections are closed, the others after their answers."""
        self.limits.stopping()
        super().shutdown()
        self._linger()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone."""
        self._stop_timer()
        self._stop_unread_timer()
        super().connection_lost(exc)
        # uvicorn tells only the request read last; the one being answered would write to a closed connection.
        self.pipeline.clear()
        if self._answering is not None:
            self._answering.disconnected = True
            self._answering.message_event.set()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._answering = cycle
        super()._start_asgi_task(cycle, app)

    def _answered(self) -> bool:
        """Whether no request waits for its answer."""
        return (self.cycle is None or self.cycle.response_complete) and not self.pipeline

    def _await_head(self) -> None:
        self._head_bytes = 0
        self._await(HEAD, self.limits.head_seconds)

    def _await(self, what: str, seconds: float) -> None:
        self._awaited = what
        self._timer = self.loop.call_later(seconds, self._cut, what)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _await_reading(self) -> None:
        if self._unread_timer is None:
            self._unread_timer = self.loop.call_later(self.limits.patience, self._abort)

    def _stop_unread_timer(self) -> None:
        if self._unread_timer is not None:
            self._unread_timer.cancel()
            self._unread_timer = None

    def _linger(self) -> None:
        """A closed connection stays until all of the answer has been read: not for ever."""
        if self.transport.is_closing():
            self._stop_timer()
            self._await_reading()

    def _abort(self) -> None:
        self._unread_timer = None
        self.limits.cut(UNREAD)
        self.transport.abort()

    def _cut(self, why: str) -> None:
        self._timer = None
        if self.transport.is_closing():
            return
        if why == HEAD and not self._answered():
            # The head of a pipelined request: the answer under way goes first.
            self._await_head()
            return
        self.limits.cut(why)
        if why == HEAD:
            self.transport.write(_raw(408, "the head of a request did not arrive in time, or is too large"))
        self.transport.close()
        self._linger()


class _Busy:
    """Answers in the app's place on a connection that is one too many; whoever looks after the service is served."""

    def __init__(self, app: Any, refused: Callable[[], None]) -> None:
        self._app = app
        self._refused = refused

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] in _ALWAYS_SERVED:
            await self._app(scope, receive, send)
            return
        self._refused()
        await problem(503, _BUSY, headers=_RETRY)(scope, receive, send)


def _raw(status: int, detail: str) -> bytes:
    """A problem document as a whole answer, for where there is no request to answer."""
    answer = problem(status, detail, headers=_RETRY)
    head = b"".join(name + b": " + value + b"\r\n" for name, value in answer.raw_headers)
    phrase = {408: b"Request Timeout", 503: b"Service Unavailable"}[status]
    return b"HTTP/1.1 %d %s\r\n%s\r\n%s" % (status, phrase, head, bytes(answer.body))
