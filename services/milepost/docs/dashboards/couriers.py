"""Rates of couriers, with what keeps anybody from being judged on three deliveries."""

from milepost.docs.dashboards import sql
from milepost.docs.dashboards.frame import choice
from milepost.docs.dashboards.goals import Goals
from milepost.docs.dashboards.kpi_panels import WHOLE_DAYS, describe
from milepost.docs.dashboards.links import to_courier
from milepost.docs.dashboards.parts import COUNT, MINUTES, SHARE, TEXT, Json, clickhouse
from milepost.docs.dashboards.sql import named
from milepost.docs.dashboards.tables import Column, table

_FIRST, _ON_TIME, _DOOR = named("first_attempt_success"), named("on_time"), named("stage_time", "door")
ENOUGH = "sum(k.attempted) >= ${stops}"
FAIRLY = (
    "No rate is shown of a courier with fewer stops than chosen above. The interval is the 95 % score interval: "
    "where two "
    "couriers' intervals overlap, the difference may be chance. Which rounds somebody is given is no merit of theirs."
)


def least_stops() -> Json:
    """How many stops a rate must be of, as `${stops}`."""
    return choice("stops", "Stops at least", ("50", "20", "100", "200"), "Rates of fewer stops are not shown.")


def if_enough(expression: str) -> str:
    """``expression``, null where it would be of too few stops."""
    return f"if({ENOUGH}, {expression}, NULL)"


def interval_text() -> str:
    """The score interval of first attempts in words."""
    low, high = sql.likely(_FIRST)
    parts = f"toString(round(100 * {low})), '–', toString(round(100 * {high})), ' %'"
    return f"if({ENOUGH}, concat({parts}), 'too few stops')"


def couriers_table(goals: Goals) -> Json:
    """The couriers of the hub, those first who have the lowest upper end of the interval."""
    _, high = sql.likely(_FIRST)
    asked = (
        f"SELECT hub_id, courier_id, sum(k.attempted) AS n_attempted, {if_enough(sql.value(_FIRST))} AS "
        "first_attempt_success, "
        f"{interval_text()} AS likely, {if_enough(sql.value(_ON_TIME))} AS on_time, "
        f"{if_enough(sql.value(_DOOR))} AS door FROM {sql.courier_days(_FIRST)} AND courier_id != '' "
        f"GROUP BY hub_id, courier_id ORDER BY {ENOUGH} DESC, {high}, courier_id LIMIT 300"
    )
    columns = [
        Column("hub_id", "Hub", TEXT, width=90),
        Column("courier_id", "Courier", TEXT, link=to_courier()),
        Column("n_attempted", "Stops", COUNT, "Orders attempted."),
        Column("first_attempt_success", "First-attempt success", SHARE, describe(_FIRST, goals), 1, gauge=True),
        Column("likely", "Between", TEXT, "95 % score interval (E. B. Wilson, 1927)."),
        Column("on_time", "On time", SHARE, describe(_ON_TIME, goals), 1),
        Column("door", "At the door", MINUTES, describe(_DOOR, goals), 1),
    ]
    text = f"{FAIRLY} {WHOLE_DAYS} {describe(_FIRST, goals)}"
    return table("Couriers", text, [clickhouse(asked)], columns)
