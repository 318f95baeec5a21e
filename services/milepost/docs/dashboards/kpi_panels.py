"""Panels of a KPI: as a number, over time, by hub; each says what the KPI is, and how many orders are behind it."""

from collections.abc import Sequence

from milepost.docs.dashboards import colours, sql
from milepost.docs.dashboards.goals import Goal, Goals
from milepost.docs.dashboards.links import to_hub
from milepost.docs.dashboards.panels import series, stat
from milepost.docs.dashboards.parts import COUNT, DECIMALS, SHARE, TEXT, UNITS, Json, clickhouse
from milepost.docs.dashboards.tables import Column, table
from milepost.domain.kpis import Kpi

TITLES = {
    "promise_kept": "Promises kept",
    "promise_kept_original": "First promises kept",
    "otif": "On time and in full",
    "in_full": "In full",
    "on_time": "Delivered on time",
    "first_attempt_success": "First-attempt success",
    "cost_per_delivery": "Cost per delivery",
    "fee_per_delivery": "Fee per delivery",
    "csat": "Satisfied (CSAT)",
    "nps": "NPS",
}
WHOLE_HOURS = "Of the whole hours that begin within the time range, the running one up to now."
LAST_HOUR = "Of the last sixty whole minutes, whatever the time range."
WHOLE_DAYS = "Of the whole UTC days that begin within the time range; today is not in it yet."


def title(kpi: Kpi) -> str:
    """What the KPI is called; the reporting currency with what is in it."""
    name = kpi.stage or TITLES.get(kpi.name) or kpi.name.replace("_", " ")
    return name[0].upper() + name[1:] + (" (${currency})" if kpi.unit == "currency" else "")


def describe(kpi: Kpi, goals: Goals, *more: str) -> str:
    """The KPI's definition with its version, its goal, and ``more``."""
    name = kpi.name if kpi.stage is None else f"{kpi.name} {kpi.stage}"
    scale = f"{kpi.scale} × " if kpi.scale != 1 else ""
    said = [
        kpi.text,
        f"{name} v{kpi.version}: {scale}({kpi.numerator_text}) / ({kpi.denominator_text}), counted at: {kpi.moment}.",
    ]
    if sql.high(kpi) is not None:
        said.append(
            "What is unknown does not count as good; it is said how many are known, and the value were the rest good."
        )
    goal = goals.of(kpi)
    said += [goal.text] if goal else ["No objective is set for it, so it is not judged."]
    return " ".join([*said, *more])


def tile(kpi: Kpi, goals: Goals, rows: str, when: str, *, name: str | None = None) -> Json:
    """The KPI as a number over ``rows``, with the orders behind it in words."""
    asked = f"SELECT {sql.behind(kpi)} AS behind, {sql.value(kpi)} AS {kpi.name} FROM {rows}"
    return stat(
        name or title(kpi),
        describe(kpi, goals, when),
        clickhouse(asked),
        UNITS[kpi.unit],
        goal=goals.of(kpi),
        decimals=DECIMALS[kpi.unit],
    )


def hours_tile(kpi: Kpi, goals: Goals, where: str = sql.HUBS) -> Json:
    """The KPI over the time range."""
    return tile(kpi, goals, sql.hours(kpi, where=where), WHOLE_HOURS)


def over_time(kpi: Kpi, goals: Goals, where: str = sql.HUBS) -> Json:
    """The KPI over time with the orders behind each point as columns, and what it might be were the unknown good."""
    columns = f"{sql.value(kpi)} AS {kpi.name}, sum(k.{kpi.denominator}) AS {_behind(kpi)}"
    paint = {kpi.name: colours.BLUE}
    top = sql.high(kpi)
    if top is not None:
        columns += f", {top} AS if_unknown_good"
        paint["if_unknown_good"] = colours.SKY
    rows = sql.hours(kpi, where=where)
    asked = f"SELECT $__timeInterval(k.hour) AS time, {columns} FROM {rows} GROUP BY time ORDER BY time"
    return series(
        f"{title(kpi)} over time",
        describe(kpi, goals, "Columns are the orders behind each point, on the axis at the right."),
        [clickhouse(asked, series=True)],
        UNITS[kpi.unit],
        paint=paint,
        goal=goals.of(kpi),
        bars=[_behind(kpi)],
        decimals=DECIMALS[kpi.unit],
        interval="1h",
        most=1 if kpi.unit == "ratio" else None,
    )


def _behind(kpi: Kpi) -> str:
    return sql.noun(kpi).replace(" ", "_") if sql.noun(kpi) != "orders" else f"{kpi.stage or kpi.name}_orders"


def kpi_columns(kpis: Sequence[Kpi], goals: Goals) -> list[Column]:
    """Columns of KPI values under their names."""
    return [
        Column(
            kpi.stage or kpi.name,
            title(kpi),
            UNITS[kpi.unit],
            describe(kpi, goals),
            DECIMALS[kpi.unit],
            goals.of(kpi),
            gauge=kpi.unit == "ratio",
        )
        for kpi in kpis
    ]


def by(
    dimension: str,
    called: str,
    kpis: Sequence[Kpi],
    goals: Goals,
    rows: str,
    when: str,
    *,
    order: str,
    link: Json | None = None,
    most: int = 200,
) -> Json:
    """A table of ``kpis`` by ``dimension`` in the order ``order``; after each KPI the orders behind it."""
    columns: list[Column] = [Column(dimension, called, TEXT, link=link)]
    asked: list[str] = []
    counted: set[str] = set()
    for kpi, column in zip(kpis, kpi_columns(kpis, goals), strict=True):
        columns.append(column)
        asked.append(f"{sql.value(kpi)} AS {column.name}")
        if kpi.denominator not in counted:
            counted.add(kpi.denominator)
            columns.append(Column(f"n_{kpi.denominator}", _counted(kpi), COUNT, f"Orders: {kpi.denominator_text}."))
            asked.append(f"sum(k.{kpi.denominator}) AS n_{kpi.denominator}")
        known = sql.coverage(kpi)
        if known is not None:
            columns.append(Column(f"known_{kpi.name}", f"{title(kpi)}: known", SHARE, "Share that is known.", 1))
            asked.append(f"{known} AS known_{kpi.name}")
    statement = f"SELECT {dimension}, {', '.join(asked)} FROM {rows} GROUP BY {dimension} ORDER BY {order} LIMIT {most}"
    text = f"{when} " + " ".join(f"{title(kpi)}: {kpi.name} v{kpi.version}." for kpi in kpis)
    if link is not None:
        text += " A name leads further."
    return table(f"By {called.lower()}", text, [clickhouse(statement)], columns)


def _counted(kpi: Kpi) -> str:
    return sql.noun(kpi)[0].upper() + sql.noun(kpi)[1:]


def by_hub(kpis: Sequence[Kpi], goals: Goals, *, order: str = "hub_id") -> Json:
    """The table by hub over the time range; a hub's name leads to its scorecard."""
    rows = sql.hours(*kpis)
    return by("hub_id", "Hub", kpis, goals, rows, WHOLE_HOURS, order=order, link=to_hub())


def goal_line(goal: Goal | None) -> str:
    """The goal in words, for descriptions."""
    return goal.text if goal else "No objective is set for it."
