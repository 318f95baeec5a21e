"""KPIs as a table for people."""

from datetime import datetime

from msgspec import UNSET
from rich.table import Table
from rich.text import Text

from milepost.reading.kpis import Answer
from milepost.reading.question import EARLIEST
from milepost.reading.rows import KpiRow

NOTHING = "–"
_SHAKY_COVERAGE = 0.95


def heading(answer: Answer) -> Text:
    """What the table is about, and how fresh it is."""
    start = "the beginning" if answer.start == EARLIEST else _minute(answer.start)
    if answer.watermark is None:
        fresh = ("nothing has been processed yet", "yellow")
    else:
        age = max(0, int((answer.as_of - answer.watermark).total_seconds()))
        fresh = (f"complete up to {_span(age)} ago", "green" if age < 60 else "yellow")
    return Text.assemble((f"From {start} to {_minute(answer.end)} UTC", "bold"), "  ·  ", fresh)


def table(answer: Answer) -> Table:
    """One line a row of the answer; a rule between KPIs where there are several combinations."""
    dimensions = list(dict.fromkeys(name for row in answer.rows for name in row.dimensions if name != "stage"))
    out = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    out.add_column("KPI", no_wrap=True)
    for name in dimensions:
        out.add_column(name.removesuffix("_id"), no_wrap=True)
    out.add_column("value", justify="right", no_wrap=True)
    out.add_column("of", justify="right", no_wrap=True)
    out.add_column("known", justify="right", no_wrap=True)
    out.add_column("more", overflow="fold")
    before = ""
    for row in answer.rows:
        name = row.kpi if "stage" not in row.dimensions else f"{row.kpi} {row.dimensions['stage']}"
        if dimensions and before not in ("", name):
            out.add_section()
        out.add_row(
            name if name != before else "",
            *(row.dimensions.get(dimension) or NOTHING for dimension in dimensions),
            Text(shown(row.value, row.unit, answer.currency), "bold"),
            NOTHING if row.denominator is None else f"{row.denominator:,}",
            _known(row.coverage),
            _more(row, answer.currency),
        )
        before = name
    return out


def shown(value: float | None, unit: str, currency: str) -> str:
    """A value with its unit."""
    if value is None:
        return NOTHING
    if unit == "ratio":
        return f"{100 * value:.1f} %"
    if unit == "minutes":
        return f"{value:,.1f} min"
    if unit == "currency":
        return f"{value:,.2f} {currency}"
    if unit == "points":
        return f"{value:+.0f}"
    return f"{value:,.0f}"


def _known(coverage: float | None) -> Text:
    if coverage is None:
        return Text(NOTHING)
    # 99.96 % must not read as everything.
    percent = "100 %" if coverage == 1 else f"{min(99.9, 100 * coverage):.1f} %"
    return Text(percent, "" if coverage >= _SHAKY_COVERAGE else "yellow")


def _more(row: KpiRow, currency: str) -> str:
    if row.p50 is not UNSET and row.value is not None:
        parts = (("p50", row.p50), ("p90", row.p90), ("p95", row.p95))
        return "  ".join(f"{name} {value:,.1f}" for name, value in parts if isinstance(value, float))
    if isinstance(row.high, float) and row.high != row.value:
        return f"up to {shown(row.high, row.unit, currency)} were the unknown good"
    if isinstance(row.precision, float):
        lead = f"  lead p50 {row.lead_p50:,.1f} min" if isinstance(row.lead_p50, float) else ""
        return f"precision {shown(row.precision, row.unit, currency)}{lead}"
    if row.kpi == "csat" and isinstance(row.mean, float):
        return f"mean score {row.mean:.2f}"
    return ""


def _minute(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M}"


def _span(seconds: int) -> str:
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
