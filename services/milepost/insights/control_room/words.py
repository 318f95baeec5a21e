"""Numbers and moments as people read them: always with a unit, never rounded to a perfection not there. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from msgspec import UNSET, UnsetType

from milepost.domain.kpis import GAUGES, KPIS, Gauge, Kpi
from milepost.metrics import AT_RISK_ORDERS
from milepost.reading.rows import KpiRow

NOTHING = "–"
"""Where there is no value: nothing counted, or nothing of it is known."""

TITLES = {
    "promise_kept": "Promises kept",
    "otif": "On time and in full",
    "on_time": "Delivered on time",
    "first_attempt_success": "First-attempt success",
    "delivery_time": "Delivery time",
    "stage_time": "Where the minutes go",
    "open_orders": "Open orders",
    "overdue_orders": "Overdue orders",
    "orphan_orders": "Orphan orders",
    "at_risk_orders": "At risk",
}


@dataclass(frozen=True)
class Counted:
    """What a number counts that is no KPI: ``metric`` is its name for Prometheus."""

    text: str
    metric: str


Definition = Kpi | Gauge | Counted
DEFINITIONS: dict[str, Definition] = {
    **{gauge.name: gauge for gauge in GAUGES},
    **{kpi.name if kpi.stage is None else f"{kpi.name} {kpi.stage}": kpi for kpi in KPIS},
    "at_risk_orders": Counted(AT_RISK_ORDERS.text, AT_RISK_ORDERS.name),
}
"""The catalogue by name; a stage's entry as ``stage_time transit``."""


def share(value: float | None) -> str:
    """A share in per cent; 99.96 % must not read as all, nor 0.04 % as none."""
    if value is None:
        return NOTHING
    percent = 100 * value
    if 0 < percent < 100:
        percent = min(99.9, max(0.1, percent))
    return f"{percent:.0f} %" if percent in (0, 100) else f"{percent:.1f} %"


def axis_share(value: float) -> str:
    """A round share, of an axis."""
    return f"{100 * value:g} %"


def axis_minutes(value: float) -> str:
    """A round duration, of an axis."""
    for size, unit in ((1440, "d"), (60, "h")):
        if value >= 2 * size:
            return f"{value / size:g} {unit}"
    return f"{value:g} min"


def minutes(value: float | UnsetType | None) -> str:
    """A duration given in minutes."""
    if value is None or value is UNSET:
        return NOTHING
    if abs(value) < 1:
        return f"{60 * value:.0f} s"
    if abs(value) < 120:
        return f"{value:.1f} min"
    if abs(value) < 2 * 1440:
        return f"{value / 60:.1f} h"
    return f"{value / 1440:.1f} d"


def shown(row: KpiRow | None) -> str:
    """A KPI's value with its unit."""
    if row is None or row.value is None:
        return NOTHING
    if row.unit == "ratio":
        return share(row.value)
    if row.unit == "minutes":
        return minutes(row.value)
    return count(row.value)


def count(number: float | None) -> str:
    """A number of orders, thousands apart by a narrow space."""
    return NOTHING if number is None else f"{number:,.0f}".replace(",", "\u202f")


def span(seconds: float) -> str:
    """How long, in one unit."""
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds // size:.0f} {unit}"
    return f"{seconds:.0f} s"


class Clock:
    """Moments in the time zone of the page."""

    def __init__(self, zone: ZoneInfo, now: datetime) -> None:
        """Write moments in ``zone``; those of another day than ``now`` come with their date."""
        self.zone = zone
        self.now = now

    @property
    def name(self) -> str:
        """The zone, as its database calls it, with what it adds to UTC now."""
        offset = self.now.astimezone(self.zone).utcoffset() or timedelta()
        if self.zone.key == "UTC":
            return "UTC"
        hours, rest = divmod(abs(int(offset.total_seconds())) // 60, 60)
        return f"{self.zone.key} (UTC{'-' if offset < timedelta() else '+'}{hours:02d}:{rest:02d})"

    def minute(self, moment: datetime) -> str:
        """To the minute."""
        return self._written(moment, "%H:%M")

    def second(self, moment: datetime) -> str:
        """To the second."""
        return self._written(moment, "%H:%M:%S")

    def full(self, moment: datetime) -> str:
        """To the second, with the date."""
        return f"{moment.astimezone(self.zone):%Y-%m-%d %H:%M:%S}"

    def day(self, moment: datetime) -> str:
        """The weekday."""
        return f"{moment.astimezone(self.zone):%a}"

    def _written(self, moment: datetime, form: str) -> str:
        local, today = moment.astimezone(self.zone), self.now.astimezone(self.zone)
        if local.date() == today.date():
            return f"{local:{form}}"
        return f"{local:{'%a' if abs(local - today) < timedelta(days=6) else '%Y-%m-%d'} {form}}"
