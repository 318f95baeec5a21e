"""What every dashboard has around its panels: places, links, variables, annotations, time."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from milepost.docs.dashboards import colours
from milepost.docs.dashboards.parts import CLICKHOUSE, PROMETHEUS, Json
from milepost.reading.spans import WHOLE

WIDTH = 24
TAG = "milepost"
HOME = "milepost-control-room"
ANNOTATION_TAGS = ("milepost-deploy", "milepost-incident")
"""Grafana annotations with one of these tags are drawn on every time series."""


@dataclass(frozen=True)
class Shelf:
    """Panels side by side, ``height`` grid cells high; of equal width unless ``widths`` says otherwise."""

    height: int
    panels: Sequence[Json]
    widths: Sequence[int] = ()


@dataclass(frozen=True)
class Heading:
    """A line with a title between shelves."""

    title: str


@dataclass(frozen=True)
class Dashboard:
    """A dashboard: the question it answers, and what is on it. ``span`` is the time range it opens with."""

    uid: str
    title: str
    question: str
    tags: Sequence[str]
    shelves: Sequence[Shelf | Heading]
    variables: Sequence[Json] = ()
    span: str = "now-24h"
    refresh: str = "1m"

    def document(self) -> Json:
        """The dashboard as Grafana keeps it."""
        return {
            "uid": self.uid,
            "title": self.title,
            "description": self.question,
            "tags": [TAG, *self.tags],
            "editable": True,
            "graphTooltip": 1,
            "refresh": self.refresh,
            "schemaVersion": 41,
            "time": {"from": self.span, "to": "now"},
            "timepicker": {"refresh_intervals": ["10s", "30s", "1m", "5m", "15m"]},
            "timezone": "browser",
            "weekStart": "monday",
            "annotations": {"list": _annotations()},
            "links": _links(),
            "templating": {"list": list(self.variables)},
            "panels": placed(self.shelves),
        }


def placed(shelves: Sequence[Shelf | Heading]) -> list[Json]:
    """The panels with their ids and places, from the top."""
    panels: list[Json] = []
    top = 0
    for shelf in shelves:
        if isinstance(shelf, Heading):
            place = {"x": 0, "y": top, "w": WIDTH, "h": 1}
            heading = {"type": "row", "title": shelf.title, "collapsed": False, "panels": []}
            panels.append({"id": len(panels) + 1, **heading, "gridPos": place})
            top += 1
            continue
        left = 0
        for panel, width in zip(shelf.panels, shelf.widths or _even(len(shelf.panels)), strict=True):
            place = {"x": left, "y": top, "w": width, "h": shelf.height}
            panels.append({"id": len(panels) + 1, **panel, "gridPos": place})
            left += width
        top += shelf.height
    return panels


def _even(count: int) -> list[int]:
    return [WIDTH // count] * count


def hubs(*, several: bool = True) -> Json:
    """The hubs to look at, or the one hub."""
    sql = f"SELECT DISTINCT hub_id FROM kpi_hours WHERE minute >= now() - INTERVAL 30 DAY AND minute < now() AND {WHOLE} ORDER BY hub_id"  # noqa: E501
    return variable("hub", "Hub", sql, several=several)


def variable(name: str, label: str, sql: str, *, several: bool = False, text: str = "") -> Json:
    """A choice among what a query finds; ``several`` of it or all."""
    chosen: dict[str, Any] = {"text": ["All"], "value": ["$__all"]} if several else {}
    return {
        "name": name,
        "label": label,
        "description": text,
        "type": "query",
        "datasource": CLICKHOUSE,
        "query": sql,
        "refresh": 1,
        "sort": 0,
        "multi": several,
        "includeAll": several,
        "current": chosen,
        "hide": 0,
    }


def hidden(name: str, sql: str) -> Json:
    """What a title wants to know of the installation."""
    return variable(name, name.capitalize(), sql) | {"hide": 2}


def currency() -> Json:
    """The reporting currency as `${currency}`."""
    return hidden("currency", "SELECT value FROM installation WHERE name = 'currency' LIMIT 1")


def time_zone() -> Json:
    """The time zone in which days and hours of the week are told apart, as `${zone}`."""
    text = "Days and hours of the week are those of this time zone; all else is in the time zone of the dashboard."
    found = variable("zone", "Time zone", "SELECT time_zone FROM system.time_zones ORDER BY time_zone", text=text)
    return found | {"current": {"text": "UTC", "value": "UTC"}}


def choice(name: str, label: str, options: Sequence[str], text: str = "") -> Json:
    """A choice among a few words, the first at first."""
    return {
        "name": name,
        "label": label,
        "description": text,
        "type": "custom",
        "query": ",".join(options),
        "multi": False,
        "includeAll": False,
        "current": {"text": options[0], "value": options[0]},
        "options": [{"text": option, "value": option, "selected": option == options[0]} for option in options],
        "hide": 0,
    }


def typed(name: str, label: str, text: str) -> Json:
    """A field to type into."""
    return {
        "name": name,
        "label": label,
        "description": text,
        "type": "textbox",
        "query": "",
        "current": {"text": "", "value": ""},
        "options": [{"text": "", "value": "", "selected": True}],
        "hide": 0,
    }


def _links() -> list[Json]:
    return [
        {
            "type": "dashboards",
            "title": "Milepost",
            "tags": [TAG],
            "asDropdown": True,
            "includeVars": True,
            "keepTime": True,
            "targetBlank": False,
            "icon": "external link",
            "tooltip": "The other dashboards, with the same time range and hub",
            "url": "",
        },
        {
            "type": "link",
            "title": "Control room",
            "tags": [],
            "asDropdown": False,
            "includeVars": True,
            "keepTime": True,
            "targetBlank": False,
            "icon": "dashboard",
            "tooltip": "",
            "url": f"/d/{HOME}",
        },
    ]


def _annotations() -> list[Json]:
    grafana = {"type": "grafana", "uid": "-- Grafana --"}
    return [
        {
            "name": "Annotations & Alerts",
            "builtIn": 1,
            "datasource": grafana,
            "enable": True,
            "hide": True,
            "iconColor": colours.SKY,
            "type": "dashboard",
        },
        {
            "name": "Alerts",
            "datasource": PROMETHEUS,
            "enable": True,
            "hide": False,
            "iconColor": colours.VERMILLION,
            "expr": 'ALERTS{alertstate="firing", severity="page"}',
            "step": "60s",
            "titleFormat": "{{alertname}}",
            "textFormat": "{{hub_id}}{{partition}}",
            "tagKeys": "severity,team",
        },
        {
            "name": "Deploys and incidents",
            "datasource": grafana,
            "enable": True,
            "hide": False,
            "iconColor": colours.PURPLE,
            "target": {"type": "tags", "tags": list(ANNOTATION_TAGS), "matchAny": True, "limit": 100},
        },
    ]
