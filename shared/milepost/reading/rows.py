"""From sums to the rows of an answer: values, shares known, quantiles. Pure."""

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from itertools import accumulate

from msgspec import UNSET, Struct, UnsetType

from milepost.domain.kpis import MINUTE_US, Foresight, Gauge, Kpi
from milepost.domain.measures import bucket_middle
from milepost.reading.foresight import Warned
from milepost.reading.question import Question
from milepost.reading.sums import Labels, Sums

QUANTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95}


class KpiRow(Struct, frozen=True, kw_only=True):
    """One KPI for one combination of dimensions.

    ``numerator`` is in the KPI's unit, ``denominator`` counts orders or responses (None for a gauge); ``value`` is
    None where nothing counted, or nothing of it is known; ``coverage`` is the share of the population that is known.
    """

    kpi: str
    version: int
    unit: str
    dimensions: dict[str, str]
    value: float | None
    numerator: float | int
    denominator: int | None
    coverage: float | None
    mean: float | UnsetType | None = UNSET
    p50: float | UnsetType | None = UNSET
    p90: float | UnsetType | None = UNSET
    p95: float | UnsetType | None = UNSET
    high: float | UnsetType | None = UNSET
    precision: float | UnsetType | None = UNSET
    lead_p50: float | UnsetType | None = UNSET


def kpi_rows(question: Question, found: Mapping[Labels, Sums]) -> Iterator[KpiRow]:
    """The rows of ``found``: by KPI in the catalogue's order, then by dimensions; all KPIs for each combination.

    A question by no dimension has its rows even where nothing counted.
    """
    combinations = sorted(found) if question.by else [()]
    for kpi in question.kpis:
        for labels in combinations:
            yield kpi_row(kpi, dict(zip(question.by, labels, strict=True)), found.get(labels, Sums()))


def kpi_row(kpi: Kpi, dimensions: dict[str, str], sums: Sums) -> KpiRow:
    """One row, from its sums."""
    total = sums.measures.get
    whole = sum(sign * total(name, 0) for name, sign in kpi.numerator)
    denominator = total(kpi.denominator, 0)
    coverage = _coverage(kpi, sums)
    known = denominator != 0 and coverage != 0
    value = kpi.scale * whole / kpi.unit_size / denominator if known else None
    return KpiRow(
        kpi=kpi.name,
        version=kpi.version,
        unit=kpi.unit,
        dimensions=dimensions if kpi.stage is None else {**dimensions, "stage": kpi.stage},
        value=value,
        numerator=whole if kpi.unit_size == 1 else whole / kpi.unit_size,
        denominator=denominator,
        coverage=coverage,
        mean=_mean(kpi, sums, value),
        high=_high(kpi, sums, whole, denominator),
        **_quantiles(kpi, sums),
    )


def gauge_row(gauge: Gauge, dimensions: dict[str, str], number: int) -> KpiRow:
    """The row of a number that is about now."""
    return KpiRow(
        kpi=gauge.name,
        version=gauge.version,
        unit=gauge.unit,
        dimensions=dimensions,
        value=float(number),
        numerator=number,
        denominator=None,
        coverage=1.0,
    )


def foresight_row(foresight: Foresight, dimensions: dict[str, str], warned: Warned) -> KpiRow:
    """The row of how good warnings were."""
    decided = warned.foreseen + warned.false_alarms
    return KpiRow(
        kpi=foresight.name,
        version=foresight.version,
        unit=foresight.unit,
        dimensions=dimensions,
        value=warned.foreseen / warned.broken if warned.broken else None,
        numerator=warned.foreseen,
        denominator=warned.broken,
        coverage=1.0 if warned.broken else None,
        precision=warned.foreseen / decided if decided else None,
        lead_p50=warned.lead_p50 / MINUTE_US if warned.foreseen else None,
    )


def _coverage(kpi: Kpi, sums: Sums) -> float | None:
    """Share of the population that is known; None where there is no population."""
    population = sums.measures.get(kpi.population or kpi.denominator, 0)
    if population == 0:
        return None
    if kpi.known is not None:
        return sums.measures.get(kpi.known, 0) / population
    if kpi.unknown is not None:
        return 1 - sums.measures.get(kpi.unknown, 0) / population
    return 1.0


def _mean(kpi: Kpi, sums: Sums, value: float | None) -> float | UnsetType | None:
    if kpi.histogram is not None:
        return value
    if kpi.mean is None:
        return UNSET
    denominator = sums.measures.get(kpi.denominator, 0)
    return sums.measures.get(kpi.mean, 0) / denominator if denominator else None


def _high(kpi: Kpi, sums: Sums, whole: int, denominator: int) -> float | UnsetType | None:
    if not kpi.high or kpi.unknown is None:
        return UNSET
    return (whole + sums.measures.get(kpi.unknown, 0)) / denominator if denominator else None


def _quantiles(kpi: Kpi, sums: Sums) -> dict[str, float | None]:
    if kpi.histogram is None:
        return {}
    return quantiles(sums.histograms.get(kpi.histogram, {}))


def quantiles(counts: Mapping[int, int]) -> dict[str, float | None]:
    """``QUANTILES`` of a histogram, in minutes, as ``domain.measures.quantile`` defines them, in one pass."""
    keys = sorted(counts)
    ranks = list(accumulate(counts[key] for key in keys))
    if not ranks or ranks[-1] <= 0:
        return dict.fromkeys(QUANTILES)
    found: dict[str, float | None] = {}
    for name, q in QUANTILES.items():
        position = (ranks[-1] - 1) * q
        below = int(position)
        low, high = (bucket_middle(keys[bisect_right(ranks, rank)]) for rank in (below, min(below + 1, ranks[-1] - 1)))
        found[name] = (low + (high - low) * (position - below)) / MINUTE_US
    return found
