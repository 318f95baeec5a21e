"""Control room: is the operation keeping its promises right now, and where is it not?"""

from milepost import metrics
from milepost.docs.dashboards import colours, sql
from milepost.docs.dashboards.frame import HOME, Dashboard, Heading, Shelf, hubs
from milepost.docs.dashboards.goals import Goals
from milepost.docs.dashboards.kpi_panels import LAST_HOUR, by, over_time, tile
from milepost.docs.dashboards.links import to_hub
from milepost.docs.dashboards.panels import series, stat
from milepost.docs.dashboards.parts import COUNT, TEXT, Json, clickhouse, prometheus, prometheus_now
from milepost.docs.dashboards.promql import FIRING, gauge
from milepost.docs.dashboards.sql import named
from milepost.docs.dashboards.tables import Column, merged, table, without
from milepost.reading.spans import WHOLE

_KEPT, _OTIF, _FIRST = named("promise_kept"), named("otif"), named("first_attempt_success")
_NO_TARGET = "There is no target for it."
_AGES = "`as of` is how old the exporter's look is at most: ten seconds and a scrape."


def build(goals: Goals) -> Dashboard:
    """The dashboard people leave open."""
    rows = sql.last_hour()
    return Dashboard(
        HOME,
        "Milepost: Control room",
        "Are we keeping our promises right now, and where are we not?",
        ["operations"],
        [
            Shelf(6, [tile(_KEPT, goals, rows, LAST_HOUR), tile(_OTIF, goals, rows, LAST_HOUR), _pace(), _alerts()]),
            Shelf(
                4,
                [
                    _now("Open orders", metrics.OPEN_ORDERS),
                    _now("Overdue", metrics.OVERDUE_ORDERS, alarm=1),
                    _now("At risk", metrics.AT_RISK_ORDERS, alarm=1),
                    _fresh(),
                ],
            ),
            Heading("Where: hubs, the worst first"),
            Shelf(11, [_hubs(goals), _hubs_now(), _firing()], [12, 6, 6]),
            Heading("How it went"),
            Shelf(8, [over_time(_KEPT, goals), _deliveries()]),
            Shelf(8, [_open(), over_time(_OTIF, goals)]),
        ],
        [hubs()],
        refresh="10s",
    )


def _now(title: str, metric: metrics.Metric, alarm: float | None = None) -> Json:
    text = f"{metric.text} Now, of the chosen hubs. {_NO_TARGET if alarm is None else 'One is already worth a look.'}"
    return stat(title, text, prometheus_now(f"sum({gauge(metric)})"), COUNT, alarm=alarm, decimals=0)


def _alerts() -> Json:
    text = (
        "Alerts that fire now, pages and tickets, silenced ones too; of the whole installation. Grey where the "
        "exporter "
        "is not there: then nobody watches."
    )
    # An alert that does not fire has no series: nothing but a living exporter makes that a zero.
    asked = f"count({FIRING}) or 0 * max({metrics.EXPORTER_UP.name})"
    return stat("Active alerts", text, prometheus_now(asked), COUNT, alarm=1, decimals=0)


def _fresh() -> Json:
    text = f"{metrics.WATERMARK_AGE.text} Every number here is at least so old. An alert comes from two minutes on."
    return stat("Numbers are behind by", text, prometheus_now(metrics.WATERMARK_AGE.name), "s", alarm=120, decimals=0)


def _pace() -> Json:
    asked = (
        f"SELECT concat({sql.spelled('sumIf(k.delivered, recent = 0)')}, ' in the same hour last week') AS behind, "
        "sumIf(k.delivered, recent = 1) AS delivered FROM (SELECT delivered, "
        "minute >= toStartOfMinute(now()) - INTERVAL 1 HOUR AS recent FROM kpi_minutes WHERE "
        "(minute >= toStartOfMinute(now()) - INTERVAL 1 HOUR AND minute < toStartOfMinute(now()) OR "
        "minute >= toStartOfMinute(now()) - INTERVAL 169 HOUR AND minute < toStartOfMinute(now()) - INTERVAL 168 HOUR) "
        f"AND {WHOLE} AND {sql.HUBS}) AS k"
    )
    text = f"Orders delivered within the last sixty whole minutes, and in the same hour a week before. {_NO_TARGET}"
    return stat("Deliveries in the last hour", text, clickhouse(asked), COUNT, decimals=0)


def _hubs(goals: Goals) -> Json:
    _, most = sql.likely(_KEPT)
    panel = by(
        "hub_id",
        "Hub",
        [_KEPT, _OTIF, _FIRST],
        goals,
        sql.last_hour(),
        f"{LAST_HOUR} Ordered by the best that a hub's orders leave possible (upper end of the 95 % score interval of "
        "promises kept): few orders prove little, so they rank low; where nothing was due it is unknown, and last.",
        order=f"sum(k.due) = 0, {most}, hub_id",
        link=to_hub(),
    )
    return panel | {"title": "Hubs, last hour"}


def _hubs_now() -> Json:
    counted = {"overdue": metrics.OVERDUE_ORDERS, "risk": metrics.AT_RISK_ORDERS, "open": metrics.OPEN_ORDERS}
    targets = [
        prometheus_now(f"sum by (hub_id) ({gauge(metric)})", ref=ref, table=True) for ref, metric in counted.items()
    ]
    columns = [
        Column("hub_id", "Hub", TEXT, link=to_hub()),
        Column("Value #overdue", "Overdue", COUNT, metrics.OVERDUE_ORDERS.text, 0),
        Column("Value #risk", "At risk", COUNT, metrics.AT_RISK_ORDERS.text, 0),
        Column("Value #open", "Open", COUNT, metrics.OPEN_ORDERS.text, 0),
    ]
    text = "Orders under way now, the hub with the most overdue first. A hub's name leads to its scorecard."
    return merged(table("Hubs, now", text, targets, columns), "Value #overdue", descending=True)


def _firing() -> Json:
    text = "Every alert that fires now, as Prometheus has it. A hub's name leads to its scorecard."
    columns = [
        Column("alertname", "Alert", TEXT),
        Column("severity", "Severity", TEXT, width=80),
        Column("hub_id", "Hub", TEXT, link=to_hub("${__data.fields.hub_id}")),
        Column("team", "Team", TEXT),
    ]
    asked = f"max by (alertname, severity, hub_id, team) ({FIRING})"
    panel = table("Alerts that fire", text, [prometheus_now(asked, table=True)], columns)
    panel["transformations"] = [without("Time", "Value")]
    panel["fieldConfig"]["defaults"]["noValue"] = "none fires, or nobody watches: see Active alerts"
    return panel


def _deliveries() -> Json:
    asked = (
        "SELECT $__timeInterval(at) AS time, sumIf(k.delivered, weeks = 0) AS delivered, "
        "sumIf(k.delivered, weeks = 1) AS week_before FROM (SELECT hour + toIntervalDay(7 * weeks) AS at, "
        "delivered, weeks "
        "FROM kpi_hub_hours ARRAY JOIN [0, 1] AS weeks WHERE hour >= $__fromTime - INTERVAL 7 DAY AND hour < $__toTime "
        f"AND {sql.HUBS} AND {WHOLE}) AS k "
        "WHERE at >= $__fromTime AND at < $__toTime AND at < toStartOfHour(now()) GROUP BY time ORDER BY time"
    )
    text = "Deliveries of each whole hour that has ended, beside the same hour a week before (grey)."
    paint = {"delivered": colours.BLUE, "week_before": colours.GREY}
    return series("Deliveries", text, [clickhouse(asked, series=True)], COUNT, paint=paint, decimals=0, interval="1h")


def _open() -> Json:
    asked = [
        prometheus(f"sum({gauge(metrics.OPEN_ORDERS)})", "open", "A"),
        prometheus(f"sum({gauge(metrics.OVERDUE_ORDERS)})", "overdue", "B"),
        prometheus(f"sum({gauge(metrics.AT_RISK_ORDERS)})", "at risk", "C"),
    ]
    text = " ".join(metric.text for metric in (metrics.OPEN_ORDERS, metrics.OVERDUE_ORDERS, metrics.AT_RISK_ORDERS))
    paint = {"open": colours.BLUE, "overdue": colours.BAD, "at risk": colours.WARNING}
    return series("Open, overdue, at risk", text, asked, COUNT, paint=paint, decimals=0)
