"""Platform: can the numbers be trusted, from the edge to the dashboard?"""

from milepost import metrics
from milepost.docs.dashboards import colours
from milepost.docs.dashboards.frame import Dashboard, Heading, Shelf
from milepost.docs.dashboards.goals import Goals
from milepost.docs.dashboards.panels import series, stat
from milepost.docs.dashboards.parts import COUNT, SECONDS, TEXT, Json, prometheus, prometheus_now
from milepost.docs.dashboards.promql import quantile, rate
from milepost.docs.dashboards.tables import Column, table, without
from milepost.metrics import Metric

PER_SECOND, EACH_SECOND = "eps", "reqps"
BYTES = "bytes"
_OUTCOMES = {"accepted": colours.BLUE, "refused": colours.VERMILLION}
_QUANTILES = {"p50": colours.SKY, "p95": colours.VERMILLION}
_COUNTERS = (metrics.EDGE_REQUESTS, metrics.PROCESSOR_RECORDS, metrics.EXPORTER_FAILURES, metrics.INSIGHTS_REQUESTS)


def build(goals: Goals) -> Dashboard:
    """The dashboard of those who run it."""
    del goals
    return Dashboard(
        "milepost-platform",
        "Milepost: Platform",
        "Can the numbers be trusted, from the edge to the dashboard?",
        ["platform"],
        [
            Shelf(5, [_behind(), _canary(), _drift(), _letters(), _paused(), _exporter()]),
            Heading("Edge"),
            Shelf(8, [_taken(), _answers(), _publish()]),
            Shelf(8, [_refusals(), _broker()]),
            Heading("Processor"),
            Shelf(8, [_records(), _lag(), _watermark()]),
            Shelf(8, [_flush(), _lateness(), _sink()]),
            Heading("Numbers"),
            Shelf(8, [_letters_over_time(), _restated(), _audit()]),
            Shelf(8, [_canary_over_time(), _exporter_time(), _insights()]),
            Heading("Processes"),
            Shelf(9, [_up(), _restarts(), _recoveries()]),
        ],
        span="now-6h",
        refresh="30s",
    )


def _stat(title: str, metric: Metric, expression: str, unit: str, alarm: float, more: str) -> Json:
    return stat(title, f"{metric.text} {more}", prometheus_now(expression), unit, alarm=alarm, decimals=0)


def _behind() -> Json:
    metric = metrics.WATERMARK_AGE
    return _stat("Numbers are behind by", metric, metric.name, SECONDS, 120, "An alert comes from two minutes on.")


def _canary() -> Json:
    metric = metrics.CANARY_AGE
    return _stat("Last canary order", metric, metric.name, SECONDS, 180, "An alert comes from three minutes on.")


def _drift() -> Json:
    metric = metrics.RECONCILE_DRIFT
    return _stat("Numbers that drift", metric, metric.name, COUNT, 1, "One is an alert.")


def _letters() -> Json:
    metric = metrics.STORED_DEAD_LETTERS
    # Without a dead letter there is no series: only a living exporter makes that a zero.
    asked = f"sum({metric.name}) or 0 * max({metrics.EXPORTER_UP.name})"
    return _stat("Open dead letters", metric, asked, COUNT, 1, "Each waits for a decision.")


def _paused() -> Json:
    metric = metrics.PARTITION_PAUSED
    return _stat("Partitions paused", metric, f"sum({metric.name})", COUNT, 1, "One is an alert.")


def _exporter() -> Json:
    metric = metrics.EXPORTER_LAST_SUCCESS
    asked = f"time() - max({metric.name} > 0)"
    return _stat("KPIs served are of", metric, asked, SECONDS, 60, "Seconds ago; older than a minute is not served.")


def _line(
    title: str,
    metric: Metric,
    expression: str,
    legend: str,
    unit: str,
    paint: dict[str, str] | None = None,
    decimals: int | None = None,
) -> Json:
    return series(title, metric.text, [prometheus(expression, legend)], unit, paint=paint, decimals=decimals)


def _ranks(title: str, metric: Metric) -> Json:
    targets = [prometheus(quantile(0.5, metric), "p50", "A"), prometheus(quantile(0.95, metric), "p95", "B")]
    text = f"{metric.text} Interpolated within Prometheus's buckets, so roughly."
    return series(title, text, targets, SECONDS, paint=_QUANTILES)


def _taken() -> Json:
    return _line("Events taken", metrics.EVENTS, rate(metrics.EVENTS, "outcome"), "{{outcome}}", PER_SECOND, _OUTCOMES)


def _answers() -> Json:
    metric = metrics.EDGE_REQUESTS
    return _line("Answers by status", metric, rate(metric, "status"), "{{status}}", EACH_SECOND)


def _publish() -> Json:
    return _ranks("Broker's acknowledgement", metrics.EDGE_PUBLISH_SECONDS)


def _refusals() -> Json:
    metric = metrics.EDGE_REFUSALS
    return _line("Refused because too much is in hand", metric, rate(metric, "reason"), "{{reason}}", EACH_SECOND)


def _broker() -> Json:
    targets = [
        prometheus(f"min by (job) ({metrics.EDGE_BROKER_UP.name})", "{{job}} can publish", "A"),
        prometheus(f"sum by (job) ({metrics.EDGE_REQUESTS_IN_HAND.name})", "{{job}} requests in hand", "B"),
    ]
    text = f"{metrics.EDGE_BROKER_UP.text} {metrics.EDGE_REQUESTS_IN_HAND.text}"
    return series("Broker in reach, requests in hand", text, targets, COUNT)


def _records() -> Json:
    targets = [
        prometheus(rate(metrics.PROCESSOR_RECORDS), "stored", "A"),
        prometheus(rate(metrics.PROCESSOR_REPEATS), "repetitions", "B"),
        prometheus(rate(metrics.IDENTITY_CONFLICTS), "contradictions", "C"),
    ]
    text = f"{metrics.PROCESSOR_RECORDS.text} {metrics.PROCESSOR_REPEATS.text} {metrics.IDENTITY_CONFLICTS.text}"
    paint = {"stored": colours.BLUE, "repetitions": colours.GREY, "contradictions": colours.VERMILLION}
    return series("Records", text, targets, PER_SECOND, paint=paint)


def _lag() -> Json:
    metric = metrics.PROCESSOR_LAG
    return _line("Lag", metric, f"max by (partition) ({metric.name})", "partition {{partition}}", COUNT, decimals=0)


def _watermark() -> Json:
    targets = [
        prometheus(metrics.WATERMARK_AGE.name, "numbers", "A"),
        prometheus(f"max({metrics.PROCESSOR_WATERMARK_AGE.name})", "processor", "B"),
    ]
    text = f"{metrics.WATERMARK_AGE.text} {metrics.PROCESSOR_WATERMARK_AGE.text}"
    paint = {"numbers": colours.BLUE, "processor": colours.ORANGE}
    return series("How far behind", text, targets, SECONDS, paint=paint)


def _flush() -> Json:
    targets = [
        prometheus(quantile(0.5, metrics.FLUSH_SECONDS), "p50", "A"),
        prometheus(quantile(0.95, metrics.FLUSH_SECONDS), "p95", "B"),
        prometheus(quantile(0.95, metrics.FLUSH_BUILD_SECONDS), "p95, rows built", "C"),
    ]
    text = f"{metrics.FLUSH_SECONDS.text} {metrics.FLUSH_BUILD_SECONDS.text}"
    return series("Flushes", text, targets, SECONDS, paint=_QUANTILES | {"p95, rows built": colours.ORANGE})


def _lateness() -> Json:
    return _ranks("How late events come", metrics.EVENT_LATENESS)


def _sink() -> Json:
    targets = [
        prometheus(f"max({metrics.SINK_FAILURES.name})", "failures in a row", "A"),
        prometheus(f"sum({metrics.CACHED_ORDERS.name}) / 1000", "thousands of orders in memory", "B"),
    ]
    text = f"{metrics.SINK_FAILURES.text} {metrics.CACHED_ORDERS.text}"
    paint = {"failures in a row": colours.VERMILLION, "thousands of orders in memory": colours.GREY}
    return series("Store's failures, orders in memory", text, targets, COUNT, paint=paint)


def _letters_over_time() -> Json:
    metric = metrics.DEAD_LETTERS
    asked = f"sum by (reason) (increase({metric.name}[15m]))"
    return _line("Put aside within 15 minutes", metric, asked, "{{reason}}", COUNT, decimals=0)


def _restated() -> Json:
    metric = metrics.RESTATED_MINUTES
    return _line("KPI minutes restated", metric, f"sum(rate({metric.name}_count[$__rate_interval]))", "restated",
                 PER_SECOND, {"restated": colours.BLUE})  # fmt: skip


def _audit() -> Json:
    targets = [
        prometheus(f"time() - {metrics.RECONCILE_LAST_SUCCESS.name} > 0", "since the last recount", "A"),
        prometheus(metrics.RECONCILE_SECONDS.name, "it took", "B"),
    ]
    text = f"{metrics.RECONCILE_LAST_SUCCESS.text} {metrics.RECONCILE_SECONDS.text}"
    paint = {"since the last recount": colours.BLUE, "it took": colours.GREY}
    return series("Recounts of the last day", text, targets, SECONDS, paint=paint)


def _canary_over_time() -> Json:
    metric = metrics.CANARY_SECONDS
    return _line("A canary order's way", metric, metric.name, "edge to log", SECONDS, {"edge to log": colours.BLUE})


def _exporter_time() -> Json:
    targets = [
        prometheus(metrics.EXPORTER_SECONDS.name, "refresh", "A"),
        prometheus(f"increase({metrics.EXPORTER_FAILURES.name}[15m])", "failures within 15 minutes", "B"),
    ]
    text = f"{metrics.EXPORTER_SECONDS.text} {metrics.EXPORTER_FAILURES.text}"
    paint = {"refresh": colours.BLUE, "failures within 15 minutes": colours.VERMILLION}
    return series("Exporter", text, targets, SECONDS, paint=paint)


def _insights() -> Json:
    metric = metrics.INSIGHTS_SECONDS
    asked = prometheus(quantile(0.95, metric, "route"), "{{route}}")
    return series("Read API, p95", f"{metric.text} Interpolated, so roughly.", [asked], SECONDS)


def _up() -> Json:
    columns = [
        Column("job", "Part", TEXT),
        Column("instance", "Address", TEXT),
        Column("Value", "Answers", COUNT, "1: its last scrape succeeded."),
    ]
    asked = prometheus_now('min by (job, instance) (up{job!="prometheus"})', table=True)
    panel = table("Parts", "Whether Prometheus could scrape each part at its last try.", [asked], columns)
    words = {"0": {"text": "does not answer", "color": colours.BAD, "index": 0}, "1": {"text": "yes", "index": 1}}
    panel["fieldConfig"]["overrides"][2]["properties"] += [
        {"id": "mappings", "value": [{"type": "value", "options": words}]},
        {"id": "custom.cellOptions", "value": {"type": "color-text"}},
    ]
    panel["transformations"] = [without("Time")]
    return panel


def _restarts() -> Json:
    asked = " or ".join(f"sum by (job) (resets({metric.name}[1h]))" for metric in _COUNTERS)
    text = "How often counters of a part began anew within the hour before each point: it was started again."
    return series("Restarts", text, [prometheus(asked, "{{job}}")], COUNT, decimals=0)


def _recoveries() -> Json:
    targets = [
        prometheus(f"sum(increase({metrics.RECOVERIES.name}[1h]))", "partitions taken in hand within an hour", "A"),
        prometheus(f"max({metrics.RECOVERY_SECONDS.name})", "seconds of the last", "B"),
    ]
    text = f"{metrics.RECOVERIES.text} {metrics.RECOVERY_SECONDS.text}"
    paint = {"partitions taken in hand within an hour": colours.BLUE, "seconds of the last": colours.GREY}
    return series("Recoveries", text, targets, COUNT, paint=paint)
