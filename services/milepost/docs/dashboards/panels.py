"""The few kinds of panel the dashboards are made of: each has a unit, a description, and a look for want of data."""

from collections.abc import Mapping, Sequence

from milepost.docs.dashboards import colours
from milepost.docs.dashboards.goals import Goal
from milepost.docs.dashboards.parts import CLICKHOUSE, COUNT, NUMBER, TEXT, Json, clickhouse, override, plain_panel
from milepost.docs.dashboards.tables import Column


def stat(
    title: str,
    text: str,
    target: Json,
    unit: str,
    *,
    goal: Goal | None = None,
    alarm: float | None = None,
    decimals: int | None = None,
    several: bool = False,
) -> Json:
    """Big numbers: against ``goal`` where there is one, or bad from ``alarm`` on; without either no judgement.

    Of a ClickHouse query the first row, its strings as the words beside the number; ``several`` shows each number.
    """
    judged = goal is not None or alarm is not None
    thresholds = colours.plain("text")
    if goal is not None:
        thresholds = colours.steps(goal.limit, higher_is_better=goal.higher_is_better)
    elif alarm is not None:
        base = [{"color": "transparent", "value": None}, {"color": colours.BAD, "value": alarm}]
        thresholds = {"mode": "absolute", "steps": base}
    defaults: Json = {"unit": unit, "color": {"mode": "thresholds"}, "thresholds": thresholds}
    if decimals is not None:
        defaults["decimals"] = decimals
    rows = target["datasource"] is CLICKHOUSE and not several
    reduce: Json = {"values": rows, "calcs": ["lastNotNull"], "fields": ""}
    options = {
        "reduceOptions": reduce | {"limit": 1} if rows else reduce,
        "textMode": "value_and_name" if rows or several else "value",
        "colorMode": "background_solid" if judged else "value",
        "graphMode": "none",
        "justifyMode": "center",
        "orientation": "auto",
        "wideLayout": True,
        "text": {"titleSize": 14} if rows else {},
    }
    return plain_panel("stat", title, text, [target], defaults, options)


def series(
    title: str,
    text: str,
    targets: Sequence[Json],
    unit: str,
    *,
    paint: Mapping[str, str] | None = None,
    goal: Goal | None = None,
    stacked: bool = False,
    bars: Sequence[str] = (),
    bars_unit: str = COUNT,
    decimals: int | None = None,
    interval: str | None = None,
    most: float | None = None,
) -> Json:
    """Lines over time; ``paint`` gives named series their colours, ``bars`` are columns on an axis of their own.

    A break in the data is a break in the line. ``goal`` is a dashed line. Series without a colour of their own are
    shades of one, which differ in lightness.
    """
    custom: Json = {
        "drawStyle": "line",
        "lineWidth": 2,
        "fillOpacity": 35 if stacked else 0,
        "showPoints": "auto",
        "pointSize": 4,
        "spanNulls": False,
        "stacking": {"mode": "normal" if stacked else "none", "group": "A"},
    }
    defaults: Json = {"unit": unit, "color": {"mode": "shades", "fixedColor": colours.BLUE}, "min": 0}
    if decimals is not None:
        defaults["decimals"] = decimals
    if most is not None:
        defaults["max"] = most
    if unit == NUMBER:
        del defaults["min"]
    if goal is not None:
        custom["thresholdsStyle"] = {"mode": "dashed"}
        line = [{"color": "transparent", "value": None}, {"color": colours.GREY, "value": goal.limit}]
        defaults["thresholds"] = {"mode": "absolute", "steps": line}
    options = {
        "legend": {"showLegend": True, "displayMode": "list", "placement": "bottom", "calcs": []},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
    panel = plain_panel("timeseries", title, text, targets, {**defaults, "custom": custom}, options)
    panel["fieldConfig"]["overrides"] = [
        *(override(name, {"color": colours.fixed(colour)}) for name, colour in (paint or {}).items()),
        *(override(name, _as_bars(bars_unit)) for name in bars),
    ]
    return panel | {"interval": interval} if interval else panel


def _as_bars(unit: str) -> Json:
    return {
        "unit": unit,
        "decimals": 0,
        "color": colours.fixed(colours.GREY),
        "max": None,
        "custom.drawStyle": "bars",
        "custom.lineWidth": 0,
        "custom.fillOpacity": 25,
        "custom.axisPlacement": "right",
        "custom.stacking": {"mode": "none", "group": "bars"},
    }


def density(title: str, text: str, sql: str, unit: str) -> Json:
    """A heatmap over time of a query whose columns are named by the upper bounds of what they count."""
    options = {
        "calculate": False,
        "rowsFrame": {"layout": "le"},
        "color": {"mode": "scheme", "scheme": "Blues", "steps": 32, "reverse": False, "exponent": 0.5, "fill": "blue"},
        "cellGap": 1,
        "filterValues": {"le": 1e-9},
        "showValue": "never",
        "yAxis": {"axisPlacement": "left", "unit": unit, "reverse": False},
        "legend": {"show": True},
        "tooltip": {"mode": "single", "yHistogram": True, "showColorScale": True},
        "exemplars": {"color": colours.VERMILLION},
    }
    return plain_panel("heatmap", title, text, [clickhouse(sql)], {"unit": COUNT}, options) | {"interval": "1h"}


def scatter(title: str, text: str, sql: str, x: Column, y: Column) -> Json:
    """A point for each row of a query."""
    options = {
        "mapping": "manual",
        "series": [
            {
                "frame": {"matcher": {"id": "byIndex", "options": 0}},
                "x": {"matcher": {"id": "byName", "options": x.name}},
                "y": {"matcher": {"id": "byName", "options": y.name}},
            }
        ],
        "legend": {"showLegend": False, "displayMode": "list", "placement": "bottom", "calcs": []},
        "tooltip": {"mode": "single", "sort": "none"},
    }
    custom = {"show": "points", "pointSize": {"fixed": 8}, "fillOpacity": 60}
    defaults = {"unit": y.unit, "color": colours.fixed(colours.BLUE), "custom": custom}
    panel = plain_panel("xychart", title, text, [clickhouse(sql)], defaults, options)
    panel["fieldConfig"]["overrides"] = [x.as_override, y.as_override]
    return panel


def alert_groups(title: str, text: str) -> Json:
    """What Alertmanager holds, silences and all."""
    source = {"type": "alertmanager", "uid": "milepost-alertmanager"}
    return {
        "type": "alertGroups",
        "title": title,
        "description": text,
        "datasource": source,
        "targets": [],
        "fieldConfig": {"defaults": {"unit": TEXT}, "overrides": []},
        "options": {"labels": "", "alertmanager": "Milepost Alertmanager", "expandAll": False},
    }
