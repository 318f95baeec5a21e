"""From looks to what a template draws: tiles, bars and charts with their words. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from milepost.domain.measures import STAGES
from milepost.insights.control_room.charts import (
    Chart,
    columns_and_line,
    line_through,
    round_minutes,
    round_top,
    stacked,
)
from milepost.insights.control_room.looks import Overview, Rows, StepRows, View
from milepost.insights.control_room.ranking import RANKED_BY, Hub
from milepost.insights.control_room.words import (
    DEFINITIONS,
    NOTHING,
    TITLES,
    Clock,
    Definition,
    axis_minutes,
    count,
    minutes,
    share,
    shown,
)
from milepost.reading.rows import KpiRow
from milepost.reading.timeline import EventEntry, Stage

RATIOS = ("promise_kept", "otif", "on_time", "first_attempt_success")
NOW = ("overdue_orders", "open_orders", "orphan_orders")


@dataclass(frozen=True)
class Tile:
    """A number with everything that says what it is; ``exact`` is what programs read, None where nothing is known.

    ``beside`` is what to hold it against: the same hour last week, and an objective once there is one.
    """

    name: str
    title: str
    value: str
    exact: float | int | None
    of: str
    meaning: Definition | None
    beside: tuple[str, ...] = ()
    state: str = ""


@dataclass(frozen=True)
class Part:
    """A part of a bar: what it stands for, how many, from where it reaches how far."""

    key: str
    title: str
    number: int
    share: str
    x: float
    width: float


@dataclass(frozen=True)
class StageBar:
    """A stage with its mean as a bar; ``width`` is in per cent of the longest p90, ``p90`` where that lies."""

    stage: str
    row: KpiRow
    width: float
    p90: float
    mean_text: str
    p50_text: str
    p90_text: str
    meaning: Definition


@dataclass(frozen=True)
class Point:
    """A step of the time series in words, for tooltips and the table behind a chart."""

    label: str
    said: tuple[str, ...]
    partial: bool


@dataclass(frozen=True)
class Series:
    """A chart with its words."""

    name: str
    title: str
    chart: Chart
    top: str
    half: str
    columns: tuple[str, ...]
    points: tuple[Point, ...]
    labels: tuple[str, ...]
    meaning: Definition
    has_before: bool = False


def now_tiles(rows: Rows) -> list[Tile]:
    """The gauges."""
    return [
        Tile(
            name,
            TITLES[name],
            shown(rows[name]),
            rows[name].numerator,
            "orders now",
            DEFINITIONS[name],
            # Late is late by its definition: no target is needed to say so.
            state="attention" if name == "overdue_orders" and rows[name].numerator else "",
        )
        for name in NOW
        if name in rows
    ]


def ratio_tile(row: KpiRow) -> Tile:
    """A share with the orders behind it, what is known of them, and how high it would be were the unknown good."""
    kpi = DEFINITIONS[row.kpi]
    denominator = getattr(kpi, "denominator_text", "orders")
    of = (
        f"{count(row.numerator)} of {count(row.denominator)} {denominator}"
        if row.denominator
        else f"none {denominator}"
    )
    beside = []
    if row.coverage is not None and row.coverage < 1:
        beside.append(f"known for {share(row.coverage)}")
        if isinstance(row.high, float) and row.high != row.value:
            beside.append(f"{share(row.high)} were the unknown good")
    return Tile(row.kpi, TITLES[row.kpi], shown(row), row.value, of, kpi, tuple(beside))


def duration_tile(row: KpiRow) -> Tile:
    """The delivery time: the median, with the tail and the mean beside."""
    beside = []
    if row.value is not None:
        beside = [f"p90 {minutes(row.p90)}", f"mean {minutes(row.mean)}"]
        if row.coverage is not None and row.coverage < 1:
            beside.append(f"known for {share(row.coverage)}")
    of = f"median of {count(row.denominator)} delivered" if row.denominator else "none delivered"
    exact = row.p50 if isinstance(row.p50, float) else None
    return Tile(row.kpi, TITLES[row.kpi], minutes(row.p50), exact, of, DEFINITIONS[row.kpi], tuple(beside))


def pace_tile(found: Overview) -> Tile:
    """Deliveries of the last hour against the same hour last week."""
    pace = found.pace
    if pace.before is None:
        beside = "nothing on record a week before"
    elif pace.before == 0:
        beside = "none in the same hour last week"
    else:
        change = 100 * (pace.now - pace.before) / pace.before
        beside = f"{count(pace.before)} in the same hour last week ({change:+.0f} %)".replace("-", "−")
    return Tile(
        "pace", "Deliveries in the last hour", count(pace.now), pace.now, "orders", DEFINITIONS["on_time"], (beside,)
    )


def outcome(rows: Rows) -> Sequence[Part]:
    """What became of the orders that were due: good, unknown, short or damaged, not in time. Empty where none was."""
    kept, otif = rows["promise_kept"], rows["otif"]
    due = kept.denominator or 0
    if not due:
        return []
    high = otif.high if isinstance(otif.high, float) else (otif.numerator / due)
    unknown = round(high * due) - int(otif.numerator)
    numbers = {
        "good": ("On time and in full", int(otif.numerator)),
        "unknown": ("On time, unknown if in full", unknown),
        "short": ("On time, short or damaged", int(kept.numerator - otif.numerator) - unknown),
        "late": ("Not in time, or never", due - int(kept.numerator)),
    }
    places = stacked([number for _, number in numbers.values()])
    return [
        Part(key, title, number, share(number / due), x, width)
        for (key, (title, number)), (x, width) in zip(numbers.items(), places, strict=True)
    ]


def stage_bars(rows: Rows) -> Sequence[StageBar]:
    """Where the minutes go, in the order of an order's way."""
    found = [(stage, rows[f"stage_time {stage}"]) for stage in STAGES if f"stage_time {stage}" in rows]
    longest = max(
        (value for _, row in found for value in (row.p90, row.value) if isinstance(value, float)), default=0.0
    )

    def length(value: object) -> float:
        return round(100 * value / longest, 2) if isinstance(value, float) and longest else 0.0

    return [
        StageBar(
            stage,
            row,
            length(row.value),
            length(row.p90),
            minutes(row.value),
            minutes(row.p50 if row.value is not None else None),
            minutes(row.p90 if row.value is not None else None),
            DEFINITIONS[f"stage_time {stage}"],
        )
        for stage, row in found
    ]


def all_series(steps: Sequence[StepRows], view: View, clock: Clock) -> list[Series]:
    """The three charts: how many, how well, how long."""
    return [_deliveries(steps, view, clock), _kept(steps, view, clock), _duration(steps, view, clock)]


def _deliveries(steps: Sequence[StepRows], view: View, clock: Clock) -> Series:
    before = [step.before for step in steps]
    has_before = any(number is not None for number in before)
    chart = columns_and_line([step.delivered for step in steps], before if has_before else ())
    said = [(count(step.delivered), *((count(step.before),) if has_before else ())) for step in steps]
    heads = ("Delivered", *(("A week before",) if has_before else ()))
    points = _points(steps, view, clock, said)
    return Series(
        "deliveries", f"Deliveries, {view.step_title}", chart, count(chart.top), _half(chart.top), heads, points,
        _labels(steps, view, clock), DEFINITIONS["on_time"], has_before,
    )  # fmt: skip


def _kept(steps: Sequence[StepRows], view: View, clock: Clock) -> Series:
    rows = [step.rows["promise_kept"] for step in steps]
    chart = line_through([row.value for row in rows], 1.0)
    said = [(shown(row), count(row.denominator)) for row in rows]
    return Series(
        "kept", f"Promises kept, {view.step_title} by deadline", chart, "100 %", "50 %",
        ("Promises kept", "Orders due"), _points(steps, view, clock, said), _labels(steps, view, clock),
        DEFINITIONS["promise_kept"],
    )  # fmt: skip


def _duration(steps: Sequence[StepRows], view: View, clock: Clock) -> Series:
    rows = [step.rows["delivery_time"] for step in steps]
    longest = max((row.value for row in rows if row.value is not None), default=0.0)
    chart = line_through([row.value for row in rows], round_minutes(longest))
    said = [(shown(row), count(row.denominator)) for row in rows]
    return Series(
        "duration", f"Mean delivery time, {view.step_title} by delivery", chart, axis_minutes(chart.top),
        axis_minutes(chart.top / 2), ("Mean delivery time", "Delivered"), _points(steps, view, clock, said),
        _labels(steps, view, clock), DEFINITIONS["delivery_time"],
    )  # fmt: skip


def _points(steps: Sequence[StepRows], view: View, clock: Clock, said: Sequence[tuple[str, ...]]) -> tuple[Point, ...]:
    return tuple(
        Point(
            f"{clock.minute(step.step.start)} to {clock.minute(step.step.end)}",
            words,
            step.step.end - step.step.start < view.step,
        )
        for step, words in zip(steps, said, strict=True)
    )


def _labels(steps: Sequence[StepRows], view: View, clock: Clock) -> tuple[str, ...]:
    """What stands below the axis, each at the left end of an equal part of it."""
    groups = 7 if view.steps % 7 == 0 else 4
    starts = [step.step.start for step in steps][:: len(steps) // groups]
    if groups == 7:
        return tuple(clock.day(start) for start in starts)
    return tuple(f"{start.astimezone(clock.zone):%H:%M}" for start in starts)


def _half(top: float) -> str:
    return count(top / 2) if top >= 2 else ""


@dataclass(frozen=True)
class HubLine:
    """A hub in the ranking: the broken share as a bar and where it likely lies, in per cent of ``top``.

    ``broken`` is None where nothing was due; ``likely`` is the interval of the kept share in words.
    """

    hub_id: str
    rows: Rows
    top: float
    broken: float | None
    reach: tuple[float, float]
    likely: str


def hub_lines(hubs: Sequence[Hub]) -> list[HubLine]:
    """The ranking as lines, all bars on one scale."""
    known = [
        (1 - row.value, 1 - hub.likely.low)
        for hub in hubs
        if (row := hub.rows.get(RANKED_BY)) and row.value is not None and hub.likely is not None
    ]
    # Room for the lines, too, but not for that of a hub with three orders: it would make all bars short.
    worst, reach = (max((pair[number] for pair in known), default=0.0) for number in (0, 1))
    top = min(1.0, round_top(min(reach, 2 * worst)))

    def line(hub: Hub) -> HubLine:
        row = hub.rows.get(RANKED_BY)
        if hub.likely is None or row is None or row.value is None:
            return HubLine(hub.hub_id, hub.rows, top, None, (0.0, 0.0), "")
        broken, low, high = (
            round(max(0.0, min(100.0, 100 * (1 - share) / top)), 2)
            for share in (row.value, hub.likely.high, hub.likely.low)
        )
        said = f"{100 * hub.likely.low:.0f}–{100 * hub.likely.high:.0f} %"
        return HubLine(hub.hub_id, hub.rows, top, broken, (low, high), said)

    return [line(hub) for hub in hubs]


def known_beside(rows: Mapping[str, KpiRow], name: str) -> str:
    """For a table: the share of orders of which it is known, where that is not all of them."""
    row = rows.get(name)
    if row is None or row.coverage is None or row.coverage == 1:
        return ""
    return f"known for {share(row.coverage)}"


def shown_of(rows: Mapping[str, KpiRow], name: str) -> str:
    """The value of a row that may not be there."""
    return shown(rows.get(name)) if name in rows else NOTHING


def gantt(stages: Sequence[Stage]) -> list[tuple[Stage, float, float]]:
    """Each stage with its start and width in the time from the first's start to the last's end, in per cent."""
    opens = min(stage.start for stage in stages)
    whole = (max(stage.end for stage in stages) - opens).total_seconds() or 1.0
    return [
        (
            stage,
            round(100 * (stage.start - opens).total_seconds() / whole, 2),
            round(max(0.5, 100 * (stage.end - stage.start).total_seconds() / whole), 2),
        )
        for stage in stages
    ]


def skew(seconds: float | None) -> str:
    """How long after it happened an event was taken."""
    if seconds is None:
        return NOTHING
    return f"{seconds:.1f} s" if abs(seconds) < 60 else minutes(seconds / 60)


def says(event: EventEntry) -> str:
    """What an event says besides whose it is."""
    parts = []
    for name, value in event.data.items():
        if name == "order_id":
            continue
        if isinstance(value, list):
            said = f"{len(value)}"
        elif isinstance(value, dict):
            said = " ".join(str(part) for part in value.values())
        else:
            said = str(value)
        parts.append(f"{name} {said}")
    return ", ".join(parts)
