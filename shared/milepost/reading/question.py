"""A question about KPIs, checked: what is asked, of which window, by and where of which dimensions. No I/O."""

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from milepost.domain.kpis import COST_DIMENSIONS, DIMENSIONS, FORESIGHTS, GAUGES, KPI_NAMES, KPIS, Foresight, Gauge, Kpi
from milepost.domain.windows import COSTLY

COST_KPI = COSTLY
GAUGE_NAMES = tuple(gauge.name for gauge in GAUGES)
FORESIGHT_NAMES = tuple(foresight.name for foresight in FORESIGHTS)
ALL_TIME = "all"
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
"""Where all time begins: no event may be older."""
DEFAULT_WINDOW = "24h"

_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}
_WINDOW = re.compile(r"^(\d{1,6})([mhdw])$")
_MINUTE = timedelta(minutes=1)


class QuestionError(ValueError):
    """The question cannot be understood; ``field`` names the part at fault, as in the API's query parameters."""

    def __init__(self, field: str, detail: str) -> None:
        super().__init__(detail)
        self.field = field


@dataclass(frozen=True)
class Question:
    """KPIs over ``[start, end)``, whole minutes in UTC, one answer row for each combination of the dimensions ``by``.

    ``where`` holds, for each dimension it names, the values that count. ``kpis``, ``gauges`` and ``foresights`` are
    what is asked.
    """

    start: datetime
    end: datetime
    by: tuple[str, ...]
    where: tuple[tuple[str, tuple[str, ...]], ...]
    kpis: tuple[Kpi, ...]
    gauges: tuple[Gauge, ...]
    foresights: tuple[Foresight, ...] = ()

    @property
    def used(self) -> frozenset[str]:
        """Every dimension that the rows read must carry."""
        return frozenset(self.by) | {name for name, _ in self.where}


def ask(
    now: datetime,
    *,
    start: str | None = None,
    end: str | None = None,
    window: str | None = None,
    by: Iterable[str] = (),
    where: Iterable[str] = (),
    kpis: Iterable[str] = (),
) -> Question:
    """The question in people's words. Minutes that have not ended at ``now`` are left out.

    ``start`` and ``end`` are moments with offset, or ``window`` a span before ``end`` (by default now): ``90m``,
    ``24h``, ``30d`` or ``all``; ``where`` are ``dimension=value``, several values of a dimension each count; no
    ``kpis`` stands for all of them but those told from SLAs, which must be named.

    Raises:
        QuestionError: part of it cannot be understood.
    """
    dimensions = tuple(dict.fromkeys(_split(by)))
    for name in dimensions:
        _check(name, (*DIMENSIONS, *COST_DIMENSIONS), "by", "dimension")
    filters = _filters(where)
    opens, closes = _span(now, start, end, window)
    chosen, gauges, foresights = _chosen(tuple(_split(kpis)), {*dimensions, *(name for name, _ in filters)})
    return Question(opens, closes, dimensions, filters, chosen, gauges, foresights)


def parse_moment(text: str, field: str) -> datetime:
    """A moment with offset, in UTC. Raises ``QuestionError`` that says what is missing."""
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise QuestionError(field, f"{text!r} is not a moment; write it like 2026-03-01T00:00:00Z") from None
    if moment.tzinfo is None:
        raise QuestionError(field, f"{text!r} has no offset; write Z for UTC, or one like +01:00")
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise QuestionError(field, f"{text!r} is out of range") from None


def floor_minute(moment: datetime) -> datetime:
    """The minute that holds ``moment``."""
    return moment.replace(second=0, microsecond=0)


def parse_window(text: str) -> timedelta:
    """A span like ``90m``, ``24h``, ``30d``, ``2w``. Raises ``QuestionError``."""
    matched = _WINDOW.match(text.strip())
    if matched is None or int(matched[1]) == 0:
        raise QuestionError("window", f"{text!r} is not a window; write it like 90m, 24h, 30d, or all")
    return int(matched[1]) * _UNITS[matched[2]]


def _span(now: datetime, start: str | None, end: str | None, window: str | None) -> tuple[datetime, datetime]:
    if start is not None and window is not None:
        raise QuestionError("window", "from and window say the same thing twice; give one of them")
    ended = floor_minute(now)
    closes = ended if end is None else parse_moment(end, "to")
    if end is not None and closes != floor_minute(closes):
        raise QuestionError("to", f"{end!r} is not a whole minute")
    if start is not None:
        opens = parse_moment(start, "from")
        if opens != floor_minute(opens):
            raise QuestionError("from", f"{start!r} is not a whole minute")
        if end is not None and opens >= closes:
            raise QuestionError("to", f"{end!r} is not after from, {start!r}")
    elif window == ALL_TIME:
        opens = EARLIEST
    else:
        span = parse_window(window or DEFAULT_WINDOW)
        opens = max(EARLIEST, min(closes, ended) - span) if span < closes - EARLIEST else EARLIEST
    opens = max(opens, EARLIEST)
    closes = min(closes, ended)
    return min(opens, closes), closes


def _split(values: Iterable[str]) -> list[str]:
    return [part.strip() for value in values for part in value.split(",") if part.strip()]


def _check(name: str, known: Sequence[str], field: str, what: str) -> None:
    if name not in known:
        near = difflib.get_close_matches(name, known, 1, 0.6)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
        raise QuestionError(field, f"there is no {what} {name!r}; {hint}")


def _filters(where: Iterable[str]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    values: dict[str, list[str]] = {}
    for text in where:
        name, equals, value = text.partition("=")
        if not equals:
            raise QuestionError("where", f"{text!r} is not dimension=value")
        _check(name.strip(), (*DIMENSIONS, *COST_DIMENSIONS), "where", "dimension")
        values.setdefault(name.strip(), []).append(value.strip())
    return tuple((name, tuple(dict.fromkeys(found))) for name, found in values.items())


def _chosen(names: tuple[str, ...], used: set[str]) -> tuple[tuple[Kpi, ...], tuple[Gauge, ...], tuple[Foresight, ...]]:
    for name in names:
        _check(name, (*KPI_NAMES, *GAUGE_NAMES, *FORESIGHT_NAMES), "kpi", "KPI")
    costly = sorted(used & set(COST_DIMENSIONS))
    if costly:
        others = [name for name in names if name != COST_KPI]
        if others:
            raise QuestionError("kpi", f"{others[0]} has no {costly[0]}; only {COST_KPI} can be asked by it")
        names = (COST_KPI,)
    wanted = set(names) or {*KPI_NAMES, *GAUGE_NAMES}
    return (
        tuple(kpi for kpi in KPIS if kpi.name in wanted),
        tuple(gauge for gauge in GAUGES if gauge.name in wanted),
        tuple(foresight for foresight in FORESIGHTS if foresight.name in wanted),
    )
