"""Geometry of the charts, in a box 100 wide and 100 high that the page stretches. Pure.

No chart library: those that draw SVG here bring colours in inline styles, which the pages' policy refuses and a dark
screen cannot change; what is left to draw is rectangles and a line.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor, log10

BOX = 100.0
_GAP = 0.18
"""Share of a column's place that stays empty."""

_MINUTES = (1, 2, 4, 6, 10, 20, 30, 40, 60, 90, 120, 240, 360, 480, 720, 1440, 2880, 5760)

Value = float | None


@dataclass(frozen=True)
class Column:
    """A column of a chart; ``number`` is its place."""

    number: int
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Chart:
    """What to draw: columns, a line in pieces as an SVG path (another where unknown), and the value at the top."""

    top: float
    columns: tuple[Column, ...] = ()
    line: str = ""


def columns_and_line(values: Sequence[Value], line: Sequence[Value] = ()) -> Chart:
    """Columns for ``values``, and a stair of ``line`` over the same places, up to a round number."""
    top = round_top(max((value for value in (*values, *line) if value is not None), default=0.0))
    place = BOX / (len(values) or 1)
    found = tuple(
        Column(number, _n(number * place + place * _GAP / 2), _n(BOX - high), _n(place * (1 - _GAP)), _n(high))
        for number, high in enumerate(_heights(values, top))
        if high is not None
    )
    steps: list[str] = []
    pen_down = False
    for number, high in enumerate(_heights(line, top)):
        if high is None:
            pen_down = False
            continue
        steps.append(f"{'L' if pen_down else 'M'}{_n(number * place)} {_n(BOX - high)}H{_n((number + 1) * place)}")
        pen_down = True
    return Chart(top, found, "".join(steps))


def line_through(values: Sequence[Value], top: float) -> Chart:
    """A line through the middles of the places of ``values``, broken where unknown, up to ``top``."""
    place = BOX / (len(values) or 1)
    steps: list[str] = []
    pen_down = False
    for number, high in enumerate(_heights(values, top)):
        if high is None:
            pen_down = False
            continue
        # A stroke of no length shows as a dot, so that a value between two unknown ones is seen.
        steps.append(
            f"{'L' if pen_down else 'M'}{_n((number + 0.5) * place)} {_n(BOX - high)}{'' if pen_down else 'h0'}"
        )
        pen_down = True
    return Chart(top, line="".join(steps))


def stacked(parts: Sequence[float]) -> tuple[tuple[float, float], ...]:
    """Start and width of each part in a bar as wide as the box."""
    lengths = [max(0.0, part) for part in parts]
    whole = sum(lengths)
    found, start = [], 0.0
    for part in lengths:
        width = BOX * part / whole if whole else 0.0
        found.append((_n(start), _n(width)))
        start += width
    return tuple(found)


def round_top(value: float) -> float:
    """The smallest of 1, 2, 4, 5, 6, 8 × 10ⁿ that is not below ``value``, whose half reads well; 1 for nothing."""
    if value <= 0:
        return 1.0
    size: float = 10.0 ** floor(log10(value))
    return next(factor * size for factor in (1, 2, 4, 5, 6, 8, 10) if factor * size >= value * (1 - 1e-12))


def round_minutes(value: float) -> float:
    """The smallest duration, in minutes, that reads well with its half and is not below ``value``."""
    return next((top for top in _MINUTES if top >= value), 1440 * round_top(value / 1440))


def _heights(values: Sequence[Value], top: float) -> list[Value]:
    return [None if value is None else BOX * max(0.0, min(value, top)) / top for value in values]


def _n(value: float) -> float:
    """A number short enough for a page."""
    return round(value, 2)
