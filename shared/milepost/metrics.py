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

PROCESSOR_RECORDS = Metric("milepost_processor_records_total", "Records of the lifecycle topic that are in the store.")
PROCESSOR_REPEATS = Metric("milepost_processor_repeats_total", "Events that came again and changed nothing.")
IDENTITY_CONFLICTS = Metric(
    "milepost_identity_conflicts_total", "Copies of a known event that say something else; the first counts."
)
DEAD_LETTERS = Metric("milepost_dead_letters_total", "Records that could not be processed, by reason.", ("reason",))
PROCESSOR_LAG = Metric(
    "milepost_processor_lag_records", "Records on the topic that are not in the store yet.", ("partition",)
)
PROCESSOR_WATERMARK_AGE = Metric(
    "milepost_processor_watermark_age_seconds", "Age of the last record stored, of the partition furthest behind; 0 without lag."
)
FLUSH_SECONDS = Metric("milepost_sink_flush_seconds", "Time of a flush, from the first row built to all stored.")
FLUSH_BUILD_SECONDS = Metric("milepost_processor_build_seconds", "Time of a flush spent on building its rows.")
RECOVERIES = Metric("milepost_processor_recoveries_total", "Partitions taken in hand.")
RECOVERY_SECONDS = Metric("milepost_processor_recovery_seconds", "Time the last recovery took.")
CACHED_ORDERS = Metric("milepost_processor_cached_orders", "Orders in the worker's memory.")
SINK_FAILURES = Metric("milepost_sink_failures", "Failed calls of the store in a row; 0 while it answers.")
