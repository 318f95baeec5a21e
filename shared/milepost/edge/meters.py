"""The metrics of an edge service."""

from prometheus_client import CollectorRegistry

from milepost import metrics
from milepost.contracts.catalogue import EVENT_TYPES
from milepost.edge.intake import UNKNOWN_TYPE

ACCEPTED = "accepted"
REFUSED = "refused"


class EdgeMeters:
    """Counters of one app, in a registry of its own; every series of a known type starts at 0."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.events = metrics.EVENTS.counter(self.registry)
        self.publish_seconds = metrics.EDGE_PUBLISH_SECONDS.histogram(self.registry)
        self.broker_up = metrics.EDGE_BROKER_UP.gauge(self.registry)
        self._children = {
            (name, outcome): self.events.labels(name, outcome)
            for name in (*EVENT_TYPES, UNKNOWN_TYPE)
            for outcome in (ACCEPTED, REFUSED)
        }

    def count(self, type_name: str, outcome: str, number: int = 1) -> None:
        """Count ``number`` events of a type as accepted or refused."""
        self._children[type_name, outcome].inc(number)
