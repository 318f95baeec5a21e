"""What the exporter serves: one look at the store, as Prometheus samples."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from milepost import metrics
from milepost.domain.kpis import GAUGES, KPIS
from milepost.domain.sla.words import RULES
from milepost.domain.windows import windows_of
from milepost.exporter.exposition import Family
from milepost.reading.gauges import read_gauges
from milepost.reading.progress import watermark
from milepost.reading.rows import kpi_row
from milepost.reading.sla.summary import read_hub_counts
from milepost.reading.sums import Sums
from milepost.reading.windows import window_sums, windows
from milepost.store.client import Store

_STORED_DEAD_LETTERS = "SELECT reason, countIf(state = 'open') FROM dead_letters_store FINAL GROUP BY reason"


@dataclass(frozen=True)
class Snapshot:
    """The numbers as of ``taken``, the KPIs already rendered."""

    taken: datetime
    watermark: datetime | None
    rendered: bytes = field(repr=False)


def look(store: Store, now: datetime) -> Snapshot:
    """Read everything the exporter serves.

    Raises:
        StoreError: ClickHouse cannot be asked.
    """
    until = watermark(store)
    families = list(kpi_families(window_sums(store, now, windows())))
    counted = read_gauges(store, now, GAUGES, ("hub_id",))
    by_hub = {labels[0]: counts for labels, counts in counted.items()}
    families += gauge_families(by_hub)
    families += sla_families(by_hub, *read_hub_counts(store, now))
    letters = Family(metrics.STORED_DEAD_LETTERS)
    for reason, count in store.query(_STORED_DEAD_LETTERS):
        letters.add((reason,), int(count))
    return Snapshot(now, until, b"".join(family.rendered() for family in (*families, letters)))


def kpi_families(found: Mapping[str, Mapping[str, Sums]]) -> tuple[Family, ...]:
    """Value, numerator, denominator and coverage of every KPI, window and hub.

    A hub has series of a KPI once that counted something in the longest window: then over every window, so that
    sums over hubs never miss one, with no value where nothing counted.
    """
    value, numerator, denominator, coverage = map(
        Family, (metrics.KPI_VALUE, metrics.KPI_NUMERATOR, metrics.KPI_DENOMINATOR, metrics.KPI_COVERAGE)
    )
    longest = found[list(found)[-1]] if found else {}
    nothing = Sums()
    for kpi in KPIS:
        names = [window for window in found if window in windows_of(kpi.name)]
        counted = [name for name, _ in kpi.numerator] + [kpi.denominator]
        for hub in sorted(hub for hub, sums in longest.items() if any(sums.measures.get(name) for name in counted)):
            for window in names:
                row = kpi_row(kpi, {}, found[window].get(hub, nothing))
                labels = (kpi.name, kpi.stage or "", window, hub)
                numerator.add(labels, row.numerator)
                denominator.add(labels, row.denominator or 0)
                if row.value is not None:
                    value.add(labels, row.value)
                if row.coverage is not None and kpi.may_be_unknown:
                    coverage.add(labels, row.coverage)
    return value, numerator, denominator, coverage


def gauge_families(counted: Mapping[str, Mapping[str, int]]) -> tuple[Family, ...]:
    """Open and overdue orders by hub, orphans altogether (they have no hub)."""
    opened, overdue, orphans = map(Family, (metrics.OPEN_ORDERS, metrics.OVERDUE_ORDERS, metrics.ORPHAN_ORDERS))
    for hub, counts in sorted(counted.items()):
        if hub:
            opened.add((hub,), counts["open_orders"])
            overdue.add((hub,), counts["overdue_orders"])
    orphans.add((), sum(counts["orphan_orders"] for counts in counted.values()))
    return opened, overdue, orphans


def sla_families(
    hubs: Iterable[str], at_risk: Mapping[str, int], breached: Mapping[tuple[str, str], int]
) -> tuple[Family, ...]:
    """Orders at risk by hub, and breached ones by rule and hub: zeros for each of ``hubs``, which has orders that are
    not closed, so that an alert on an increase has something to begin with.
    """
    risks, breaches = Family(metrics.AT_RISK_ORDERS), Family(metrics.BREACHED_SLAS)
    for hub in sorted({*hubs, *at_risk, *(hub for _, hub in breached)} - {""}):
        risks.add((hub,), at_risk.get(hub, 0))
        for rule in RULES:
            breaches.add((rule, hub), breached.get((rule, hub), 0))
    return risks, breaches
