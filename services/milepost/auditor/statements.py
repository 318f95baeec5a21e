"""The SQL that recomputes the KPIs, put together from ``sql/`` for a question. No I/O but its own files."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from milepost.contracts.event import micros
from milepost.domain.kpis import COST_DIMENSIONS
from milepost.domain.measures import MEASURES as KPI_MEASURES
from milepost.reading.question import EARLIEST, Question

Cuts = Mapping[int, int]
"""Per partition, the offset below which everything is in the numbers."""

QUANTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95}
STAGES = ("prepare", "assign", "collect", "transit", "reattempt", "door")
COST = "milepost.cost.recorded.v1"
FACTS = tuple(
    f"milepost.{name}.v1"
    for name in (
        "order.placed", "order.promise_changed", "order.cancelled", "dispatch.ready", "dispatch.assigned",
        "dispatch.unassigned", "dispatch.departed", "delivery.picked_up", "delivery.arrived",
        "delivery.attempt_failed", "delivery.delivered", "delivery.returned", "delivery.lost", "feedback.submitted",
    )
)  # fmt: skip
"""The events that what an order counts for follows from."""

REASONS = "reasons"
"""Stands in no minute of its own: a moment for each reason is named after it."""


def reason_measure(of: str, reason: str) -> str:
    """What the count of one reason is called: the measure, what it is the reason of, and the reason."""
    return f"{REASONS} {of} {reason}"


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
    **{f"{stage}_timed": (stage, "1") for stage in STAGES},
    **{f"{stage}_us": (stage, f"{stage}_us") for stage in STAGES},
    "priced": ("delivered", "priced"),
    "fee": ("delivered", "fee"),
    REASONS: (REASONS, "1"),
}
"""Each measure but the cost: at which moment of an order it counts, and what it counts there."""

DURATIONS = tuple(name for name in MEASURES if name.endswith("_us"))
"""The measures of which quantiles are asked."""

CUT_OF_ROW = "transform(partition, {partitions:Array(UInt16)}, {cuts:Array(UInt64)}, toUInt64(0))"
END_OF_TIME_US = 1 << 62

_COURIERS = """
    argMinIf(courier_id, (time, source, id), type = 'milepost.dispatch.assigned.v1') AS assigned_by,
    argMinIf(
        courier_id, (time, source, id), type IN ('milepost.delivery.picked_up.v1', 'milepost.dispatch.departed.v1')
    ) AS out_by,
    argMinIf(courier_id, (time, source, id), type = 'milepost.delivery.arrived.v1') AS first_arrived_by,
    argMaxIf(courier_id, (time, source, id), type = 'milepost.delivery.arrived.v1') AS last_arrived_by,
    arraySort(groupArrayIf(
        (time, source, id, courier_id),
        type IN ('milepost.dispatch.assigned.v1', 'milepost.dispatch.unassigned.v1') OR courier_id != ''
    )) AS holders"""
_NONE = "[(toInt64(0), '', '', '')]"
_NO_COURIERS = "'' AS assigned_by, '' AS out_by, '' AS first_arrived_by, '' AS last_arrived_by, [] AS holders".replace(
    "[]", _NONE
)
_RECORDS = """arraySort(groupArrayIf(
        (time, source, id, data), type = 'milepost.cost.recorded.v1' AND JSONHas(data, 'order_id')
    ))"""


@dataclass(frozen=True)
class Select:
    """One SELECT and its parameters."""

    sql: str
    parameters: Mapping[str, Any]


def measures_select(question: Question, cuts: Cuts, by: tuple[str, ...] | None = None) -> Select:
    """Every measure but the costs, the counts of each reason, and the quantiles of every duration.

    By the dimensions that all KPIs have, or by other expressions over a row of ``orders.sql`` and its ``moment``.
    """
    labels = list(by) if by is not None else [_label(name) for name in question.by if name not in COST_DIMENSIONS]
    sums = [_counted(name) for name in MEASURES]
    reasons = f"sumMapIf([moment.1], [toInt64(1)], {_counts_at(REASONS)})"
    levels = ", ".join(map(str, QUANTILES.values()))
    ranks = [
        f"quantilesExactInclusiveIf({levels})({name}, moment.1 = '{MEASURES[name][0]}' AND {name} >= 0)"
        for name in DURATIONS
    ]
    where, parameters = _where(question)
    sql = (
        f"SELECT {', '.join([*labels, *sums, reasons, *ranks])} FROM ({orders_sql(question)}) "
        f"ARRAY JOIN counts_at AS moment WHERE {where}{_group(labels)}"
    )
    return Select(sql, parameters | _window(question) | _log(cuts, FACTS))


def costs_select(question: Question, cuts: Cuts, by: tuple[str, ...] | None = None) -> Select:
    """The sums of the costs, by all asked dimensions, or by other expressions over a row of ``costs.sql``."""
    where, parameters = _where(question, cost=True)
    labels = list(question.by if by is None else by)
    subjects = candidates(question)
    if question.used <= {"hub_id", *COST_DIMENSIONS}:
        rows = f"SELECT * FROM ({_costs_sql(subjects)})"
        kinds: tuple[str, ...] = (COST,)
    else:
        facts = facts_sql(subjects, couriers="courier_id" in question.used, costs=True)
        ledger = f"SELECT * FROM ({_costs_sql(subjects)}) WHERE NOT of_order"
        rows = f"{ledger} UNION ALL {statement('order_costs').format(facts=facts)}"
        kinds = (*FACTS, COST)
    sql = (
        f"SELECT {''.join(f'{label}, ' for label in labels)}toInt64(sum(amount)) FROM ({rows}) "
        f"WHERE moment >= {{start:Int64}} AND moment < {{end:Int64}} AND {where}{_group(labels)}"
    )
    return Select(sql, parameters | _window(question) | _log(cuts, kinds))


def orders_sql(question: Question) -> str:
    """One row an order, with the moments it counts at in ``counts_at``; the courier of each only where asked for."""
    return _orders_sql(candidates(question), couriers="courier_id" in question.used)


def candidates(question: Question) -> str:
    """A condition that holds for every subject that may count in the window; "" where that is all time."""
    return "" if question.start <= EARLIEST else f"subject IN ({statement('candidates')})"


def suspects(question: Question) -> str:
    """The same, and for those whose rows say that they count there."""
    if question.start <= EARLIEST:
        return "1"
    return f"subject IN ({statement('candidates')} UNION DISTINCT {statement('suspects')})"


def differences_select(question: Question, cuts: Cuts) -> Select:
    """Orders and ledger subjects that may count in the window and whose rows say something else than their events."""
    names = (*MEASURES, "cost")
    order = [name for name in KPI_MEASURES if name in names]
    measures = [_counted(name) for name in order]
    sql = statement("order_differences").format(
        measures=", ".join(measures),
        orders=_orders_sql(suspects(question)),
        costs=_costs_sql(suspects(question)),
        cost=", ".join("toInt64(sum(amount))" if name == "cost" else "toInt64(0)" for name in order),
        amount=", ".join("toInt64(sum(amount))" if name == "cost" else "toInt64(0)" for name in order),
        cut=CUT_OF_ROW,
        rows=suspects(question),
    )
    all_time = {"start": 1, "end": END_OF_TIME_US, "width": len(order)}
    return Select(sql, _window(question) | all_time | _log(cuts, (*FACTS, COST)))


def counting_select(question: Question, cuts: Cuts, names: list[str], minutes: list[int], most: int) -> Select:
    """How many subjects count for the measures ``names`` in ``minutes``, and the first ``most`` of them."""
    where, parameters = _where(question)
    places = " OR ".join(sorted({_counts_at(name) for name in names if name in MEASURES})) or "0"
    parts = [
        f"SELECT subject FROM ({orders_sql(question)}) ARRAY JOIN counts_at AS moment WHERE {where} "
        f"AND ({places}) AND intDiv(moment.2, 60000000) IN {{minutes:Array(Int64)}}"
    ]
    if "cost" in names:
        parts.append(
            f"SELECT subject FROM ({_costs_sql(candidates(question))}) "
            "WHERE intDiv(moment, 60000000) IN {minutes:Array(Int64)}"
        )
    first = f"arraySlice(arraySort(groupUniqArray(subject)), 1, {most})"
    sql = f"SELECT uniqExact(subject), {first} FROM ({' UNION ALL '.join(parts)})"
    more = {"minutes": minutes}
    return Select(sql, parameters | more | _window(question) | _log(cuts, (*FACTS, COST)))


def _orders_sql(subjects: str, *, couriers: bool = False) -> str:
    courier = "courier_at(m.2, m.3)" if couriers else "''"
    return statement("orders").format(facts=facts_sql(subjects, couriers=couriers), courier=courier)


def facts_sql(subjects: str, *, couriers: bool = False, costs: bool = False) -> str:
    """One row an order: its facts by kind."""
    return statement("facts").format(
        log=log_sql(subjects),
        couriers=_COURIERS if couriers else _NO_COURIERS,
        records=_RECORDS if costs else _NONE,
    )


def log_sql(subjects: str) -> str:
    """The log as it counts."""
    return statement("log").format(subjects=f" AND {subjects}" if subjects else "")


def _log(cuts: Cuts, types: tuple[str, ...]) -> dict[str, Any]:
    return {"partitions": list(cuts), "cuts": list(cuts.values()), "types": list(types)}


def _costs_sql(subjects: str) -> str:
    return statement("costs").format(log=log_sql(subjects))


def _counted(name: str) -> str:
    if name not in MEASURES:
        return "toInt64(0)"
    return f"toInt64(sumIf({MEASURES[name][1]}, {_counts_at(name)}))"


def _counts_at(name: str) -> str:
    """Whether the measure counts at a row's ``moment``."""
    return f"startsWith(moment.1, '{name} ')" if name == REASONS else f"moment.1 = '{MEASURES[name][0]}'"


def _label(name: str) -> str:
    return "moment.3" if name == "courier_id" else name


def _group(labels: list[str]) -> str:
    return f" GROUP BY {', '.join(labels)}" if labels else ""


def _where(question: Question, *, cost: bool = False) -> tuple[str, dict[str, Any]]:
    parts, parameters = ["1"], {}
    for name, values in question.where:
        if cost or name not in COST_DIMENSIONS:
            parts.append(f"{name if cost else _label(name)} IN {{where_{name}:Array(String)}}")
            parameters[f"where_{name}"] = list(values)
    return " AND ".join(parts), parameters


def _window(question: Question) -> dict[str, int]:
    start, end = micros(question.start), micros(question.end)
    return {"start": start, "end": end, "since": start, "until": end}


@cache
def statement(name: str) -> str:
    """The SQL in ``sql/<name>.sql``."""
    return files(__package__).joinpath("sql", f"{name}.sql").read_text()
