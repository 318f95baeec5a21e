"""Lists of orders by how their promises stand; each order leads to its timeline."""

from milepost.docs.dashboards import sql
from milepost.docs.dashboards.links import to_hub, to_order
from milepost.docs.dashboards.parts import SHARE, TEXT, TIME, Json, clickhouse
from milepost.docs.dashboards.tables import Column, table
from milepost.domain.sla.words import PROMISE, State

_STANDING = (
    "SELECT order_id, rule, base, argMax(due, rank) AS until, argMax(state, rank) AS stands, "
    "argMax(cause, rank) AS why, argMax(chance, rank) AS likely, argMax(at, rank) AS since, "
    "argMax(courier_id, rank) AS courier, any(hub_id) AS hub FROM sla_events"
)
_OPEN = f"('{State.AT_RISK}', '{State.BREACHED}')"


def _columns(*, hub: bool) -> list[Column]:
    columns = [
        Column("order_id", "Order", TEXT, link=to_order(), width=170),
        Column("hub_id", "Hub", TEXT, link=to_hub(), width=90),
        Column(
            "rule", "Rule", TEXT, "`promise`: the deadline agreed; else a limit of that stage, or silence.", width=80
        ),
        Column("stands", "Stands", TEXT, width=90),
        Column("until", "Due", TIME, width=180),
        Column("likely", "Chance", SHARE, "To keep it, as last foreseen.", 0, width=80),
        Column("why", "Why", TEXT, "As the SLA's last state has it.", width=90),
        Column("courier", "Courier", TEXT),
    ]
    return columns if hub else [column for column in columns if column.name != "hub_id"]


def needing_somebody(where: str = sql.HUBS) -> Json:
    """Orders whose promise is at risk or broken and that are not through yet, the soonest due first."""
    asked = (
        "SELECT order_id, rule, stands, until, likely, why, courier FROM ("
        f"{_STANDING} WHERE {where} AND rule = '{PROMISE}' AND base >= now() - INTERVAL 2 DAY "
        f"GROUP BY order_id, rule, base) WHERE stands IN {_OPEN} ORDER BY until, order_id LIMIT 200"
    )
    text = (
        "Promises that are at risk or broken now, of the last two days and those to come, of orders still under "
        "way. An "
        "order leads to its timeline. Empty: no promise is in danger, or no SLAs are watched."
    )
    return table("Orders that need somebody", text, [clickhouse(asked)], _columns(hub=False))


def recent_breaches(where: str = sql.HUBS, *, hub: bool = False) -> Json:
    """Promises and limits broken within the time range, the latest first."""
    asked = (
        f"SELECT order_id, {'hub_id, ' if hub else ''}rule, due AS until, at, detected, cause AS why, courier_id AS "
        "courier "
        f"FROM sla_events WHERE {where} AND state = '{State.BREACHED}' AND $__timeFilter(at) ORDER BY at DESC, "
        "order_id "
        "LIMIT 200"
    )
    columns = [column for column in _columns(hub=hub) if column.name not in ("stands", "likely")]
    columns += [
        Column("at", "Broken at", TIME, width=180),
        Column("detected", "Noticed at", TIME, "When it was stored.", width=180),
    ]
    text = "The latest 200 promises and limits broken within the time range. An order leads to its timeline."
    return table("Broken promises and limits", text, [clickhouse(asked)], columns)
