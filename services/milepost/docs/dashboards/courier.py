"""Courier: how does one courier's work go, in a way that is fair to them?"""

from milepost.docs.dashboards import colours, sql
from milepost.docs.dashboards.couriers import FAIRLY, couriers_table, if_enough, interval_text, least_stops
from milepost.docs.dashboards.frame import Dashboard, Heading, Shelf, hubs, variable
from milepost.docs.dashboards.goals import Goals
from milepost.docs.dashboards.kpi_panels import WHOLE_DAYS, describe, title
from milepost.docs.dashboards.panels import series, stat
from milepost.docs.dashboards.parts import DECIMALS, UNITS, Json, clickhouse
from milepost.docs.dashboards.sql import named
from milepost.domain.kpis import Kpi

_ONE = f"{sql.HUB} AND courier_id = ${{courier:singlequote}}"
_FIRST, _ON_TIME, _NOT = named("first_attempt_success"), named("on_time"), named("not_attempted")
_TRANSIT, _DOOR = named("stage_time", "transit"), named("stage_time", "door")


def build(goals: Goals) -> Dashboard:
    """The scorecard of one courier."""
    listed = f"SELECT DISTINCT courier_id FROM {sql.courier_days(_FIRST)} AND courier_id != '' ORDER BY courier_id"
    couriers = variable("courier", "Courier", listed) | {"refresh": 2}
    return Dashboard(
        "milepost-courier",
        "Milepost: Courier",
        "How does this courier's work go, told in a way that is fair to them?",
        ["scorecard"],
        [
            Shelf(6, [_tile(kpi, goals) for kpi in (_FIRST, _ON_TIME, _NOT, _TRANSIT, _DOOR)], [6, 6, 4, 4, 4]),
            Shelf(8, [_over_time(_FIRST, goals), _over_time(_DOOR, goals)]),
            Heading("Beside the hub's others"),
            Shelf(12, [couriers_table(goals)]),
        ],
        [hubs(several=False), couriers, least_stops()],
        span="now-30d",
        refresh="15m",
    )


def _tile(kpi: Kpi, goals: Goals) -> Json:
    behind = sql.behind(kpi)
    if kpi is _FIRST:
        behind = f"concat({behind}, ' · 95 %: ', {interval_text()})"
    asked = f"SELECT {behind} AS behind, {if_enough(sql.value(kpi))} AS {kpi.stage or kpi.name} FROM {_rows()}"
    text = describe(kpi, goals, FAIRLY, WHOLE_DAYS)
    # Nobody is painted red: an objective is the operation's, not a courier's.
    return stat(title(kpi), text, clickhouse(asked), UNITS[kpi.unit], decimals=DECIMALS[kpi.unit])


def _over_time(kpi: Kpi, goals: Goals) -> Json:
    name = kpi.stage or kpi.name
    asked = (
        f"SELECT toDateTime(toMonday(minute), 'UTC') AS time, {if_enough(sql.value(kpi))} AS {name}, "
        f"sum(k.attempted) AS stops FROM {_rows()} GROUP BY time ORDER BY time"
    )
    text = describe(kpi, goals, "A week a point; none of a week with too few stops. Columns are the stops.", FAIRLY)
    return series(f"{title(kpi)} by week", text, [clickhouse(asked, series=True)], UNITS[kpi.unit],
                  paint={name: colours.BLUE}, bars=["stops"], decimals=DECIMALS[kpi.unit],
                  most=1 if kpi.unit == "ratio" else None)  # fmt: skip


def _rows() -> str:
    return sql.courier_days(_FIRST, where=_ONE)
