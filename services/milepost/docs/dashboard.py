"""`grafana/dashboards/milepost-overview.json`: the main KPIs over time and by hub, drawn from the catalogue."""

import json
from typing import Any

from milepost import metrics
from milepost.domain.kpis import KPI_NAMES, KPIS, Kpi
from milepost.metrics import Metric

CLICKHOUSE = {"type": "grafana-clickhouse-datasource", "uid": "milepost-clickhouse"}
PROMETHEUS = {"type": "prometheus", "uid": "milepost-prometheus"}
UNITS = {"minutes": "m", "ratio": "percentunit", "currency": "none", "points": "none", "orders": "short"}
_WIDTH = 24
_TIMESERIES, _TABLE = 0, 1

SPAN = "hour >= $__fromTime AND hour < $__toTime AND hub_id IN (${hub:singlequote})"
"""Whole hours that begin within the time range, of the chosen hubs."""

TILES = (
    "promise_kept", "otif", "on_time", "in_full", "delivery_time", "first_attempt_success", "cost_per_delivery", "csat",
)  # fmt: skip
Panel = dict[str, Any]


def render() -> str:
    """The whole dashboard."""
    return json.dumps(dashboard(), indent=2, ensure_ascii=False) + "\n"


def value_sql(kpi: Kpi) -> str:
    """The KPI's value over all rows of a group: sums first, divided once; null where nothing of it is known."""
    numerator = " ".join(f"{'-' if sign < 0 else '+'} sum({name})" for name, sign in kpi.numerator).removeprefix("+ ")
    if len(kpi.numerator) > 1:
        numerator = f"({numerator})"
    factor = f"{kpi.scale} * " if kpi.scale != 1 else ""
    divisor = f" / {kpi.unit_size}" if kpi.unit_size != 1 else ""
    value = f"{factor}{numerator}{divisor} / nullIf(sum({kpi.denominator}), 0)"
    if kpi.known is not None and kpi.known != kpi.denominator:
        return f"if(sum({kpi.known}) = 0, NULL, {value})"
    if kpi.unknown is not None:
        return f"if(sum({kpi.unknown}) = sum({kpi.population}), NULL, {value})"
    return value


def dashboard() -> Panel:
    """The dashboard as Grafana keeps it."""
    named = {kpi.name: kpi for kpi in KPIS if kpi.stage is None}
    rows: list[list[Panel]] = [
        [_tile(named[name]) for name in TILES],
        [_over_time(named["promise_kept"]), _over_time(named["delivery_time"])],
        [_flow(), _stages()],
        [_by_hub()],
        [
            _prometheus(
                "Open orders", {"{{hub_id}}": f"sum by (hub_id) ({_of(metrics.OPEN_ORDERS)})"}, metrics.OPEN_ORDERS
            ),
            _prometheus(
                "Overdue orders",
                {"{{hub_id}}": f"sum by (hub_id) ({_of(metrics.OVERDUE_ORDERS)})"},
                metrics.OVERDUE_ORDERS,
            ),
            _prometheus(
                "Promises kept within the last hour",
                {"{{hub_id}}": f"{_window_sum(metrics.KPI_NUMERATOR)} / {_window_sum(metrics.KPI_DENOMINATOR)}"},
                metrics.KPI_VALUE,
                "percentunit",
            ),
        ],
        [
            _prometheus(
                "Events taken",
                {"{{type}} {{outcome}}": f"sum by (type, outcome) (rate({metrics.EVENTS.name}[5m]))"},
                metrics.EVENTS,
                "eps",
            ),
            _prometheus(
                "How far behind",
                {
                    "numbers": metrics.WATERMARK_AGE.name,
                    "processor": f"max({metrics.PROCESSOR_WATERMARK_AGE.name})",
                },
                metrics.WATERMARK_AGE,
                "s",
            ),
            _prometheus("Dead letters", {"{{reason}}": metrics.STORED_DEAD_LETTERS.name}, metrics.STORED_DEAD_LETTERS),
        ],
    ]
    return {
        "uid": "milepost-overview",
        "title": "Milepost overview",
        "description": "Whether the operation keeps its promises, where its time goes, and how fresh the numbers are.",
        "tags": ["milepost"],
        "editable": False,
        "graphTooltip": 1,
        "refresh": "1m",
        "schemaVersion": 41,
        "time": {"from": "now-24h", "to": "now"},
        "timezone": "utc",
        "templating": {"list": [_hub_variable()]},
        "panels": _placed(rows),
    }


def _placed(rows: list[list[Panel]]) -> list[Panel]:
    """The panels with their places: each row fills the width evenly."""
    panels: list[Panel] = []
    top = 0
    for row in rows:
        height = {len(TILES): 4, 1: 10}.get(len(row), 8)
        width = _WIDTH // len(row)
        for number, panel in enumerate(row):
            place = {"x": number * width, "y": top, "w": width, "h": height}
            panels.append({"id": len(panels) + 1, **panel, "gridPos": place})
        top += height
    return panels


def _hub_variable() -> Panel:
    return {
        "name": "hub",
        "label": "Hub",
        "type": "query",
        "datasource": CLICKHOUSE,
        "query": "SELECT DISTINCT hub_id FROM kpi_hours WHERE minute > now() - INTERVAL 30 DAY ORDER BY hub_id",
        "refresh": 2,
        "multi": True,
        "includeAll": True,
        "current": {"text": ["All"], "value": ["$__all"]},
    }


def _clickhouse(kind: str, title: str, text: str, sql: str, unit: str, result: int = _TIMESERIES) -> Panel:
    target = {
        "refId": "A",
        "datasource": CLICKHOUSE,
        "editorType": "sql",
        "queryType": "timeseries" if result == _TIMESERIES else "table",
        "format": result,
        "rawSql": sql,
    }
    return {
        "type": kind,
        "title": title,
        "description": text,
        "datasource": CLICKHOUSE,
        "targets": [target],
        "fieldConfig": {"defaults": {"unit": unit, "noValue": "–"}, "overrides": []},
        "options": {},
    }


def _tile(kpi: Kpi) -> Panel:
    title = kpi.name.replace("_", " ").capitalize()
    sql = f"SELECT {value_sql(kpi)} AS {kpi.name} FROM kpi_hub_hours WHERE {SPAN}"
    panel = _clickhouse("stat", title, kpi.text, sql, UNITS[kpi.unit], _TABLE)
    panel["options"] = {"reduceOptions": {"calcs": ["lastNotNull"]}, "graphMode": "none", "colorMode": "none"}
    return panel


def _over_time(kpi: Kpi) -> Panel:
    title = f"{kpi.name.replace('_', ' ').capitalize()} by hub"
    sql = (
        f"SELECT $__timeInterval(hour) AS time, hub_id, {value_sql(kpi)} AS {kpi.name} "
        f"FROM kpi_hub_hours WHERE {SPAN} GROUP BY time, hub_id ORDER BY time, hub_id"
    )
    return _with_interval(_clickhouse("timeseries", title, kpi.text, sql, UNITS[kpi.unit]))


def _flow() -> Panel:
    sql = (
        "SELECT $__timeInterval(hour) AS time, sum(due) AS due, sum(kept) AS kept, sum(delivered) AS delivered, "
        f"sum(cancelled) AS cancelled FROM kpi_hub_hours WHERE {SPAN} GROUP BY time ORDER BY time"
    )
    text = "Orders that were due, of these the ones in time, and all that were delivered or called off."
    return _with_interval(_clickhouse("timeseries", "Orders", text, sql, "short"))


def _stages() -> Panel:
    stages = [kpi for kpi in KPIS if kpi.stage is not None]
    values = ", ".join(f"{value_sql(kpi)} AS {kpi.stage}" for kpi in stages)
    sql = f"SELECT $__timeInterval(hour) AS time, {values} FROM kpi_hub_hours WHERE {SPAN} GROUP BY time ORDER BY time"
    text = "Mean time of each stage; an order has only the stages it went through."
    panel = _with_interval(_clickhouse("timeseries", "Where the minutes go", text, sql, "m"))
    panel["fieldConfig"]["defaults"]["custom"] = {"stacking": {"mode": "normal"}, "fillOpacity": 30}
    return panel


def _by_hub() -> Panel:
    plain = [kpi for kpi in KPIS if kpi.stage is None]
    values = ", ".join(f"{value_sql(kpi)} AS {kpi.name}" for kpi in plain)
    sql = f"SELECT hub_id, sum(due) AS orders_due, {values} FROM kpi_hub_hours WHERE {SPAN}"
    sql += " GROUP BY hub_id ORDER BY hub_id"
    text = f"Every KPI of every hub: {', '.join(name for name in KPI_NAMES if name != 'stage_time')}."
    panel = _clickhouse("table", "By hub", text, sql, "none", _TABLE)
    panel["fieldConfig"]["overrides"] = [
        {
            "matcher": {"id": "byName", "options": kpi.name},
            "properties": [{"id": "unit", "value": UNITS[kpi.unit]}, {"id": "description", "value": kpi.text}],
        }
        for kpi in plain
    ]
    return panel


def _with_interval(panel: Panel) -> Panel:
    """At least an hour a point: the hours are what is stored by hub."""
    return {**panel, "interval": "1h"}


def _of(metric: Metric) -> str:
    return f'{metric.name}{{hub_id=~"${{hub:regex}}"}}'


def _window_sum(metric: Metric) -> str:
    return f'sum by (hub_id) ({metric.name}{{kpi="promise_kept", window="1h", hub_id=~"${{hub:regex}}"}})'


def _prometheus(title: str, queries: dict[str, str], metric: Metric, unit: str = "short") -> Panel:
    targets = [
        {"refId": chr(ord("A") + number), "datasource": PROMETHEUS, "expr": expression, "legendFormat": legend}
        for number, (legend, expression) in enumerate(queries.items())
    ]
    return {
        "type": "timeseries",
        "title": title,
        "description": metric.text,
        "datasource": PROMETHEUS,
        "targets": targets,
        "fieldConfig": {"defaults": {"unit": unit}, "overrides": []},
        "options": {},
    }
