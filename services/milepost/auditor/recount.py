"""The KPIs' sums, recomputed from the log in SQL that shares nothing with the processor's fold."""

from dataclasses import dataclass, field
from typing import Any

from milepost.auditor.statements import (
    DURATIONS,
    MEASURES,
    QUANTILES,
    Cuts,
    Select,
    costs_select,
    measures_select,
)
from milepost.domain.kpis import COST_DIMENSIONS
from milepost.reading.question import COST_KPI, Question
from milepost.store.client import Store

Labels = tuple[str, ...]

_SETTINGS = {
    # The log is sorted by subject, so an order is done with once the next comes: memory stays flat with its length.
    "optimize_aggregation_in_order": 1,
    # Two rewritings of conditions that gain nothing here, and over statements of this length take a second of planning.
    "optimize_and_compare_chain": 0,
    "optimize_extract_common_expressions": 0,
}


@dataclass
class Recount:
    """Sums for one combination of dimensions; ``quantiles`` of the durations, in microseconds, by measure and name."""

    measures: dict[str, int] = field(default_factory=dict)
    quantiles: dict[str, dict[str, float]] = field(default_factory=dict)


def recount(store: Store, question: Question, cuts: Cuts) -> dict[Labels, Recount]:
    """Every measure over the question's window by its dimensions, from the log below ``cuts``.

    What only costs are split by, is split for them alone.

    Raises:
        StoreError: ClickHouse cannot be asked.
    """
    found: dict[Labels, Recount] = {}
    if not set(question.by) & set(COST_DIMENSIONS):
        width = sum(name not in COST_DIMENSIONS for name in question.by)
        for row in rows(store, measures_select(question, cuts)):
            one = found.setdefault(row[:width], Recount())
            ranks = width + len(MEASURES) + 1
            *sums, (reasons, given) = row[width:ranks]
            one.measures.update(zip((*MEASURES, *reasons), (*sums, *given), strict=True))
            for name, values in zip(DURATIONS, row[ranks:], strict=True):
                one.quantiles[name] = dict(zip(QUANTILES, values, strict=True))
    if any(kpi.name == COST_KPI for kpi in question.kpis):
        for *labels, amount in rows(store, costs_select(question, cuts)):
            found.setdefault(tuple(labels), Recount()).measures["cost"] = amount
    return found


def rows(store: Store, select: Select) -> list[tuple[Any, ...]]:
    """The rows of ``select``."""
    return store.query(select.sql, select.parameters, _SETTINGS)
