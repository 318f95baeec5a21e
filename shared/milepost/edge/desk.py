"""What every route of an edge service does with events: admit the sender, read, check, publish, count."""

import asyncio
import time
from collections import Counter
from datetime import UTC, datetime

import msgspec
from starlette.requests import Request

from milepost.access.keys import Credential, Right
from milepost.bus.producer import Publisher, PublishError
from milepost.edge.admission import Admission, Ticket
from milepost.edge.body import BodyReader
from milepost.edge.credentials import Gate
from milepost.edge.intake import Intake
from milepost.edge.meters import ACCEPTED, REFUSED, EdgeMeters
from milepost.edge.problems import ProblemError
from milepost.settings import Settings

RETRY_SECONDS = 2
_EVENTS_A_TURN = 100
CHECKED_AT_ONCE = 2


class Desk:
    """The parts of a running edge service, and the way of an event through them."""

    def __init__(
        self,
        settings: Settings,
        gate: Gate,
        reader: BodyReader,
        admission: Admission,
        publisher: Publisher,
        meters: EdgeMeters,
    ) -> None:
        self.settings = settings
        self.publisher = publisher
        self.meters = meters
        self._gate = gate
        self._reader = reader
        self._admission = admission
        self._checking = asyncio.Semaphore(CHECKED_AT_ONCE)

    def sender(self, request: Request) -> Credential:
        """Who sends, with the right to. Raises ``ProblemError`` 401 or 403."""
        return self._gate.admit(request, Right.WRITE)

    def admit(self, sender: Credential, request: Request) -> Ticket:
        """Take the request in hand, before its body is read, until the ``with`` block ends.

        Raises ``ProblemError`` 429 or 503 where too much is in hand already.
        """
        return self._admission.enter(sender.name, self._reader.declared(request))

    async def body(self, request: Request, ticket: Ticket) -> bytes:
        """The request's body within all limits. Raises ``ProblemError``."""
        body = await self._reader.read(request, ticket.hold)
        ticket.here()
        return body

    async def check(self, sender: Credential, events: list[bytes | msgspec.Raw]) -> Intake:
        """Every event taken or refused; nothing is published yet."""
        intake = Intake(self.settings.currency, sender, datetime.now(UTC))
        if len(events) < _EVENTS_A_TURN:
            for index, raw in enumerate(events):
                intake.add(index, raw)
            return intake
        # One after the other: all at once, everybody would wait for everybody, and nobody would be told to.
        async with self._checking:
            for index, raw in enumerate(events):
                if index % _EVENTS_A_TURN == 0:
                    await asyncio.sleep(0)
                intake.add(index, raw)
        return intake

    async def publish(self, intake: Intake) -> None:
        """Put the taken events on the topic, acknowledged. Raises ``ProblemError`` 503: send the same again."""
        if not intake.records:
            return
        began = time.perf_counter()
        try:
            await self.publisher.publish(intake.records)
        except PublishError as error:
            detail = f"{error}; nothing is confirmed, send the same request again"
            raise ProblemError(503, detail, headers={"Retry-After": str(RETRY_SECONDS)}) from error
        self.meters.publish_seconds.observe(time.perf_counter() - began)

    def count(self, intake: Intake, *, published: bool) -> None:
        """Count the outcome of a request that was answered."""
        if published:
            for name, number in Counter(intake.types).items():
                self.meters.count(name, ACCEPTED, number)
        for name, number in Counter(refused.type for refused in intake.refused).items():
            self.meters.count(name, REFUSED, number)
