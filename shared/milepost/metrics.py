"""Every Prometheus metric of Milepost: its name, what it says and its labels, defined once."""

from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


@dataclass(frozen=True)
class Metric:
    """A metric's definition; a process makes the ones it reports in its own registry."""

    name: str
    text: str
    labels: tuple[str, ...] = ()

    def counter(self, registry: CollectorRegistry) -> Counter:
        """A counter in ``registry``."""
        return Counter(self.name, self.text, self.labels, registry=registry)

    def gauge(self, registry: CollectorRegistry) -> Gauge:
        """A gauge in ``registry``."""
        return Gauge(self.name, self.text, self.labels, registry=registry)

    def histogram(
        self, registry: CollectorRegistry, buckets: tuple[float, ...] = Histogram.DEFAULT_BUCKETS
    ) -> Histogram:
        """A histogram in ``registry`` with the upper bounds ``buckets``."""
        return Histogram(self.name, self.text, self.labels, registry=registry, buckets=buckets)


EVENTS = Metric(
    "milepost_events_total", "Events posted to an edge service, by what became of them.", ("type", "outcome")
)
EDGE_REQUESTS = Metric(
    "milepost_edge_requests_total", "Requests an edge service answered, by status code.", ("status",)
)
EDGE_PUBLISH_SECONDS = Metric(
    "milepost_edge_publish_seconds", "Time from handing events to the broker to its acknowledgement."
)
EDGE_BROKER_UP = Metric("milepost_edge_broker_up", "1 while the edge can publish, else 0.")
