"""The KPIs as `milepost up` shows them: asked of the insights API, made readable."""

import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

from milepost.settings import Settings

_ASK_SECONDS = 2.0
_CATCHING_UP_SECONDS = 10.0
_RATIO_UNITS = frozenset({"ratio", "share", "fraction"})


@dataclass(frozen=True)
class KpiRow:
    """One line of the table, every cell as text."""

    kpi: str
    value: str
    unit: str
    fraction: str
    """Numerator of denominator."""
    coverage: str


@dataclass(frozen=True)
class KpiAnswer:
    """The table's lines, and how far behind they are: everything received up to ``behind_seconds`` ago is in them."""

    rows: list[KpiRow]
    behind_seconds: float | None = None

    @property
    def freshness(self) -> str:
        """How far behind, in words."""
        if self.behind_seconds is None:
            return ""
        word = "complete up to" if self.behind_seconds < _CATCHING_UP_SECONDS else "catching up, complete up to"
        return f" · {word} {self.behind_seconds:.0f} s ago"


def ask(settings: Settings, window: str) -> KpiAnswer:
    """The KPIs of the last ``window``, from the insights API; empty where it does not answer."""
    headers = {"Authorization": f"Bearer {settings.edge_key.get_secret_value()}"} if settings.edge_key else {}
    request = Request(f"{settings.insights_url}/v1/kpis?window={window}", headers=headers)  # noqa: S310
    try:
        with urlopen(request, timeout=_ASK_SECONDS) as answer:  # noqa: S310
            found = json.load(answer)
            rows = [readable(row, settings.currency) for row in found["rows"]]
            return KpiAnswer(rows, _behind(found["as_of"], found["watermark"]))
    except (URLError, OSError, http.client.HTTPException, ValueError, KeyError):
        return KpiAnswer([])


def _behind(as_of: str, watermark: str | None) -> float | None:
    if watermark is None:
        return None
    return max(0.0, (datetime.fromisoformat(as_of) - datetime.fromisoformat(watermark)).total_seconds())


def readable(row: Mapping[str, Any], currency: str) -> KpiRow:
    """One row of the API's answer as text."""
    value, unit = row.get("value"), str(row.get("unit", ""))
    stage = (row.get("dimensions") or {}).get("stage")
    percent = unit in _RATIO_UNITS
    coverage = row.get("coverage")
    return KpiRow(
        kpi=f"{row['kpi']} {stage}" if stage else str(row["kpi"]),
        value="–" if value is None else f"{value * 100:.1f} %" if percent else _number(value),
        unit="" if percent else currency if unit == "currency" else unit,
        fraction=_fraction(row.get("numerator"), row.get("denominator")),
        coverage="" if coverage is None else f"{coverage * 100:.0f} %",
    )


def _fraction(numerator: float | None, denominator: float | None) -> str:
    if denominator is None:
        return ""
    return f"{_number(numerator or 0)} / {_number(denominator)}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.2f}"
