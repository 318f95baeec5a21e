"""The metrics of an edge service."""

from prometheus_client import CollectorRegistry, Counter
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from milepost import metrics
from milepost.contracts.catalogue import EVENT_TYPES
from milepost.edge.intake import UNKNOWN_TYPE
from milepost.edge.protocol import CUTS

ACCEPTED = "accepted"
REFUSED = "refused"
STATUSES = (200, 202, 207, 400, 401, 403, 404, 405, 408, 413, 415, 422, 429, 500, 503)
"""Every status an edge service answers with."""


class EdgeMeters:
    """Counters of one app, in a registry of its own; every series of a known type starts at 0."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.events = metrics.EVENTS.counter(self.registry)
        self.requests = metrics.EDGE_REQUESTS.counter(self.registry)
        for status in STATUSES:
            self.requests.labels(status)
        self.publish_seconds = metrics.EDGE_PUBLISH_SECONDS.histogram(self.registry)
        self.broker_up = metrics.EDGE_BROKER_UP.gauge(self.registry)
        self.refusals = metrics.EDGE_REFUSALS.counter(self.registry)
        self.requests_in_hand = metrics.EDGE_REQUESTS_IN_HAND.gauge(self.registry)
        self.bytes_in_hand = metrics.EDGE_BYTES_IN_HAND.gauge(self.registry)
        self.cuts = metrics.EDGE_CUTS.counter(self.registry)
        for why in CUTS:
            self.cuts.labels(why)
        self._children = {
            (name, outcome): self.events.labels(name, outcome)
            for name in (*EVENT_TYPES, UNKNOWN_TYPE)
            for outcome in (ACCEPTED, REFUSED)
        }

    def count(self, type_name: str, outcome: str, number: int = 1) -> None:
        """Count ``number`` events of a type as accepted or refused."""
        self._children[type_name, outcome].inc(number)


class CountRequests:
    """Middleware that counts the answers of ``app`` by status."""

    def __init__(self, app: ASGIApp, requests: Counter) -> None:
        self._app = app
        self._requests = requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on and note the status of its answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def noted(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._requests.labels(message["status"]).inc()
            await send(message)

        try:
            await self._app(scope, receive, noted)
        except Exception:
            # Its answer, a 500, is made further out.
            self._requests.labels(500).inc()
            raise
