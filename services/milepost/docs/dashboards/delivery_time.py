"""Delivery time: how long do customers wait, and where do the minutes go?"""

from milepost.docs.dashboards import colours, sql
from milepost.docs.dashboards.frame import Dashboard, Heading, Shelf, hubs, time_zone
from milepost.docs.dashboards.goals import Goals
from milepost.docs.dashboards.kpi_panels import (
    WHOLE_DAYS,
    WHOLE_HOURS,
    by,
    describe,
    hours_tile,
)
from milepost.docs.dashboards.links import to_hub
from milepost.docs.dashboards.panels import density, series, stat
from milepost.docs.dashboards.parts import COUNT, MINUTES, TEXT, Json, clickhouse
from milepost.docs.dashboards.sql import named
from milepost.docs.dashboards.tables import Column, table
from milepost.domain.measures import STAGES

_TIME = named("delivery_time")
_STAGES = tuple(named("stage_time", stage) for stage in STAGES)
_BOUNDS = (10, 15, 20, 25, 30, 40, 50, 60, 75, 90, 120, 150, 180, 240, 360)
_PAINT = {"p50": colours.SKY, "p90": colours.ORANGE, "p95": colours.VERMILLION}
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_QUANTILES = "p50, p90 and p95 interpolate between the two nearest ranks; each rank's value is within 1 %."


def build(goals: Goals) -> Dashboard:
    """The dashboard of durations."""
    return Dashboard(
        "milepost-delivery-time",
        "Milepost: Delivery time",
        "How long do customers wait, and where do the minutes go?",
        ["time"],
        [
            Shelf(5, [hours_tile(_TIME, goals), _quantiles(goals)], [8, 16]),
            Shelf(9, [_quantiles_over_time(goals), _distribution(goals)]),
            Heading("Where the minutes go"),
            Shelf(9, [_stages(goals), stages_over_time(goals)]),
            Heading("Where and when it takes longest"),
            Shelf(10, [_by_hub(goals), _by_zone(goals)]),
            Shelf(9, [_hour_of_week(goals)]),
        ],
        [hubs(), time_zone()],
        span="now-7d",
        refresh="5m",
    )


def _quantiles(goals: Goals) -> Json:
    """p50, p90, p95 and how many orders they are of."""
    asked = f"SELECT {sql.quantiles()}, sum(n) AS orders FROM {sql.delivery_histogram()}"
    text = describe(_TIME, goals, _QUANTILES, WHOLE_HOURS)
    panel = stat("p50, p90, p95: so many in a hundred wait no longer", text, clickhouse(asked), MINUTES, several=True,
                 decimals=1)  # fmt: skip
    panel["fieldConfig"]["overrides"] = [Column("orders", "orders", COUNT, decimals=0).as_override]
    return panel


def _quantiles_over_time(goals: Goals) -> Json:
    """The quantiles of each interval, with the orders behind them."""
    rows = sql.delivery_histogram(keys="$__timeInterval(hour) AS time")
    asked = f"SELECT time, {sql.quantiles()}, sum(n) AS orders FROM {rows} GROUP BY time ORDER BY time"
    text = describe(_TIME, goals, _QUANTILES, "Columns are the orders behind each point.")
    return series("p50, p90, p95 over time", text, [clickhouse(asked, series=True)], MINUTES, paint=_PAINT,
                  bars=["orders"], decimals=1, interval="1h")  # fmt: skip


def _distribution(goals: Goals) -> Json:
    edges = zip((0, *_BOUNDS), _BOUNDS, strict=False)
    counts = [f'sumIf(n, minutes >= {low} AND minutes < {high}) AS "{high}"' for low, high in edges]
    counts.append(f'sumIf(n, minutes >= {_BOUNDS[-1]}) AS "+Inf"')
    rows = sql.delivery_histogram(keys="$__timeInterval(hour) AS time")
    asked = f"SELECT time, {', '.join(counts)} FROM {rows} GROUP BY time ORDER BY time"
    text = describe(_TIME, goals, "How many orders took how long; a row reaches up to its number of minutes.")
    return density("Distribution", text, asked, MINUTES)


def _stages(goals: Goals) -> Json:
    sums = ", ".join(
        f"{sql.value(kpi)} AS mean_{kpi.stage}, sum(k.{kpi.denominator}) AS n_{kpi.stage}" for kpi in _STAGES
    )
    rows = ", ".join(f"('{stage}', mean_{stage}, n_{stage})" for stage in STAGES)
    asked = (
        f"SELECT row.1 AS stage, row.2 AS mean, row.3 AS orders FROM (SELECT arrayJoin([{rows}]) AS row "
        f"FROM (SELECT {sums} FROM {sql.hours(*_STAGES)}))"
    )
    text = " ".join([describe(_STAGES[0], goals), *(kpi.text for kpi in _STAGES[1:]), WHOLE_HOURS])
    columns = [
        Column("stage", "Stage", TEXT),
        Column("mean", "Mean", MINUTES, "Of the orders that went through it.", 1, gauge=True, most=60),
        Column("orders", "Orders", COUNT, "Orders of which both ends are known and not reversed."),
    ]
    return table("Mean time of each stage", text, [clickhouse(asked)], columns)


def stages_over_time(goals: Goals, where: str = sql.HUBS) -> Json:
    """Mean of each stage over time, stacked in the order of an order's way."""
    asked = (
        f"SELECT $__timeInterval(k.hour) AS time, {sql.values(_STAGES)} FROM {sql.hours(*_STAGES, where=where)} "
        "GROUP BY time ORDER BY time"
    )
    text = f"Mean time of each stage (stage_time v{_STAGES[0].version}); an order has only those it went through. "
    text += "Not judged: no objective is set for it."
    paint = dict(zip(STAGES, colours.IN_ORDER, strict=False))
    return series("Stages over time", text, [clickhouse(asked, series=True)], MINUTES, paint=paint, stacked=True,
                  decimals=1, interval="1h")  # fmt: skip


def _by_hub(goals: Goals) -> Json:
    rows = sql.delivery_histogram(keys="hub_id")
    asked = (
        f"SELECT hub_id, sum(minutes * n) / sum(n) AS mean, {sql.quantiles()}, sum(n) AS orders FROM {rows} "
        "GROUP BY hub_id ORDER BY p90 DESC, hub_id LIMIT 200"
    )
    text = describe(
        _TIME, goals, _QUANTILES, WHOLE_HOURS, "The mean here is of the same buckets, so within 1 % as well."
    )
    columns = [Column("hub_id", "Hub", TEXT, link=to_hub()), *_durations()]
    return table("By hub, the longest p90 first", text, [clickhouse(asked)], columns)


def _durations() -> list[Column]:
    found = [Column(name, name, MINUTES, decimals=1) for name in ("mean", "p50", "p90", "p95")]
    return [*found, Column("orders", "Orders", COUNT, "Delivered orders with a known delivery time.")]


def _by_zone(goals: Goals) -> Json:
    text = f"{WHOLE_DAYS} A day's rows have the zone; hours have the hub alone. Mean, not quantiles, for that reason."
    panel = by("zone_id", "Zone", [_TIME], goals, sql.days(_TIME), f"{describe(_TIME, goals)} {text}",
               order="delivery_time DESC NULLS LAST, zone_id")  # fmt: skip
    return panel | {"title": "By zone, the longest mean first (whole days)"}


def _hour_of_week(goals: Goals) -> Json:
    local = "toTimeZone(hour, ${zone:singlequote})"
    cells = ", ".join(
        f'sumIf(us, h = {hour}) / {_TIME.unit_size} / nullIf(sumIf(n, h = {hour}), 0) AS "{hour:02d}"'
        for hour in range(24)
    )
    names = ", ".join(f"'{name}'" for name in _WEEKDAYS)
    asked = (
        f"SELECT [{names}][d] AS weekday, {cells}, {sql.spelled('sum(n)')} AS orders FROM (SELECT "
        f"toDayOfWeek({local}) AS d, "
        f"toHour({local}) AS h, {sql.numerator(_TIME)} AS us, sum(k.{_TIME.denominator}) AS n "
        f"FROM {sql.hours(_TIME)} GROUP BY d, h) GROUP BY d ORDER BY d"
    )
    more = "Mean by weekday and hour of the delivery, in the chosen time zone. Empty: nothing was delivered."
    text = describe(_TIME, goals, more)
    columns = [Column("weekday", "Day (${zone})", TEXT, width=150)]
    columns += [Column(f"{hour:02d}", f"{hour:02d}", MINUTES, decimals=0, shaded=True) for hour in range(24)]
    # A text: only the cells shall make the scale of the shades.
    columns.append(Column("orders", "Orders", TEXT, "Orders behind the row."))
    panel = table("Mean delivery time by hour of the week", text, [clickhouse(asked)], columns)
    # An empty cell is an hour in which nothing came: quieter than "no data" a hundred times.
    panel["fieldConfig"]["defaults"] |= {"noValue": "", "mappings": []}
    return panel
