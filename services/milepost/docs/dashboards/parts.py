"""What panels are made of: datasources, queries, units, and the frame each has."""

from collections.abc import Mapping, Sequence
from typing import Any

from milepost.docs.dashboards import colours

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


def plain_panel(kind: str, title: str, text: str, targets: Sequence[Json], defaults: Json, options: Json) -> Json:
    """A panel without anything of its kind; what has no value is grey and says so."""
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


def override(name: str, properties: Mapping[str, Any]) -> Json:
    """Properties of the one field of that name."""
    return {
        "matcher": {"id": "byName", "options": name},
        "properties": [{"id": identity, "value": value} for identity, value in properties.items()],
    }
