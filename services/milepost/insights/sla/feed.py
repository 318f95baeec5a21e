"""One look at the store for all who listen: a poller while there are any, and a bounded queue for each."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import msgspec
from fastapi.sse import format_sse_event

from milepost.contracts.event import micros, moment_of
from milepost.insights.sla.news import OVERLAP_SECONDS, News
from milepost.reading.sla.events import SlaEvent, events_since
from milepost.store.client import Store
from milepost.store.errors import StoreError

POLL_SECONDS = 0.5
LINGER_SECONDS = 60.0
"""How long the poller goes on when nobody listens any more: whoever comes back finds nothing missing."""
MOST_LISTENERS = 100
MOST_WAITING = 5_000
"""Messages that may wait for a client; one that is further behind is let go, and may resume."""
MOST_RECENT = 20_000
MOST_RESUMED = 10_000
RESUMED_AFTER = timedelta(hours=24)
"""What is longer ago is not told again; ``GET /v1/sla`` says how things stand."""
_LONGEST_REST = 5.0
_BEGIN_SECONDS = 5.0

Wanted = Callable[[SlaEvent], bool]

_log = logging.getLogger(__name__)
_encode = msgspec.json.Encoder().encode


class TooManyError(RuntimeError):
    """More listen already than may, or the service stops."""


class CursorError(ValueError):
    """A cursor that is none of ours."""


class Listener:
    """Somebody who listens: what is to be told waits in ``backlog`` until it is taken."""

    def __init__(self, wanted: Wanted, *, deaf: bool = False) -> None:
        self.wanted = wanted
        self.ended = False
        self._backlog: deque[bytes] = deque()
        self._held: list[tuple[str, bytes]] | None = [] if deaf else None
        self._known: frozenset[str] = frozenset()
        self._told = asyncio.Event()

    def tell(self, message: bytes, name: str = "") -> None:
        """Put a message in the queue, or, while what came before it is being read, aside."""
        if self._held is not None:
            self._held.append((name, message))
        elif name not in self._known:
            self._backlog.append(message)
        if len(self._backlog) + len(self._held or ()) > MOST_WAITING + MOST_RESUMED:
            self.end()
        self._told.set()

    def open_ears(self, before: Sequence[SlaEvent]) -> None:
        """Put ``before`` in front of all that was held back, without telling any of it twice."""
        # The poller may come across some of them only later.
        self._known = frozenset(event.id for event in before)
        held, self._held = self._held or [], None
        self._backlog.extend(_message(event) for event in before if self.wanted(event))
        self._backlog.extend(message for name, message in held if name not in self._known)
        self._told.set()

    def end(self) -> None:
        """There will be nothing more."""
        self.ended = True
        self._told.set()

    async def next(self, seconds: float) -> list[bytes]:
        """What has come, after at most ``seconds``; nothing where nothing came, or the listener has ended."""
        try:
            await asyncio.wait_for(self._told.wait(), seconds)
        except TimeoutError:
            return []
        self._told.clear()
        taken = [] if self.ended else list(self._backlog)
        self._backlog.clear()
        return taken


class Feed:
    """New states of SLAs, read once for everybody who listens. Its methods belong to one event loop."""

    def __init__(self, store: Store, poll_seconds: float = POLL_SECONDS, most_listeners: int = MOST_LISTENERS) -> None:
        self._store = store
        self._poll_seconds = poll_seconds
        self._most_listeners = most_listeners
        self._listeners: set[Listener] = set()
        self._recent: deque[SlaEvent] = deque(maxlen=MOST_RECENT)
        self._task: asyncio.Task[None] | None = None
        self._fault: str | None = None
        self._closed = False
        self._begun = asyncio.Event()
        """The poller has looked once, or tried to."""

    @property
    def listeners(self) -> int:
        """How many listen."""
        return len(self._listeners)

    async def listen(self, wanted: Wanted, after: str | None = None) -> Listener:
        """Somebody who is told every state that is ``wanted`` from now on, or from that named ``after`` (a cursor).

        Raises:
            TooManyError: too many listen, or the service stops.
            CursorError: ``after`` is no cursor of ours.
            StoreError: what came after ``after`` cannot be read.
        """
        place = None if after is None else _place(after)
        if self._closed or len(self._listeners) >= self._most_listeners:
            raise TooManyError("the service stops" if self._closed else "too many clients listen already")
        listener = Listener(wanted, deaf=place is not None)
        self._listeners.add(listener)
        if self._task is None or self._task.done():
            self._begun.clear()
            self._task = asyncio.create_task(self._run(time.time_ns() // 1000))
        elif self._fault:
            listener.tell(_trouble(self._fault))
        try:
            if place is not None:
                await self._resume(listener, *place)
            # Whoever is let in is told what is stored from then on.
            await asyncio.wait_for(self._begun.wait(), _BEGIN_SECONDS)
        except TimeoutError:
            listener.tell(_trouble("the store has not answered yet"))
        except BaseException:
            self.leave(listener)
            raise
        return listener

    def leave(self, listener: Listener) -> None:
        """Tell ``listener`` nothing more."""
        self._listeners.discard(listener)

    def close(self) -> None:
        """Let everybody go, and nobody in any more."""
        self._closed = True
        for listener in self._listeners:
            listener.end()
        if self._task is not None:
            self._task.cancel()

    async def closed(self) -> None:
        """``close``, and wait until nothing runs."""
        self.close()
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)

    async def _resume(self, listener: Listener, detected: int, name: str) -> None:
        recent = list(self._recent)
        at = next((number for number, event in enumerate(recent) if event.id == name), None)
        if at is not None:
            listener.open_ears(recent[at + 1 :])
            return
        oldest = micros(datetime.now(UTC) - RESUMED_AFTER)
        missed: Sequence[SlaEvent] = ()
        if detected >= oldest:
            # As rows may come a little late, some of what was told may be told again: better than never.
            since = detected - OVERLAP_SECONDS * 1_000_000
            missed = await asyncio.to_thread(events_since, self._store, since, MOST_RESUMED + 1)
        if detected < oldest or len(missed) > MOST_RESUMED:
            listener.open_ears(())
            listener.tell(_gap(detected))
        else:
            listener.open_ears([event for event in missed if event.id != name])

    async def _run(self, began: int) -> None:
        """Look at the store as long as anybody listens, for what is detected from ``began`` (microseconds) on or
        stored later; where it is away, say so once and go on.
        """
        news: News | None = None
        left = time.monotonic()
        rest = self._poll_seconds
        while True:
            try:
                if news is None:
                    beginning = News(self._store)
                    await asyncio.to_thread(beginning.begin, began)
                    news = beginning
                fresh = await asyncio.to_thread(news.look)
            except StoreError as error:
                self._trouble(str(error))
                rest = min(2 * rest, _LONGEST_REST)
            else:
                self._mended()
                rest = self._poll_seconds
                self._tell(fresh)
            self._begun.set()
            if self._listeners:
                left = time.monotonic()
            elif time.monotonic() - left >= LINGER_SECONDS:
                break
            await asyncio.sleep(rest)
        self._recent.clear()

    def _tell(self, fresh: Sequence[SlaEvent]) -> None:
        for event in fresh:
            self._recent.append(event)
            message = _message(event)
            for listener in self._listeners:
                if listener.wanted(event):
                    listener.tell(message, event.id)

    def _trouble(self, said: str) -> None:
        if self._fault is None:
            _log.warning("SLA events cannot be read: %s", said)
            self._everybody(_trouble(said))
        self._fault = said

    def _mended(self) -> None:
        if self._fault is not None:
            _log.warning("SLA events can be read again")
            self._everybody(format_sse_event(event="mended", data_str="{}"))
        self._fault = None

    def _everybody(self, message: bytes) -> None:
        for listener in self._listeners:
            listener.tell(message)


def _message(event: SlaEvent) -> bytes:
    return format_sse_event(event="sla", data_str=_encode(event).decode(), id=f"{micros(event.detected)}:{event.id}")


def _trouble(said: str) -> bytes:
    return format_sse_event(event="trouble", data_str=_encode({"detail": said}).decode())


def _gap(detected: int) -> bytes:
    said = "more was missed than is told again; GET /v1/sla says how things stand"
    return format_sse_event(event="gap", data_str=_encode({"since": moment_of(detected), "detail": said}).decode())


def _place(cursor: str) -> tuple[int, str]:
    """When the event that a cursor names was detected, and its id."""
    detected, colon, name = cursor.partition(":")
    if not colon or not detected.isascii() or not detected.isdigit() or len(detected) > 16:
        raise CursorError(f"{cursor!r} is not one that this service gave")
    return int(detected), name
