"""SLA: how much of the error budget is left, how fast does it burn, and how good are the predictions?"""

from milepost import metrics
from milepost.docs.dashboards import colours, sql
from milepost.docs.dashboards.frame import Dashboard, Heading, Shelf, hubs
from milepost.docs.dashboards.goals import Goal, Goals, written
from milepost.docs.dashboards.links import to_hub
from milepost.docs.dashboards.panels import alert_groups, series, stat
from milepost.docs.dashboards.parts import (
    COUNT,
    NUMBER,
    SECONDS,
    SHARE,
    TEXT,
    Json,
    clickhouse,
    prometheus,
    prometheus_now,
)
from milepost.docs.dashboards.promql import among, bad_share, gauge, kpi_sum, quantile
from milepost.docs.dashboards.sla_panels import recent_breaches
from milepost.docs.dashboards.sql import named
from milepost.docs.dashboards.tables import Column, merged, table
from milepost.domain.sla.policy import Objective
from milepost.domain.sla.words import PROMISE, RANKS, State

BURN_WINDOWS = ("5m", "1h", "6h", "3d")
"""Windows of the multi-window burn rates (The Site Reliability Workbook, chapter 5)."""
_LINES = dict(zip(BURN_WINDOWS, (colours.GREY, colours.VERMILLION, colours.ORANGE, colours.BLUE), strict=True))


def build(goals: Goals) -> Dashboard:
    """The dashboard of objectives, breaches and predictions."""
    shelves: list[Shelf | Heading] = []
    for objective in goals.objectives:
        shelves += _objective(objective)
    return Dashboard(
        "milepost-sla",
        "Milepost: SLA",
        "How much of the error budget is left, how fast does it burn, and how good are the predictions?",
        ["sla"],
        [
            *shelves,
            Heading("Orders' promises and limits"),
            Shelf(8, [_broken_now(), _transitions(), _detection()]),
            Shelf(
                10, [recent_breaches(hub=True), alert_groups("Alerts, as Alertmanager holds them", _GROUPS)], [16, 8]
            ),
            Heading("Predictions, and how good they were"),
            Shelf(8, [_precision(), _calibration()]),
        ],
        [hubs()],
        span="now-7d",
    )


_GROUPS = "Groups of alerts with what silences them. Silence one in Alertmanager while somebody works on it."


def _objective(objective: Objective) -> list[Shelf | Heading]:
    unit = named(objective.kpi).unit
    target = written(objective.target, unit)
    return [
        Heading(f"Objective {objective.name}: {objective.kpi} at least {target} over {objective.window}"),
        Shelf(5, [_now(objective), _left(objective), _bad_orders(objective)]),
        Shelf(9, [_burn(objective), _hubs(objective)], [14, 10]),
    ]


def _goal(objective: Objective) -> Goal:
    return Goal(objective.target, True, f"At least {written(objective.target, 'ratio')}.")


def _said(objective: Objective) -> str:
    kpi = named(objective.kpi)
    said = f"{kpi.text} {kpi.name} v{kpi.version}: ({kpi.numerator_text}) / ({kpi.denominator_text}). "
    share = written(round(1 - objective.target, 9), "ratio")
    return f"{said}The objective allows {share} of orders to be bad over {objective.window}."


def _now(objective: Objective) -> Json:
    good, whole = (
        kpi_sum(metric, objective.kpi, objective.window) for metric in (metrics.KPI_NUMERATOR, metrics.KPI_DENOMINATOR)
    )
    goal = _goal(objective)
    target = prometheus_now(f"{good} / ({whole} > 0)", objective.kpi)
    panel = stat(f"{objective.kpi} over {objective.window}", _said(objective), target, SHARE, goal=goal, decimals=2,
                 several=True)  # fmt: skip
    panel["targets"].append(prometheus_now(whole, "orders", "B"))
    panel["fieldConfig"]["overrides"] = [_orders()]
    return panel


def _orders() -> Json:
    return Column("orders", "orders", COUNT, decimals=0).as_override


def _left(objective: Objective) -> Json:
    asked = f"1 - {bad_share(objective.kpi, objective.window)} / {_allowed(objective.target)}"
    text = f"{_said(objective)} What is left of that; under zero it is overdrawn."
    return stat("Error budget left", text, prometheus_now(asked), SHARE, goal=Goal(0.0, True, ""), decimals=1)


def _allowed(target: float) -> str:
    return f"{round(1 - target, 9):g}"


def _bad_orders(objective: Objective) -> Json:
    good, whole = (
        kpi_sum(metric, objective.kpi, objective.window) for metric in (metrics.KPI_NUMERATOR, metrics.KPI_DENOMINATOR)
    )
    target = prometheus_now(f"{whole} - {good}", "bad")
    text = f"{_said(objective)} Bad orders within the window, and how many would use the budget up."
    panel = stat("Bad orders, and the budget", text, target, COUNT, decimals=0, several=True)
    panel["targets"].append(prometheus_now(f"{whole} * {_allowed(objective.target)}", "budget", "B"))
    return panel


def _burn(objective: Objective) -> Json:
    targets = [
        prometheus(f"{bad_share(objective.kpi, window)} / {_allowed(objective.target)}", window, chr(ord("A") + number))
        for number, window in enumerate(BURN_WINDOWS)
    ]
    text = (
        f"{_said(objective)} How many times faster than allowed the budget is used, over several windows: at 1 it "
        "lasts "
        f"exactly {objective.window}. A page follows where a long and a short window are high together. No line: "
        "nothing "
        "was due."
    )
    return series("Burn rate", text, targets, NUMBER, paint=_LINES, decimals=1, goal=Goal(1.0, False, ""))


def _burn_by_hub(objective: Objective, window: str) -> str:
    """Each hub's burn over ``window``, by the target that holds for it."""
    by_target: dict[float, list[str]] = {}
    for hub, target in sorted(objective.hubs.items()):
        by_target.setdefault(target, []).append(hub)
    groups = [(objective.target, among(objective.hubs, these=False))]
    groups += [(target, among(hubs, these=True)) for target, hubs in sorted(by_target.items())]
    shares = ((bad_share(objective.kpi, window, "hub_id", only), target) for target, only in groups)
    return " or ".join(f"{share} / {_allowed(target)}" for share, target in shares)


def _hubs(objective: Objective) -> Json:
    good, whole = (
        kpi_sum(metric, objective.kpi, objective.window, "hub_id")
        for metric in (metrics.KPI_NUMERATOR, metrics.KPI_DENOMINATOR)
    )
    targets = [
        prometheus_now(f"1 - ({_burn_by_hub(objective, objective.window)})", ref="left", table=True),
        prometheus_now(_burn_by_hub(objective, "1h"), ref="burn", table=True),
        prometheus_now(f"{good} / ({whole} > 0)", ref="kept", table=True),
        prometheus_now(whole, ref="orders", table=True),
    ]  # fmt: skip
    own = ", ".join(f"{hub} {written(target, 'ratio')}" for hub, target in sorted(objective.hubs.items()))
    text = f"{_said(objective)} The least budget first. A hub's name leads to its scorecard."
    if own:
        text += f" Hubs with a target of their own, which their budget is reckoned by: {own}."
    columns = [
        Column("hub_id", "Hub", TEXT, link=to_hub()),
        Column("Value #left", "Budget left", SHARE, decimals=0, goal=Goal(0.0, True, "")),
        Column("Value #burn", "Burn, 1h", NUMBER, decimals=1),
        Column("Value #kept", objective.kpi, SHARE, decimals=2, goal=None if own else _goal(objective)),
        Column("Value #orders", "Orders", COUNT, decimals=0),
    ]
    return merged(table("Error budget by hub", text, targets, columns), "Value #left", descending=False)


def _broken_now() -> Json:
    asked = prometheus(f"sum by (rule) ({gauge(metrics.BREACHED_SLAS)})", "{{rule}}")
    return series("Broken and still open, by rule", metrics.BREACHED_SLAS.text, [asked], COUNT, decimals=0)


def _transitions() -> Json:
    paint = {State.AT_RISK: colours.WARNING, State.BREACHED: colours.BAD, State.RESOLVED: colours.GOOD,
             State.EASED: colours.SKY, State.WITHDRAWN: colours.GREY}  # fmt: skip
    metric = metrics.SLA_TRANSITIONS
    asked = prometheus(f"sum by (state) (increase({metric.name}[1h]))", "{{state}}")
    text = f"{metric.text} Within the hour before each point, of the whole installation."
    colours_of = {state.value: colour for state, colour in paint.items()}
    return series("States reached within an hour", text, [asked], COUNT, paint=colours_of, decimals=0)


def _detection() -> Json:
    metric = metrics.SLA_DETECTION_SECONDS
    asked = [prometheus(quantile(0.5, metric), "p50", "A"), prometheus(quantile(0.95, metric), "p95", "B")]
    paint = {"p50": colours.SKY, "p95": colours.VERMILLION}
    return series("From a broken promise to knowing it", metric.text, asked, SECONDS, paint=paint, decimals=1)


_JUDGED_BY = ", ".join(str(RANKS[state]) for state in (State.AT_RISK, State.BREACHED, State.WITHDRAWN))
# Grouped by a hash, for a million keys of text take twice as long; two of so many meet once in ten million looks.
_JUDGED = (
    f"(SELECT groupBitOr(bitShiftLeft(1, rank)) AS reached, bitTest(reached, {RANKS[State.AT_RISK]}) AS warned, "
    f"bitTest(reached, {RANKS[State.BREACHED]}) AS broken, minIf(at, rank = {RANKS[State.AT_RISK]}) AS warned_at, "
    f"minIf(at, rank = {RANKS[State.BREACHED]}) AS broken_at, maxIf(chance, rank = {RANKS[State.AT_RISK]}) AS said "
    f"FROM sla_events WHERE rule = '{PROMISE}' AND rank IN ({_JUDGED_BY}) AND $__timeFilter(base) AND base < now() "
    f"AND {sql.HUBS} "
    f"GROUP BY cityHash64(order_id, base) HAVING NOT bitTest(reached, {RANKS[State.WITHDRAWN]}))"
)
_WARNED_IN_TIME = "warned AND (NOT broken OR warned_at < broken_at)"


def _precision() -> Json:
    foreseen = f"{_WARNED_IN_TIME} AND broken"
    asked = (
        f"SELECT countIf({foreseen}) / nullIf(countIf({_WARNED_IN_TIME}), 0) AS precision, "
        f"countIf({foreseen}) / nullIf(countIf(broken), 0) AS recall, "
        f"quantileExactIf(0.5)(dateDiff('second', warned_at, broken_at), {foreseen}) AS ahead, "
        f"countIf({_WARNED_IN_TIME}) AS warnings, countIf(broken) AS breaches FROM {_JUDGED}"
    )
    text = (
        "Promises whose deadline was within the time range. Warnings that came true: of the orders said to be at "
        "risk, the "
        "share that was broken. Breaches foreseen: of the broken promises, the share with a warning before. Ahead: the "
        "median time from the warning to the breach. A warning that made somebody act does not come true, and that "
        "is good."
    )
    panel = stat("Warnings", text, clickhouse(asked), SHARE, decimals=1, several=True)
    panel["fieldConfig"]["overrides"] = [
        Column("precision", "came true", SHARE).as_override,
        Column("recall", "breaches foreseen", SHARE).as_override,
        Column("ahead", "ahead", SECONDS, decimals=0).as_override,
        Column("warnings", "warnings", COUNT, decimals=0).as_override,
        Column("breaches", "broken", COUNT, decimals=0).as_override,
    ]
    return panel


def _calibration() -> Json:
    asked = (
        "SELECT concat(toString(10 * tenth), ' to ', toString(10 * tenth + 10), ' %') AS foreseen, "
        "avg(said) AS mean_said, countIf(NOT broken) / count() AS kept, count() AS warnings FROM (SELECT "
        f"toUInt8(least(9, floor(10 * assumeNotNull(said)))) AS tenth, said, broken FROM {_JUDGED} WHERE warned) "
        "GROUP BY tenth ORDER BY tenth"
    )
    columns = [
        Column("foreseen", "Chance said", TEXT),
        Column("mean_said", "Mean of it", SHARE, decimals=0, gauge=True),
        Column("kept", "Were kept", SHARE, decimals=0, gauge=True),
        Column("warnings", "Warnings", COUNT),
    ]
    text = (
        "The chance to keep the promise that was said with the warning, beside the share that was kept: the closer "
        "the two, "
        "the better. Kept far above said: warned too darkly, or the warning helped."
    )
    return table("What was said, and what came", text, [clickhouse(asked)], columns)
