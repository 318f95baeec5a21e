"""An order's timeline for people."""

from datetime import datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from milepost.cli.sla.view import life_lines
from milepost.reading.sla import words
from milepost.reading.timeline import EventEntry, Timeline

NOTHING = "–"
_LATE_SECONDS = 60
_SHOWN_ELSEWHERE = frozenset({"order_id", "retracts"})
_MOST_CHARACTERS = 100


def view(found: Timeline) -> RenderableType:
    """Everything known of the order, from its state down to the records that could not be used."""
    parts: list[RenderableType] = [_heading(found), Text()]
    if found.state == "expired":
        parts.append(Text("It has expired (MILEPOST_ORDER_RETENTION_DAYS). What it counted for still counts."))
        return Group(*parts, *([_problems(found)] if found.problems else []))
    parts.append(_facts(found))
    if found.promises:
        parts += [Text("\nPromises", "bold"), _promises(found)]
    if found.stages:
        parts += [Text("\nStages", "bold"), _stages(found)]
    if found.sla:
        parts.append(Text("\nSLAs", "bold"))
    for life in found.sla:
        parts += life_lines(life, found.as_of)
    parts += [Text("\nEvents", "bold"), _events(found)]
    if found.problems:
        parts += [Text("\nRecords that could not be used", "bold yellow"), _problems(found)]
    return Group(*parts)


def _heading(found: Timeline) -> Text:
    words = Text.assemble(("Order ", "bold"), (found.order_id, "bold"), "  ", (found.state, "bold cyan"))
    for flag, word in ((found.overdue, "overdue"), (found.abandoned, "abandoned")):
        if flag:
            words.append(f"  {word}", "bold red")
    return words


def _facts(found: Timeline) -> Table:
    outcome = found.outcome
    dimensions = "  ".join(f"{name.removesuffix('_id')} {value}" for name, value in found.dimensions.items() if value)
    table = _table(("", ""), header=False)
    rows = (
        ("where", dimensions or NOTHING),
        ("merchant's number", found.merchant_order_ref),
        ("deadline", _moment(found.deadline)),
        ("expected", _moment(found.eta) if found.eta else ""),
        ("promise kept", _answer(outcome.kept)),
        ("in full", _answer(outcome.in_full)),
        ("first attempt", {True: "delivered", False: "failed", None: NOTHING}[outcome.first_attempt_delivered]),
        ("to delivery", NOTHING if outcome.minutes_to_delivery is None else _minutes(outcome.minutes_to_delivery)),
        ("feedback", _feedback(outcome.score, outcome.nps)),
        ("cost", f"{outcome.cost} {outcome.currency}"),
        ("SLA", _slas(found)),
    )
    for name, value in rows:
        if value:
            table.add_row(Text(name, "dim"), value)
    return table


def _slas(found: Timeline) -> str:
    return ", ".join(f"{life.rule} {words.name(life.state)}" for life in found.sla) or "nothing was at risk or broken"


def _promises(found: Timeline) -> Table:
    table = _table(("said at", "from", "until", "asked by", ""))
    for entry in found.promises:
        effect = entry.effect + (f" ({entry.reason})" if entry.reason else "")
        table.add_row(
            _moment(entry.time), _moment(entry.promised_from), _moment(entry.promised_until), entry.requested_by, effect
        )
    return table


def _stages(found: Timeline) -> Table:
    table = _table(("stage", "from", "to", "took"))
    for stage in found.stages:
        table.add_row(stage.stage, _moment(stage.start), _moment(stage.end), _minutes(stage.minutes))
    return table


def _events(found: Timeline) -> Table:
    table = _table(("time (UTC)", "taken after", "event", "from", "id", "says"))
    for event in found.events:
        name = event.type.removeprefix("milepost.").removesuffix(".v1")
        style = "strike dim" if event.retracted else ("dim" if event.testmode else "")
        table.add_row(
            _moment(event.time),
            _skew(event.skew_seconds),
            Text(name, style),
            event.source,
            event.id,
            _says(event),
        )
    return table


def _problems(found: Timeline) -> Table:
    table = _table(("at", "reason", "from", "id", "detail"))
    for problem in found.problems:
        table.add_row(_moment(problem.appended), problem.reason, problem.source, problem.id, problem.detail)
    return table


def _table(columns: tuple[str, ...], *, header: bool = True) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0), show_header=header)
    for name in columns[:-1]:
        table.add_column(name, no_wrap=True)
    table.add_column(columns[-1], overflow="fold")
    return table


def _says(event: EventEntry) -> Text:
    words = Text()
    if event.retracted:
        words.append("retracted  ", "yellow")
    if event.testmode:
        words.append("test, counts nowhere  ", "yellow")
    if "retracts" in event.data:
        words.append(f"takes back {event.data['retracts']['source']} {event.data['retracts']['id']}  ")
    said = "  ".join(f"{name}={_short(value)}" for name, value in event.data.items() if name not in _SHOWN_ELSEWHERE)
    return words.append(said)


def _short(value: Any) -> str:
    if isinstance(value, dict) and value.keys() == {"amount", "currency"}:
        return f"{value['amount']} {value['currency']}"
    text = f"{len(value)}" if isinstance(value, list) else str(value)
    return text if len(text) <= _MOST_CHARACTERS else text[: _MOST_CHARACTERS - 1] + "…"


def _skew(seconds: float | None) -> Text:
    """How long after it happened an event was taken; marked where that is long, or it came before it happened."""
    if seconds is None:
        return Text(NOTHING)
    odd = seconds < 0 or seconds >= _LATE_SECONDS
    text = f"{seconds:.1f} s" if abs(seconds) < _LATE_SECONDS else _minutes(seconds / 60)
    return Text(text, "yellow" if odd else "")


def _moment(moment: datetime | None) -> str:
    return NOTHING if moment is None else f"{moment:%Y-%m-%d %H:%M:%S}"


def _minutes(minutes: float) -> str:
    if abs(minutes) < 120:
        return f"{minutes:.1f} min"
    if abs(minutes) < 2 * 1440:
        return f"{minutes / 60:.1f} h"
    return f"{minutes / 1440:.1f} d"


def _answer(known: bool | None) -> str:
    return {True: "yes", False: "no", None: NOTHING}[known]


def _feedback(score: int | None, nps: int | None) -> str:
    parts = [f"score {score}" if score is not None else "", f"nps {nps}" if nps is not None else ""]
    return "  ".join(part for part in parts if part)
