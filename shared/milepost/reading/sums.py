"""The sums a KPI question needs, read from ClickHouse: measures, costs and histograms by the asked dimensions."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from milepost.domain.kpis import COST_DIMENSIONS, Kpi
from milepost.domain.measures import BUCKETS_PER_HISTOGRAM, HISTOGRAMS
from milepost.reading.question import COST_KPI, Question
from milepost.reading.spans import COSTS, WHOLE, Span, condition, spans
from milepost.store.client import Store

Labels = tuple[str, ...]
"""Values of the dimensions a question is asked by, in its order."""


@dataclass
class Sums:
    """Sums over the window for one combination of dimensions; ``histograms`` by their number, bucket key to count."""

    measures: dict[str, int] = field(default_factory=dict)
    histograms: dict[int, dict[int, int]] = field(default_factory=dict)


@dataclass(frozen=True)
class Select:
    """One SELECT and its parameters."""

    sql: str
    parameters: Mapping[str, Any]


def read(store: Store, question: Question) -> dict[Labels, Sums]:
    """The sums, by dimensions. What only costs are split by is split for them alone.

    Raises:
        StoreError: ClickHouse cannot be asked.
    """
    found: dict[Labels, Sums] = {}
    if question.start >= question.end:
        return found
    measures = measure_names(question.kpis)
    numbers = histogram_numbers(question.kpis)
    selects = [measures_select(question, measures)] if measures else []
    selects += [histograms_select(question, numbers)] if numbers else []
    selects += [cost_select(question)] if any(kpi.name == COST_KPI for kpi in question.kpis) else []
    with ThreadPoolExecutor(len(selects) or 1) as threads:
        answers = list(threads.map(lambda select: store.query(select.sql, select.parameters), selects))
    width = len(plain(question.by))
    if measures:
        for row in answers.pop(0):
            _at(found, row[:width]).measures.update(zip(measures, map(int, row[width:]), strict=True))
    if numbers:
        for row in answers.pop(0):
            number, buckets, counts = row[width:]
            _at(found, row[:width]).histograms[int(number)] = dict(zip(buckets, counts, strict=True))
    if answers:
        found = _with_costs(question, found, answers.pop(0))
    return found


def _with_costs(question: Question, found: dict[Labels, Sums], rows: list[tuple[Any, ...]]) -> dict[Labels, Sums]:
    """``found`` with the costs; where those are split further, each part stands over the same deliveries."""
    if plain(question.by) == question.by:
        for row in rows:
            _at(found, row[:-1]).measures["cost"] = int(row[-1])
        return found
    places = [question.by.index(name) for name in plain(question.by)]
    split: dict[Labels, Sums] = {}
    for row in rows:
        labels = row[:-1]
        deliveries = found.get(tuple(labels[place] for place in places), Sums())
        split[labels] = Sums({**deliveries.measures, "cost": int(row[-1])})
    return split


def _at(found: dict[Labels, Sums], labels: tuple[Any, ...]) -> Sums:
    return found.setdefault(tuple(labels), Sums())


def plain(by: tuple[str, ...]) -> tuple[str, ...]:
    """The dimensions every KPI has, without those only costs have."""
    return tuple(name for name in by if name not in COST_DIMENSIONS)


def measure_names(kpis: tuple[Kpi, ...]) -> tuple[str, ...]:
    """Every measure but the cost that ``kpis`` read."""
    return tuple(dict.fromkeys(name for kpi in kpis for name in kpi.measures if name != "cost"))


def histogram_numbers(kpis: tuple[Kpi, ...]) -> tuple[int, ...]:
    """The histograms that ``kpis`` read."""
    return tuple(kpi.histogram for kpi in kpis if kpi.histogram is not None)


def measures_select(question: Question, measures: tuple[str, ...]) -> Select:
    """Sums of ``measures``. Costs have rows of their own, which this passes over."""
    by = plain(question.by)
    where, parameters = rows_of(question)
    sums = ", ".join(f"sum({name}) AS sum_{name}" for name in measures)
    return Select(f"SELECT {_columns(by)}{sums} FROM kpi_store FINAL PREWHERE {where}{_group(by)}", parameters)


def cost_select(question: Question) -> Select:
    """Sums of the costs, by all asked dimensions."""
    where, parameters = rows_of(question, COSTS)
    by = question.by
    return Select(
        f"SELECT {_columns(by)}sum(cost) AS sum_cost FROM kpi_store FINAL PREWHERE {where}{_group(by)}", parameters
    )


def histograms_select(question: Question, numbers: tuple[int, ...]) -> Select:
    """The histograms ``numbers``: for each its bucket keys, ascending, and their counts."""
    by = plain(question.by)
    where, parameters = rows_of(question)
    histogram = f"intDiv(bucket, {BUCKETS_PER_HISTOGRAM})"
    # Keys of one histogram lie together, and comparing is cheaper than dividing.
    ranges = [(number * BUCKETS_PER_HISTOGRAM, (number + 1) * BUCKETS_PER_HISTOGRAM) for number in numbers]
    chosen = " OR ".join(f"(bucket >= {low} AND bucket < {high})" for low, high in ranges)
    wanted = "" if len(numbers) == len(HISTOGRAMS) else f" WHERE {chosen}"
    keys = ", ".join((*by, "bucket"))
    columns = ", ".join((*by, "histogram"))
    return Select(
        f"SELECT {columns}, groupArray(bucket), groupArray(counted) FROM ("
        f"SELECT {_columns(by)}bucket, {histogram} AS histogram, sum(count) AS counted "
        f"FROM kpi_store FINAL ARRAY JOIN hist_bucket AS bucket, hist_count AS count PREWHERE {where}{wanted} "
        f"GROUP BY {keys} HAVING counted != 0 ORDER BY {keys}) GROUP BY {columns}",
        parameters,
    )


def _columns(by: tuple[str, ...]) -> str:
    return "".join(f"{name}, " for name in by)


def _group(by: tuple[str, ...]) -> str:
    # Without a GROUP BY an empty window would still give one row of zeros.
    return f" GROUP BY {', '.join(by)}" if by else " HAVING count() > 0"


def rows_of(question: Question, rows: str = WHOLE, among: tuple[Span, ...] | None = None) -> tuple[str, dict[str, Any]]:
    """The question's ``rows`` (``WHOLE``, ``COSTS`` or ``REASONS``) as a condition and its parameters, by key columns
    alone: all before the versions are resolved. ``among`` are the spans to read where not those that serve the whole
    window best.
    """
    parts = [condition(among or spans(question.start, question.end, question.used))]
    parts.append(rows)
    parameters: dict[str, Any] = {}
    for name, values in question.where:
        if rows == COSTS or name not in COST_DIMENSIONS:
            parts.append(f"{name} IN {{where_{name}:Array(String)}}")
            parameters[f"where_{name}"] = list(values)
    return " AND ".join(parts), parameters
