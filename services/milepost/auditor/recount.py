"""The KPIs' sums, recomputed from the log in SQL that shares nothing with the processor's fold.

The SQL lies in ``sql/``; here it is put together for a question and asked. Only names come from the catalogue.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import Any

from milepost.contracts.event import micros
from milepost.domain.kpis import COST_DIMENSIONS
from milepost.reading.question import Question
from milepost.store.client import Store

Labels = tuple[str, ...]
Cuts = Mapping[int, int]
"""Per partition, the offset below which everything is in the numbers."""

QUANTILES = (0.5, 0.9, 0.95)
_FACTS = (
    "order.placed", "order.promise_changed", "order.cancelled", "dispatch.ready", "dispatch.assigned",
    "dispatch.unassigned", "dispatch.departed", "delivery.picked_up", "delivery.arrived", "delivery.attempt_failed",
    "delivery.delivered", "delivery.returned", "delivery.lost", "feedback.submitted",
)  # fmt: skip
_COST = "cost.recorded"

_ORDER_DIMENSIONS = ("hub_id", "zone_id", "service_level", "merchant_id")
_HOLDERS = """arraySort(groupArrayIf(
        (time, source, id, courier_id),
        type IN ('milepost.dispatch.assigned.v1', 'milepost.dispatch.unassigned.v1') OR courier_id != ''
    ))"""
_NO_HOLDERS = "[(toInt64(0), '', '', '')]"

MEASURES: dict[str, tuple[str, str]] = {
    "delivered": ("delivered", "1"),
    "delivery_timed": ("delivered", "delivery_us >= 0"),
    "delivery_us": ("delivered", "greatest(delivery_us, 0)"),
    "on_time": ("delivered", "delivered_at <= deadline"),
    "windowed": ("delivered", "windowed"),
    "early": ("delivered", "windowed AND delivered_at < opens"),
    "in_full_known": ("delivered", "in_full_known"),
    "in_full": ("delivered", "in_full"),
    "responded": ("delivered", "responded"),
    "due": ("due", "1"),
    "kept": ("due", "kept"),
    "repromised": ("due", "moved"),
    "otif": ("due", "kept AND in_full"),
    "otif_unknown": ("due", "kept AND NOT in_full_known"),
    "due_original": ("due_original", "1"),
    "kept_original": ("due_original", "kept_original"),
    "attempted": ("attempted", "1"),
    "first_success": ("attempted", "first_success"),
    "tried": ("tried", "1"),
    "not_attempted": ("tried", "not_attempted"),
    "scored": ("scored", "1"),
    "satisfied": ("scored", "score >= 4"),
    "score_sum": ("scored", "score"),
    "nps_answered": ("nps", "1"),
    "promoters": ("nps", "nps >= 9"),
    "detractors": ("nps", "nps <= 6"),
    "closed": ("closed", "1"),
    "cancelled": ("closed", "cancelled"),
    "returned": ("closed", "returned"),
    **{f"{stage}_timed": (stage, "1") for stage in ("prepare", "assign", "collect", "transit", "reattempt", "door")},
    **{f"{stage}_us": (stage, f"{stage}_us") for stage in ("prepare", "assign", "collect", "transit", "reattempt", "door")},
}
"""Each measure: at which moment of an order it counts, and what it counts there."""

DURATIONS = tuple(name for name in MEASURES if name.endswith("_us"))
"""The measures that are durations, of which quantiles are asked."""


@dataclass
class Recount:
    """Sums for one combination of dimensions; ``quantiles`` of a duration in microseconds, by measure."""

    measures: dict[str, int] = field(default_factory=dict)
    quantiles: dict[str, tuple[float, ...]] = field(default_factory=dict)


def recount(store: Store, question: Question, cuts: Cuts) -> dict[Labels, Recount]:
    """Every measure of the question over its window, from the log below ``cuts``."""
    found: dict[Labels, Recount] = {}
    by = tuple(name for name in question.by if name not in COST_DIMENSIONS)
    sql, parameters = measures_select(question, by, cuts)
    width = len(by)
    for row in store.query(sql, parameters):
        one = found.setdefault(tuple(row[:width]), Recount())
        one.measures.update(zip(MEASURES, map(int, row[width : width + len(MEASURES)]), strict=True))
        one.quantiles.update(zip(DURATIONS, map(tuple, row[width + len(MEASURES) :]), strict=True))
    return found


def measures_select(question: Question, by: tuple[str, ...], cuts: Cuts) -> tuple[str, dict[str, Any]]:
    """The SELECT of every measure but the costs, and its parameters."""
    sums = [f"toInt64(sumIf({value}, moment.1 = '{at}')) AS sum_{name}" for name, (at, value) in MEASURES.items()]
    levels = ", ".join(map(str, QUANTILES))
    ranks = [
        f"quantilesExactInclusiveIf({levels})({MEASURES[name][1]}, moment.1 = '{MEASURES[name][0]}' AND {name} >= 0)"
        for name in DURATIONS
    ]
    labels = [_label(name) for name in by]
    where = "".join(f" AND {_label(name)} IN {{where_{name}:Array(String)}}" for name, _ in question.where if name not in COST_DIMENSIONS)
    parameters: dict[str, Any] = {
        f"where_{name}": list(values) for name, values in question.where if name not in COST_DIMENSIONS
    }
    group = f" GROUP BY {', '.join(labels)}" if labels else ""
    sql = (
        f"SELECT {', '.join([*labels, *sums, *ranks])} FROM ({orders_sql('courier_id' in question.used)}) "
        f"ARRAY JOIN counts_at AS moment WHERE 1{where}{group}"
    )
    return sql, parameters | log_parameters(cuts, _FACTS) | window(question.start, question.end)


def _label(name: str) -> str:
    return "moment.3" if name == "courier_id" else name


def orders_sql(couriers: bool) -> str:
    """One row an order, with the moments it counts at in ``counts_at``; the courier of each only where asked for."""
    facts = statement("facts").format(log=statement("log"), holders=_HOLDERS if couriers else _NO_HOLDERS)
    courier = "courier_at(m.2, m.3)" if couriers else "''"
    return statement("orders").format(facts=facts, courier=courier)


def log_parameters(cuts: Cuts, kinds: tuple[str, ...]) -> dict[str, Any]:
    """What ``log.sql`` takes."""
    return {
        "partitions": list(cuts),
        "cuts": list(cuts.values()),
        "types": [f"milepost.{kind}.v1" for kind in kinds],
    }


def window(start: datetime, end: datetime) -> dict[str, int]:
    """The window as parameters."""
    return {"start": micros(start), "end": micros(end)}


@cache
def statement(name: str) -> str:
    """The SQL in ``sql/<name>.sql``."""
    return files(__package__).joinpath("sql", f"{name}.sql").read_text()
