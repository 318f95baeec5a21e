"""Overload: how much of what is sent an edge service takes in hand at once, and whose request has to wait."""

from types import TracebackType
from typing import Self

from prometheus_client import Counter, Gauge

from milepost.edge.pace import Pace
from milepost.edge.problems import ProblemError

SENDER, REQUESTS, BYTES, PACE, CONNECTIONS = "sender", "requests", "bytes", "pace", "connections"
REASONS = (SENDER, REQUESTS, BYTES, PACE, CONNECTIONS)
"""What ran out: a sender's share, requests or bytes in hand, what is answered in good time, connections."""
RETRY_SECONDS = 1
UNDECLARED_BYTES = 64 * 1024
"""Counted at first for a body that does not say how long it will be."""


class Admission:
    """Bounds on the requests in hand, and on the bytes of their bodies, from their heads to their answers.

    A sender may have at most the share of them that leaves the same to every other sender that has requests in hand,
    and to one more: alone the half, of two a third each. So who floods is told (429) while others find room; where
    there is none at all it is 503. A sender with nothing in hand is taken as long as there is memory, however late
    answers are, and a single request whatever its size.

    ``pace`` tells how many bytes are answered in good time at the moment, and learns it from every answer.
    """

    def __init__(self, requests: int, size: int, pace: Pace) -> None:
        self.requests = 0
        self.size = 0
        self._most_requests = requests
        self._most_bytes = size
        self.pace = pace
        self._senders: dict[str, list[int]] = {}
        self._refusals: Counter | None = None

    def report(self, refusals: Counter, requests: Gauge, size: Gauge) -> None:
        """Count refusals by reason in ``refusals``, and show what is in hand."""
        for reason in REASONS:
            refusals.labels(reason)
        self._refusals = refusals
        requests.set_function(lambda: self.requests)
        size.set_function(lambda: self.size)

    def enter(self, sender: str, size: int | None) -> "Ticket":
        """Take a request of ``sender`` in hand, whose body has ``size`` bytes (None: it does not say).

        Raises ``ProblemError`` 429 or 503, with ``Retry-After``.
        """
        declared = UNDECLARED_BYTES if size is None else size
        mine = self._senders.get(sender)
        if mine is None:
            if self.requests >= self._most_requests:
                raise self._full(REQUESTS)
            mine = self._senders[sender] = [0, 0]
        elif mine[0] >= max(1, self._most_requests // (len(self._senders) + 1)):
            raise self._too_much(sender, mine)
        elif self.requests >= self._most_requests:
            raise self._full(REQUESTS)
        try:
            self._check_bytes(sender, mine, declared)
        except ProblemError:
            if not mine[0]:
                del self._senders[sender]
            raise
        mine[0] += 1
        mine[1] += declared
        self.requests += 1
        self.size += declared
        return Ticket(self, sender, declared)

    def grow(self, sender: str, more: int) -> None:
        """Count ``more`` bytes of a body that is longer than was counted. Raises ``ProblemError``."""
        mine = self._senders[sender]
        if mine[0] > 1 or self.requests > 1:
            self._check_bytes(sender, mine, more)
        mine[1] += more
        self.size += more

    def leave(self, sender: str, size: int) -> None:
        """A request is answered."""
        mine = self._senders[sender]
        mine[0] -= 1
        mine[1] -= size
        self.requests -= 1
        self.size -= size
        if not mine[0]:
            del self._senders[sender]

    def refuse(self, reason: str) -> None:
        """Count a refusal."""
        if self._refusals is not None:
            self._refusals.labels(reason).inc()

    def _check_bytes(self, sender: str, mine: list[int], more: int) -> None:
        if not self.requests:
            return
        window = self.pace.window
        most = min(self._most_bytes, window) if mine[0] else self._most_bytes
        if mine[0] and mine[1] + more > most // (len(self._senders) + 1):
            raise self._too_much(sender, mine)
        if self.size + more > most:
            raise self._full(PACE if window < self._most_bytes else BYTES)

    def _too_much(self, sender: str, mine: list[int]) -> ProblemError:
        self.refuse(SENDER)
        slowly = " while answers take long" if self.pace.window < self._most_bytes else ""
        detail = (
            f"what {sender!r} has under way ({mine[0]} requests, {mine[1]} bytes) is its share{slowly}; "
            f"await an answer before sending more, then send this one again"
        )
        return ProblemError(429, detail, headers={"Retry-After": str(RETRY_SECONDS)})

    def _full(self, reason: str) -> ProblemError:
        self.refuse(reason)
        why = "answers take too long here" if reason == PACE else f"too many {reason} are under way here"
        detail = f"{why}; nothing of this request was read, send it again"
        return ProblemError(503, detail, headers={"Retry-After": str(RETRY_SECONDS)})


class Ticket:
    """A request in hand; at the end of the ``with`` block it is not any more."""

    __slots__ = ("_admission", "_here_at", "_sender", "_size")

    def __init__(self, admission: Admission, sender: str, size: int) -> None:
        self._admission = admission
        self._sender = sender
        self._size = size
        self._here_at = 0.0

    def here(self) -> None:
        """The body is there, whole: from now on we are who makes its sender wait."""
        self._here_at = self._admission.pace.clock()

    def hold(self, size: int) -> None:
        """The body has ``size`` bytes so far. Raises ``ProblemError`` 429 or 503 where that is too much."""
        more = size - self._size
        if more > 0:
            self._admission.grow(self._sender, more)
            self._size = size

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pace = self._admission.pace
        if self._here_at:
            pace.answered(self._size, pace.clock() - self._here_at, self._admission.size)
        self._admission.leave(self._sender, self._size)
