"""Hub: how is this one doing, what needs somebody now, and who drives for it?"""

from milepost import metrics
from milepost.docs.dashboards import colours, sql
from milepost.docs.dashboards.couriers import couriers_table, least_stops
from milepost.docs.dashboards.delivery_time import stages_over_time
from milepost.docs.dashboards.frame import Dashboard, Heading, Shelf, currency, hubs
from milepost.docs.dashboards.goals import Goals
from milepost.docs.dashboards.kpi_panels import hours_tile, over_time
from milepost.docs.dashboards.panels import series, stat
from milepost.docs.dashboards.parts import COUNT, Json, prometheus, prometheus_now
from milepost.docs.dashboards.promql import gauge
from milepost.docs.dashboards.sla_panels import needing_somebody, recent_breaches
from milepost.docs.dashboards.sql import named

_TILES = ("promise_kept", "otif", "first_attempt_success", "delivery_time", "cost_per_delivery", "csat")


def build(goals: Goals) -> Dashboard:
    """The scorecard of one hub."""
    return Dashboard(
        "milepost-hub",
        "Milepost: Hub",
        "How is this hub doing, which of its orders need somebody now, and who drives for it?",
        ["scorecard"],
        [
            Shelf(6, [hours_tile(named(name), goals, sql.HUB) for name in _TILES]),
            Heading("Now"),
            Shelf(
                10,
                [
                    needing_somebody(sql.HUB),
                    _now("Open", metrics.OPEN_ORDERS, None),
                    _now("Overdue", metrics.OVERDUE_ORDERS, 1),
                    _now("At risk", metrics.AT_RISK_ORDERS, 1),
                ],
                [15, 3, 3, 3],
            ),
            Heading("How it went"),
            Shelf(8, [over_time(named("promise_kept"), goals, sql.HUB), over_time(named("otif"), goals, sql.HUB)]),
            Shelf(8, [stages_over_time(goals, sql.HUB), _open()]),
            Heading("Its orders and its couriers"),
            Shelf(11, [recent_breaches(sql.HUB), couriers_table(goals)]),
        ],
        [hubs(several=False), least_stops(), currency()],
        span="now-7d",
    )


def _now(title: str, metric: metrics.Metric, alarm: float | None) -> Json:
    return stat(title, f"{metric.text} Now.", prometheus_now(f"sum({gauge(metric)})"), COUNT, alarm=alarm, decimals=0)


def _open() -> Json:
    asked = [
        prometheus(f"sum({gauge(metric)})", name, ref)
        for ref, name, metric in (
            ("A", "open", metrics.OPEN_ORDERS),
            ("B", "overdue", metrics.OVERDUE_ORDERS),
            ("C", "at risk", metrics.AT_RISK_ORDERS),
        )
    ]
    paint = {"open": colours.BLUE, "overdue": colours.BAD, "at risk": colours.WARNING}
    return series("Open, overdue, at risk", metrics.OPEN_ORDERS.text, asked, COUNT, paint=paint, decimals=0)
