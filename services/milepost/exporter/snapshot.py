"""What the exporter serves: one look at the store, as Prometheus samples."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from milepost import metrics
from milepost.domain.kpis import GAUGES, KPIS
from milepost.metrics import Metric
from milepost.reading.gauges import read_gauges
from milepost.reading.progress import watermark
from milepost.reading.question import COST_KPI
from milepost.reading.rows import kpi_row
from milepost.reading.sums import Sums
from milepost.reading.windows import COST_WINDOWS, window_sums, windows
from milepost.store.client import Store

_STORED_DEAD_LETTERS = "SELECT reason, count() FROM dead_letters_store FINAL GROUP BY reason"


@dataclass(frozen=True)
class Snapshot:
    """The numbers as of ``taken``, the KPIs already rendered."""

    taken: datetime
    watermark: datetime | None
    rendered: bytes = field(repr=False)


class _Families(Collector):
    def __init__(self, families: Iterable[GaugeMetricFamily]) -> None:
        self._families = list(families)

    def collect(self) -> Iterable[GaugeMetricFamily]:
        return self._families


def look(store: Store, now: datetime) -> Snapshot:
    """Read everything the exporter serves.

    Raises:
        StoreError: ClickHouse cannot be asked.
    """
    until = watermark(store)
    families = list(kpi_families(window_sums(store, now, windows())))
    counted = read_gauges(store, now, GAUGES, ("hub_id",))
    families += gauge_families({labels[0]: counts for labels, counts in counted.items()})
    letters = _family(metrics.STORED_DEAD_LETTERS)
    for reason, count in store.query(_STORED_DEAD_LETTERS):
        letters.add_metric((reason,), int(count))
    registry = CollectorRegistry()
    registry.register(_Families((*families, letters)))
    return Snapshot(now, until, generate_latest(registry))


def kpi_families(found: Mapping[str, Mapping[str, Sums]]) -> tuple[GaugeMetricFamily, ...]:
    """Value, numerator and denominator of every KPI, window and hub.

    A hub has series of a KPI once that counted something in the longest window: then over every window, so that
    sums over hubs never miss one, with no value where nothing counted.
    """
    value, numerator, denominator = map(_family, (metrics.KPI_VALUE, metrics.KPI_NUMERATOR, metrics.KPI_DENOMINATOR))
    longest = list(found)[-1] if found else ""
    for kpi in KPIS:
        for window, hubs in found.items():
            if kpi.name == COST_KPI and window not in COST_WINDOWS:
                continue
            for hub in sorted(found[longest]):
                whole = kpi_row(kpi, {}, found[longest][hub])
                if not whole.denominator and not whole.numerator:
                    continue
                row = kpi_row(kpi, {}, hubs.get(hub, Sums()))
                labels = (kpi.name, kpi.stage or "", window, hub)
                numerator.add_metric(labels, row.numerator)
                denominator.add_metric(labels, row.denominator or 0)
                if row.value is not None:
                    value.add_metric(labels, row.value)
    return value, numerator, denominator


def gauge_families(counted: Mapping[str, Mapping[str, int]]) -> tuple[GaugeMetricFamily, ...]:
    """Open and overdue orders by hub, orphans altogether (they have no hub)."""
    opened, overdue, orphans = map(_family, (metrics.OPEN_ORDERS, metrics.OVERDUE_ORDERS, metrics.ORPHAN_ORDERS))
    for hub, counts in sorted(counted.items()):
        if hub:
            opened.add_metric((hub,), counts["open_orders"])
            overdue.add_metric((hub,), counts["overdue_orders"])
    orphans.add_metric((), sum(counts["orphan_orders"] for counts in counted.values()))
    return opened, overdue, orphans


def _family(metric: Metric) -> GaugeMetricFamily:
    return GaugeMetricFamily(metric.name, metric.text, labels=metric.labels)
