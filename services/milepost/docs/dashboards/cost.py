"""Cost: what does a delivery cost, and what of it is for trying again?"""

from typing import get_args

from milepost.contracts.costs import Activity, Component
from milepost.docs.dashboards import colours, sql
from milepost.docs.dashboards.frame import Dashboard, Heading, Shelf, currency, hubs
from milepost.docs.dashboards.goals import Goals
from milepost.docs.dashboards.kpi_panels import WHOLE_HOURS, describe, hours_tile, over_time
from milepost.docs.dashboards.links import to_hub
from milepost.docs.dashboards.panels import series, stat
from milepost.docs.dashboards.parts import COUNT, NUMBER, SHARE, TEXT, Json, clickhouse
from milepost.docs.dashboards.sql import named
from milepost.docs.dashboards.tables import Column, table

_COST, _FEE = named("cost_per_delivery"), named("fee_per_delivery")
COMPONENTS: tuple[str, ...] = get_args(Component)
ACTIVITIES: tuple[str, ...] = get_args(Activity)
_AGAIN = "activity IN ('redelivery', 'return')"
_AGAIN_SHARE = f"sumIf(k.cost, {_AGAIN}) / nullIf(sum(k.cost), 0)"
_MARGIN = f"{sql.value(_FEE)} - {sql.value(_COST)}"
_MARGIN_TEXT = (
    "What a delivery leaves: the mean fee of the deliveries of which it is known, less what a delivery cost, costs of "
    "routes and hubs with them. Null where no fee is known. "
)
_AGAIN_TEXT = "Share of all costs that were booked for delivering again or for taking back."


def build(goals: Goals) -> Dashboard:
    """The dashboard of costs."""
    return Dashboard(
        "milepost-cost",
        "Milepost: Cost",
        "What does a delivery cost, by component and hub, what of it is for trying again, and what does it leave?",
        ["cost"],
        [
            Shelf(6, [hours_tile(_COST, goals), _again(), _spent()]),
            Shelf(9, [over_time(_COST, goals) | {"interval": "1d"}, _by_component(goals)]),
            Heading("Trying again"),
            Shelf(8, [_by_activity(goals), _again_over_time()]),
            Heading("What it leaves"),
            Shelf(8, [hours_tile(_FEE, goals), _margin(goals), _margin_over_time(goals)], [5, 5, 14]),
            Heading("Hubs, the dearest first"),
            Shelf(11, [_by_hub(goals)]),
        ],
        [hubs(), currency()],
        span="now-30d",
        refresh="15m",
    )


def _again() -> Json:
    asked = (
        f"SELECT concat({sql.spelled(f'intDiv(sumIf(k.cost, {_AGAIN}), {_COST.unit_size})')}, ' of ', "
        f"{sql.spelled(f'intDiv(sum(k.cost), {_COST.unit_size})')}) AS behind, {_AGAIN_SHARE} AS again "
        f"FROM {sql.hours(_COST)}"
    )
    text = f"{_AGAIN_TEXT} {WHOLE_HOURS} Not judged: no objective is set for it."
    return stat("Costs of failed attempts (share)", text, clickhouse(asked), SHARE, decimals=1)


def _spent() -> Json:
    asked = (
        f"SELECT concat('for ', {sql.spelled('sum(k.delivered)')}, ' delivered') AS behind, sum(k.cost) / "
        f"{_COST.unit_size} "
        "AS spent "
        f"FROM {sql.hours(_COST)}"
    )
    return stat("Spent (${currency})", f"All costs incurred. {WHOLE_HOURS}", clickhouse(asked), COUNT, decimals=0)


def _parts(column: str, names: tuple[str, ...]) -> str:
    """Each part's costs a delivery, as a column of its own."""
    return ", ".join(
        f"sumIf(k.cost, {column} = '{name}') / {_COST.unit_size} / nullIf(sum(k.delivered), 0) AS {name}"
        for name in names
    )


def _split(column: str, names: tuple[str, ...]) -> str:
    return (
        f"SELECT $__timeInterval(k.hour) AS time, {_parts(column, names)} FROM {sql.hours(_COST)} "
        "GROUP BY time ORDER BY time"
    )


def _by_component(goals: Goals) -> Json:
    text = describe(_COST, goals, "Each component's part of it, a day a point: costs are booked late and in lumps.")
    target = clickhouse(_split("component", COMPONENTS), series=True)
    return series("By component (${currency})", text, [target], NUMBER, paint=_painted(COMPONENTS), stacked=True,
                  decimals=2, interval="1d")  # fmt: skip


def _by_activity(goals: Goals) -> Json:
    text = describe(_COST, goals, "Each activity's part of it, a day a point.")
    target = clickhouse(_split("activity", ACTIVITIES), series=True)
    paint = _painted(ACTIVITIES)
    return series("By activity (${currency})", text, [target], NUMBER, paint=paint, stacked=True, decimals=2,
                  interval="1d")  # fmt: skip


def _painted(names: tuple[str, ...]) -> dict[str, str]:
    return dict(zip(names, colours.IN_ORDER, strict=False))


def _again_over_time() -> Json:
    asked = (
        f"SELECT $__timeInterval(k.hour) AS time, {_AGAIN_SHARE} AS again, sum(k.delivered) AS delivered "
        f"FROM {sql.hours(_COST)} GROUP BY time ORDER BY time"
    )
    return series("Costs of failed attempts over time (share)", f"{_AGAIN_TEXT} Columns are the orders delivered.",
                  [clickhouse(asked, series=True)], SHARE, paint={"again": colours.BLUE}, bars=["delivered"],
                  decimals=1, interval="1d")  # fmt: skip


def _margin(goals: Goals) -> Json:
    asked = f"SELECT {sql.behind(_FEE)} AS behind, {_MARGIN} AS margin FROM {sql.hours(_COST, _FEE)}"
    text = f"{_MARGIN_TEXT}{describe(_FEE, goals)} {describe(_COST, goals, WHOLE_HOURS)}"
    return stat("Margin per delivery (${currency})", text, clickhouse(asked), NUMBER, decimals=2)


def _margin_over_time(goals: Goals) -> Json:
    asked = (
        f"SELECT $__timeInterval(k.hour) AS time, {sql.value(_FEE)} AS fee, {sql.value(_COST)} AS cost, "
        f"{_MARGIN} AS margin, sum(k.priced) AS with_a_fee FROM {sql.hours(_COST, _FEE)} GROUP BY time ORDER BY time"
    )
    text = f"{_MARGIN_TEXT}{describe(_FEE, goals, 'Columns are the deliveries of which the fee is known.')}"
    paint = {"margin": colours.BLUE, "fee": colours.GOOD, "cost": colours.GREY}
    return series("Fee, cost and margin per delivery (${currency})", text, [clickhouse(asked, series=True)], NUMBER,
                  paint=paint, bars=["with_a_fee"], decimals=2, interval="1d")  # fmt: skip


def _by_hub(goals: Goals) -> Json:
    asked = (
        f"SELECT hub_id, {sql.value(_COST)} AS cost_per_delivery, sum(k.delivered) AS n_delivered, "
        f"{_parts('component', COMPONENTS)}, "
        f"{_AGAIN_SHARE} AS again, {sql.value(_FEE)} AS fee, {sql.coverage(_FEE)} AS known_fee, {_MARGIN} AS margin "
        f"FROM {sql.hours(_COST, _FEE)} GROUP BY hub_id "
        "ORDER BY cost_per_delivery DESC NULLS LAST, hub_id LIMIT 200"
    )
    columns = [
        Column("hub_id", "Hub", TEXT, link=to_hub()),
        Column("cost_per_delivery", "Cost per delivery", NUMBER, describe(_COST, goals), 2, goals.of(_COST)),
        Column("n_delivered", "Delivered", COUNT, "Orders behind it."),
        *(Column(name, name.replace("_", " ").capitalize(), NUMBER, "Per delivery.", 2) for name in COMPONENTS),
        Column("again", "Failed attempts", SHARE, _AGAIN_TEXT, 1),
        Column("fee", "Fee", NUMBER, describe(_FEE, goals), 2),
        Column("known_fee", "Fee: known", SHARE, "Share of the deliveries of which it is known.", 1),
        Column("margin", "Margin", NUMBER, _MARGIN_TEXT.rstrip(), 2),
    ]
    return table("By hub (${currency})", f"{describe(_COST, goals)} {WHOLE_HOURS}", [clickhouse(asked)], columns)
