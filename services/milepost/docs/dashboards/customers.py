"""Customers: are they satisfied, how many say so, and does being late cost satisfaction?"""

from milepost.docs.dashboards import sql
from milepost.docs.dashboards.frame import Dashboard, Heading, Shelf, hubs
from milepost.docs.dashboards.goals import Goals
from milepost.docs.dashboards.kpi_panels import WHOLE_DAYS, WHOLE_HOURS, by, by_hub, describe, hours_tile, over_time
from milepost.docs.dashboards.panels import scatter, stat
from milepost.docs.dashboards.parts import COUNT, NUMBER, SHARE, TEXT, Json, clickhouse
from milepost.docs.dashboards.reasons import by_reason, reason_columns
from milepost.docs.dashboards.sql import named
from milepost.docs.dashboards.tables import Column, table
from milepost.domain.facts import MOST_REASONS
from milepost.domain.kpis import FEEDBACK

_CSAT, _NPS, _RATE, _KEPT = named("csat"), named("nps"), named("response_rate"), named("promise_kept")
_BANDS = ((0.0, 0.8), (0.8, 0.9), (0.9, 0.95), (0.95, 0.98), (0.98, 1.01))
_ECOLOGICAL = (
    "A hub's day is compared with that day's answers at the hub, not an order with its own answer: orders' rows are "
    "too "
    "many to ask for it. It shows whether bad days make unhappy customers, not whether each late customer is one."
)


def build(goals: Goals) -> Dashboard:
    """The dashboard of what customers say."""
    kpis = (_CSAT, _NPS, _RATE)
    return Dashboard(
        "milepost-customers",
        "Milepost: Customers",
        "Are customers satisfied, how many say so, and does being late cost satisfaction?",
        ["customers"],
        [
            Shelf(6, [*(hours_tile(kpi, goals) for kpi in kpis), _mean(goals)]),
            Shelf(8, [over_time(kpi, goals) | {"interval": "1d"} for kpi in kpis]),
            Heading("Satisfaction against lateness"),
            Shelf(9, [_by_hub_point(goals), _by_band(goals)]),
            Heading("What they say"),
            Shelf(10, [_reasons()]),
            Heading("Where"),
            Shelf(10, [by_hub(kpis, goals, order="csat NULLS LAST, hub_id"), _by_merchant(goals)]),
        ],
        [hubs()],
        span="now-30d",
        refresh="15m",
    )


def _mean(goals: Goals) -> Json:
    asked = (
        f"SELECT concat({sql.spelled('sum(k.scored)')}, ' answers') AS behind, sum(k.score_sum) / "
        "nullIf(sum(k.scored), 0) "
        "AS mean "
        f"FROM {sql.hours(_CSAT)}"
    )
    text = f"Mean score, 1 to 5, of the answers csat is of. {describe(_CSAT, goals, WHOLE_HOURS)}"
    return stat("Mean score", text, clickhouse(asked), NUMBER, decimals=2)


def _by_hub_point(goals: Goals) -> Json:
    asked = (
        f"SELECT hub_id, {sql.value(_KEPT)} AS promise_kept, {sql.value(_CSAT)} AS csat, sum(k.scored) AS n_scored "
        f"FROM {sql.hours(_KEPT, _CSAT)} GROUP BY hub_id HAVING sum(k.scored) >= 20 ORDER BY hub_id LIMIT 200"
    )
    text = f"A point a hub with at least 20 answers. {describe(_CSAT, goals)} {describe(_KEPT, goals, WHOLE_HOURS)}"
    x = Column("promise_kept", "Promises kept", SHARE, decimals=1)
    return scatter(
        "Hubs: satisfied against promises kept", text, asked, x, Column("csat", "Satisfied", SHARE, decimals=1)
    )


def _by_band(goals: Goals) -> Json:
    bounds = ", ".join(f"(kept >= {low} AND kept < {high}), '{_band(low, high)}'" for low, high in _BANDS)
    asked = (
        f"SELECT multiIf({bounds}, 'nothing due') AS band, count() AS hub_days, {sql.value(_CSAT)} AS csat, "
        "sum(k.scored) AS n_scored, "
        f"{sql.value(_NPS)} AS nps FROM (SELECT toStartOfDay(hour) AS day, hub_id, "
        "sum(k.kept) / nullIf(sum(k.due), 0) AS kept, sum(k.satisfied) AS satisfied, sum(k.scored) AS scored, "
        "sum(k.promoters) AS promoters, sum(k.detractors) AS detractors, sum(k.nps_answered) AS nps_answered "
        f"FROM {sql.hours(_KEPT, _CSAT, _NPS)} GROUP BY day, hub_id) AS k GROUP BY band ORDER BY band"
    )
    columns = [
        Column("band", "Promises kept that day", TEXT),
        Column("hub_days", "Hubs' days", COUNT, "UTC days of single hubs."),
        Column("csat", "Satisfied", SHARE, describe(_CSAT, goals), 1, goals.of(_CSAT), gauge=True),
        Column("n_scored", "Answers", COUNT),
        Column("nps", "NPS", NUMBER, describe(_NPS, goals), 0, goals.of(_NPS)),
    ]
    text = f"{_ECOLOGICAL} {describe(_CSAT, goals, WHOLE_HOURS)}"
    return table("Satisfaction by how well the hub's day went", text, [clickhouse(asked)], columns)


def _band(low: float, high: float) -> str:
    return (
        f"under {100 * high:g} %"
        if low == 0
        else f"{100 * low:g} % and more"
        if high > 1
        else f"{100 * low:g} to {100 * high:g} %"
    )


def _reasons() -> Json:
    text = (
        "The reasons customers name, in their words: of each order the latest answer that names any, of that its first "
        f"{MOST_REASONS}. Not judged: no objective is set for it. {WHOLE_HOURS}"
    )
    columns = [Column("reason", "Reason", TEXT), *reason_columns("Times named")]
    return table("What customers name, the most frequent first", text, [clickhouse(by_reason(FEEDBACK))], columns)


def _by_merchant(goals: Goals) -> Json:
    rows = sql.days(_CSAT)
    panel = by("merchant_id", "Merchant", [_CSAT], goals, rows, WHOLE_DAYS, order="csat NULLS LAST, merchant_id")
    return panel | {"title": "By merchant (whole days)"}
