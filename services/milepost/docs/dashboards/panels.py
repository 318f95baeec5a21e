"""The few kinds of panel the dashboards are made of: each has a unit, a description, and a look for want of data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from milepost.docs.dashboards import colours
from milepost.docs.dashboards.goals import Goal

Json = dict[str, Any]

CLICKHOUSE: Json = {"type": "grafana-clickhouse-datasource", "uid": "milepost-clickhouse"}
PROMETHEUS: Json = {"type": "prometheus", "uid": "milepost-prometheus"}
CLICKHOUSE_PLUGIN = "4.20.0"
"""The plugin's version whose form of a query this is; the same as in `.env`."""

MINUTES, SHARE, COUNT, SECONDS, NUMBER, TEXT, TIME = (
    "m",
    "percentunit",
    "locale",
    "s",
    "none",
    "string",
    "dateTimeAsIso",
)
UNITS = {"minutes": MINUTES, "ratio": SHARE, "currency": NUMBER, "points": NUMBER, "orders": COUNT}
"""Grafana's unit for each of the catalogue's. A currency has no sign, for it is the installation's: titles name it."""
DECIMALS = {"minutes": 1, "ratio": 1, "currency": 2, "points": 0, "orders": 0}

_TIMESERIES, _TABLE = 0, 1


def clickhouse(sql: str, ref: str = "A", *, series: bool = False) -> Json:
    """A query of ClickHouse: a table, or time series (a column `time`, numbers, and strings that label them)."""
    return {
        "refId": ref,
        "datasource": CLICKHOUSE,
        "editorType": "sql",
        "queryType": "timeseries" if series else "table",
        "format": _TIMESERIES if series else _TABLE,
        "pluginVersion": CLICKHOUSE_PLUGIN,
        "rawSql": sql,
    }


def prometheus(expression: str, legend: str = "__auto", ref: str = "A") -> Json:
    """A query of Prometheus over the time range."""
    return {
        "refId": ref,
        "datasource": PROMETHEUS,
        "editorMode": "code",
        "expr": expression,
        "legendFormat": legend,
        "range": True,
    }


def prometheus_now(expression: str, legend: str = "__auto", ref: str = "A", *, table: bool = False) -> Json:
    """A query of Prometheus as of the range's end."""
    asked = prometheus(expression, legend, ref) | {"range": False, "instant": True}
    return asked | {"format": "table"} if table else asked


def _panel(kind: str, title: str, text: str, targets: Sequence[Json], defaults: Json, options: Json) -> Json:
    return {
        "type": kind,
        "title": title,
        "description": text,
        "datasource": targets[0]["datasource"],
        "targets": list(targets),
        "fieldConfig": {
            "defaults": {"noValue": colours.NO_DATA, "mappings": colours.unknown_is_grey(), **defaults},
            "overrides": [],
        },
        "options": options,
    }


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
    return _panel("stat", title, text, [target], defaults, options)


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
    panel = _panel("timeseries", title, text, targets, {**defaults, "custom": custom}, options)
    panel["fieldConfig"]["overrides"] = [
        *(_override(name, {"color": colours.fixed(colour)}) for name, colour in (paint or {}).items()),
        *(_override(name, _as_bars(bars_unit)) for name in bars),
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


@dataclass(frozen=True)
class Column:
    """A table's column: the name the query gives it, what people read, its unit; ``gauge`` draws a bar up to ``most``.

    ``shaded`` colours the cell by its size against the column's others.
    """

    name: str
    title: str
    unit: str
    text: str = ""
    decimals: int | None = None
    goal: Goal | None = None
    gauge: bool = False
    most: float = 1.0
    shaded: bool = False
    link: Json | None = None
    width: int | None = None
    hidden: bool = False

    @property
    def override(self) -> Json:
        """How Grafana is told."""
        said: Json = {"displayName": self.title, "unit": self.unit}
        if self.text:
            said["description"] = self.text
        if self.decimals is not None:
            said["decimals"] = self.decimals
        if self.width is not None:
            said["custom.width"] = self.width
        if self.hidden:
            said["custom.hideFrom"] = {"viz": True}
        if self.goal is not None:
            said["thresholds"] = colours.steps(self.goal.limit, higher_is_better=self.goal.higher_is_better)
            said["color"] = {"mode": "thresholds"}
            said["custom.cellOptions"] = {"type": "color-text"}
        if self.gauge:
            said |= {"min": 0, "max": self.most}
            said["custom.cellOptions"] = {"type": "gauge", "mode": "basic", "valueDisplayMode": "text"}
            if self.goal is None:
                said["color"] = colours.fixed(colours.BLUE)
        if self.shaded:
            said["color"] = {"mode": "continuous-blues"}
            said["custom.cellOptions"] = {"type": "color-background", "mode": "basic"}
        if self.link is not None:
            said["links"] = [self.link]
        return _override(self.name, said)


def table(title: str, text: str, targets: Sequence[Json], columns: Sequence[Column]) -> Json:
    """Rows as the query orders them."""
    defaults: Json = {
        "unit": TEXT,
        "color": colours.fixed("text"),
        "custom": {"align": "auto", "cellOptions": {"type": "auto"}, "filterable": True},
    }
    options = {"showHeader": True, "cellHeight": "sm", "footer": {"show": False, "reducer": [], "countRows": False}}
    panel = _panel("table", title, text, targets, defaults, options)
    panel["fieldConfig"]["overrides"] = [column.override for column in columns]
    return panel


def without(*fields: str) -> Json:
    """The transformation that leaves fields out."""
    hidden = dict.fromkeys(fields, True)
    return {"id": "organize", "options": {"excludeByName": hidden, "indexByName": {}, "renameByName": {}}}


def merged(panel: Json, ordered_by: str, *, descending: bool) -> Json:
    """A table of several instant queries of Prometheus as one, a row for each combination of labels."""
    sort = [{"field": ordered_by, "desc": descending}]
    changes = [
        {"id": "merge", "options": {}},
        without("Time"),
        {"id": "sortBy", "options": {"fields": {}, "sort": sort}},
    ]
    return panel | {"transformations": changes}


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
    return _panel("heatmap", title, text, [clickhouse(sql)], {"unit": COUNT}, options) | {"interval": "1h"}


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
    panel = _panel("xychart", title, text, [clickhouse(sql)], defaults, options)
    panel["fieldConfig"]["overrides"] = [x.override, y.override]
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


def _override(name: str, properties: Mapping[str, Any]) -> Json:
    return {
        "matcher": {"id": "byName", "options": name},
        "properties": [{"id": identity, "value": value} for identity, value in properties.items()],
    }
