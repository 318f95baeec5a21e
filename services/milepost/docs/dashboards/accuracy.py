"""Accuracy: did customers get what they ordered, when they were told, and what breaks it?"""

from milepost.contracts.reasons import NEVER_REACHED_REASONS, RESPONSIBLE
from milepost.docs.dashboards import colours, sql
from milepost.docs.dashboards.frame import Dashboard, Heading, Shelf, hubs
from milepost.docs.dashboards.goals import Goals
from milepost.docs.dashboards.kpi_panels import WHOLE_HOURS, by_hub, describe, hours_tile, over_time
from milepost.docs.dashboards.panels import series
from milepost.docs.dashboards.parts import COUNT, SHARE, TEXT, Json, clickhouse
from milepost.docs.dashboards.reasons import by_reason, reason_columns
from milepost.docs.dashboards.sql import named
from milepost.docs.dashboards.tables import Column, table
from milepost.domain.kpis import FAILED_ATTEMPT

_OTIF, _KEPT, _FULL = named("otif"), named("promise_kept"), named("in_full")
_FIRST, _NOT_ATTEMPTED = named("first_attempt_success"), named("not_attempted")
_RETURNS, _CANCELLED, _REPROMISED = named("return_rate"), named("cancellation_rate"), named("repromised")
_BROKEN = {
    "late": ("not in time, or never", "sum(k.due) - sum(k.kept)"),
    "short": ("in time, but short or damaged", "sum(k.kept) - sum(k.otif) - sum(k.otif_unknown)"),
    "unknown": ("in time, not known whether in full", "sum(k.otif_unknown)"),
}
_FAILED = {
    "first attempt failed at the door": "sum(k.attempted) - sum(k.first_success)",
    "never reached the door": "sum(k.not_attempted)",
    "returned to the sender, or after delivery": "sum(k.returned)",
    "cancelled": "sum(k.cancelled)",
}
_PAINT = {"good": colours.GOOD, "late": colours.BAD, "short": colours.WARNING, "unknown": colours.GREY}


def build(goals: Goals) -> Dashboard:
    """The dashboard of what goes wrong."""
    tiles = (_OTIF, _KEPT, _FULL, _FIRST, _NOT_ATTEMPTED, _RETURNS)
    return Dashboard(
        "milepost-accuracy",
        "Milepost: Accuracy",
        "Did customers get what they ordered, when they were told, and what breaks it?",
        ["accuracy"],
        [
            Shelf(6, [hours_tile(kpi, goals) for kpi in tiles]),
            Heading("What breaks on time and in full"),
            Shelf(9, [_outcomes(goals), _broken(goals)], [14, 10]),
            Shelf(8, [over_time(_OTIF, goals), over_time(_FULL, goals)]),
            Heading("At the door"),
            Shelf(8, [_failures(goals), over_time(_FIRST, goals)], [10, 14]),
            Shelf(9, [_reasons()]),
            Heading("What comes back, is called off, is promised anew"),
            Shelf(8, [over_time(_RETURNS, goals), over_time(_CANCELLED, goals), over_time(_REPROMISED, goals)]),
            Shelf(10, [by_hub((_OTIF, _KEPT, _FULL, _FIRST, _NOT_ATTEMPTED, _RETURNS), goals, order="otif, hub_id")]),
        ],
        [hubs()],
        span="now-7d",
        refresh="5m",
    )


def _outcomes(goals: Goals) -> Json:
    columns = ", ".join(f"{counted} AS {name}" for name, (_, counted) in _BROKEN.items())
    asked = (
        f"SELECT $__timeInterval(k.hour) AS time, sum(k.otif) AS good, {columns} FROM {sql.hours(_OTIF)} "
        "GROUP BY time ORDER BY time"
    )
    text = describe(_OTIF, goals, "All orders that were due, by what became of them: good, "
                    + ", ".join(f"{name} ({said})" for name, (said, _) in _BROKEN.items()) + ".")  # fmt: skip
    panel = series("What became of the orders due", text, [clickhouse(asked, series=True)], COUNT, paint=_PAINT,
                   stacked=True, decimals=0, interval="1h")  # fmt: skip
    panel["fieldConfig"]["defaults"]["custom"] |= {"drawStyle": "bars", "fillOpacity": 80, "lineWidth": 0}
    return panel


def _broken(goals: Goals) -> Json:
    text = describe(_OTIF, goals, WHOLE_HOURS)
    return _pareto("What breaks it, the most frequent first", text, dict(_BROKEN.values()), "due", sql.hours(_OTIF))


def _failures(goals: Goals) -> Json:
    text = f"{describe(_FIRST, goals)} {_NOT_ATTEMPTED.text} The share is of the stops planned. "
    title = "What fails, the most frequent first"
    return _pareto(title, text + WHOLE_HOURS, _FAILED, "tried", sql.hours(_FIRST))


def _reasons() -> Json:
    def said(of: dict[str, str], otherwise: str) -> str:
        codes, words = (", ".join(f"'{one}'" for one in side) for side in (of, of.values()))
        return f"transform(reason, [{codes}], [{words}], '{otherwise}')"

    where = dict.fromkeys(sorted(NEVER_REACHED_REASONS), "never reached the door")
    columns = [
        Column("reason", "Reason", TEXT),
        Column("place", "Where", TEXT),
        Column("whose", "Whose", TEXT, "Whose the reason is: the customer's, the merchant's, the carrier's, nobody's."),
        *reason_columns("Failed attempts"),
    ]
    named = f"{said(where, 'at the door')} AS place, {said(RESPONSIBLE, 'nobody')} AS whose"
    text = (
        "Failed attempts by the reason code their event names: all of them, an order's second and third too, and those "
        f"that never reached the door. Not judged: no objective is set for it. {WHOLE_HOURS}"
    )
    asked = by_reason(FAILED_ATTEMPT, named)
    return table("Why attempts fail, the most frequent first", text, [clickhouse(asked)], columns)


def _pareto(title: str, text: str, counts: dict[str, str], of: str, source: str) -> Json:
    # The sums are taken before they are listed: a list multiplies rows.
    sums = ", ".join(f"{counted} AS c{number}" for number, counted in enumerate(counts.values()))
    pairs = ", ".join(f"('{said}', c{number})" for number, said in enumerate(counts))
    asked = (
        "SELECT what, orders, orders / nullIf(whole, 0) AS share, "
        "sum(orders) OVER (ORDER BY orders DESC, what) / nullIf(sum(orders) OVER (), 0) AS cumulative FROM "
        f"(SELECT whole, arrayJoin([{pairs}]) AS pair, pair.1 AS what, pair.2 AS orders FROM "
        f"(SELECT sum(k.{of}) AS whole, {sums} FROM {source})) ORDER BY orders DESC, what"
    )
    columns = [
        Column("what", "What", TEXT),
        Column("orders", "Orders", COUNT),
        Column("share", "Of orders due" if of == "due" else "Of stops planned", SHARE, decimals=1, gauge=True),
        Column("cumulative", "Cumulative", SHARE, "Of all that is listed, up to this row.", 1),
    ]
    return table(title, text, [clickhouse(asked)], columns)
