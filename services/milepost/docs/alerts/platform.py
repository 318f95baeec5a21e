"""`deploy/prometheus/rules/platform.yml`: the platform's own health, for those who run it."""

from milepost.docs.alerts.rule import Alert, group_file

PLATFORM = "/d/milepost-platform"
ACCURACY = "/d/milepost-accuracy"
HEAD = """
The platform's own health: whether what is counted can be trusted. For those who run it, not for operations.
Those that make other alerts false (see deploy/alertmanager) are kept firing longer than the others are: what was held back
must be over before they are.
"""

EDGE_REFUSED = 'sum by (job) (increase(milepost_edge_requests_total{status=~"5.."}[5m]))'
EDGE_ANSWERED = "sum by (job) (increase(milepost_edge_requests_total[5m]))"


def render() -> str:
    """The whole file."""
    return group_file(HEAD, "milepost-platform", ALERTS)


ALERTS = (
    Alert(
        "Watchdog",
        "vector(1)",
        "none",
        "platform",
        "Alerting works",
        "This alert always fires. Whoever receives it tells somebody when it stops coming: then Prometheus, Alertmanager or "
        "the way out of here is broken, and no other alert would arrive either.",
        PLATFORM,
        "A dead man's switch.",
    ),
    Alert(
        "ReconcileDrift",
        "milepost_reconcile_drift > 0",
        "page",
        "platform",
        "{{ $value }} numbers of the last day are not what the event log says",
        "The KPIs of the last day were recomputed from the event log, and {{ $value }} of them differ from what people read, "
        "also after the next flush. Dashboards show wrong numbers.",
        ACCURACY,
        "What the audit found has already outlived a flush: there is nothing to wait for.",
        keep="10m",
    ),
    Alert(
        "ReconcileStale",
        "time() - milepost_reconcile_last_success_timestamp_seconds > 1800",
        "ticket",
        "platform",
        "Nobody has checked the numbers against the event log for {{ $value | humanizeDuration }}",
        "The auditor has not managed to reconcile the last day for {{ $value | humanizeDuration }}. The numbers may well be "
        "right, but nothing would say so if they were not.",
        ACCURACY,
        "0 before the first audit: a fresh auditor has ten minutes for it.",
        wait="10m",
        keep="5m",
    ),
    Alert(
        "CanaryLate",
        "milepost_canary_age_seconds > 180",
        "page",
        "platform",
        "Events are not getting through: the last canary order that came was sent {{ $value | humanizeDuration }} ago",
        "An order in test mode is sent every minute to an edge service and looked for in the event log. None sent within the "
        "last {{ $value | humanizeDuration }} has come. Real events take the same way.",
        PLATFORM,
        "Three canaries in a row.",
        wait="1m",
        keep="10m",
    ),
    Alert(
        "ProcessorBehind",
        "max(milepost_watermark_age_seconds) > 120",
        "page",
        "platform",
        "The numbers are {{ $value | humanizeDuration }} old",
        "Everything received until {{ $value | humanizeDuration }} ago is in the numbers, nothing complete after that: the "
        "processor lags, stands still, or is not there. Pages about promises are held back meanwhile.",
        PLATFORM,
        "Of all partitions, as the store tells: a worker that is gone makes it grow as one that is slow does.",
        wait="1m",
        keep="10m",
    ),
    Alert(
        "ProcessorLagging",
        "sum(milepost_processor_lag_records) > 100000",
        "ticket",
        "platform",
        "{{ $value | humanize }} records wait on the topic",
        "For a quarter of an hour more than 100,000 records of the lifecycle topic have waited to be processed. More comes than "
        "the workers take in: a backfill, or too few of them.",
        PLATFORM,
        "A lag that is worked off within minutes is what a topic is for.",
        wait="15m",
        keep="10m",
    ),
    Alert(
        "SinkFailing",
        "max(milepost_sink_failures) > 2",
        "page",
        "platform",
        "ClickHouse does not take what the processor writes: {{ $value }} calls in a row have failed",
        "{{ $value }} calls in a row have failed. Nothing is lost: events wait on the topic, for as long as that keeps them. "
        "Numbers stand still meanwhile.",
        PLATFORM,
        wait="1m",
        keep="3m",
    ),
    Alert(
        "PartitionPaused",
        "max by (partition) (milepost_partition_paused) > 0",
        "page",
        "platform",
        "Partition {{ $labels.partition }} has stopped: too much of what comes cannot be processed",
        "So many records of partition {{ $labels.partition }} in a row failed that it was stopped rather than dead-lettered "
        "whole. Its orders stand still until somebody decides.",
        PLATFORM,
        wait="1m",
        keep="2m",
    ),
    Alert(
        "DeadLettersGrowing",
        "sum by (reason) (increase(milepost_dead_letters_total[15m])) > 20",
        "ticket",
        "platform",
        "Events are being put aside: {{ $value | humanize }} as {{ $labels.reason }} within 15 minutes",
        "{{ $value | humanize }} records could not be processed ({{ $labels.reason }}) within 15 minutes. They count nowhere "
        "until they are replayed.",
        ACCURACY,
        wait="5m",
        keep="10m",
    ),
    Alert(
        "EdgeErrors",
        f"{EDGE_REFUSED} / {EDGE_ANSWERED} > 0.05\nand\n{EDGE_REFUSED} >= 10",
        "page",
        "platform",
        "{{ $labels.job }} answers {{ $value | humanizePercentage }} of its requests with an error of its own",
        "Within five minutes {{ $value | humanizePercentage }} of the answers of the edge service {{ $labels.job }} were 5xx. "
        "Upstream systems that send again lose nothing; those that do not, lose those events.",
        PLATFORM,
        "Every status has its series from the start, so the first error counts.",
        wait="2m",
        keep="5m",
    ),
    Alert(
        "EdgeCannotPublish",
        "max by (job) (milepost_edge_broker_up) == 0",
        "page",
        "platform",
        "{{ $labels.job }} cannot publish: the broker does not take what it sends",
        "The edge service {{ $labels.job }} cannot reach the broker or is not acknowledged. It answers 503 and acknowledges "
        "nothing, so nothing is lost that was accepted; upstream systems must send again.",
        PLATFORM,
        "Of several processes of one service, none.",
        wait="1m",
        keep="12m",
    ),
    Alert(
        "ExporterAbsent",
        "absent(milepost_exporter_up) or max(milepost_exporter_up) == 0",
        "page",
        "platform",
        "No KPI is being watched: the exporter serves nothing",
        "Prometheus gets no KPIs, so no alert about promises can fire. Either the exporter is not there, or it cannot read "
        "ClickHouse.",
        PLATFORM,
        "One that is gone and one that has nothing to serve are the same trouble.",
        wait="2m",
        keep="10m",
    ),
    Alert(
        "AuditorAbsent",
        "absent(milepost_canary_age_seconds)",
        "ticket",
        "platform",
        "Nobody checks the platform: the auditor is not there",
        "Prometheus gets nothing from the auditor: neither broken paths nor drifting numbers would be seen.",
        PLATFORM,
        wait="5m",
        keep="2m",
    ),
    Alert(
        "TargetDown",
        "up == 0",
        "ticket",
        "platform",
        "{{ $labels.job }} at {{ $labels.instance }} is not there",
        "Prometheus has not been able to scrape {{ $labels.job }} at {{ $labels.instance }} for five minutes. Where another "
        "process of that service is there, work goes on.",
        PLATFORM,
        wait="5m",
        keep="5m",
    ),
)
"""Every alert on the platform itself."""
