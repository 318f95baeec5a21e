"""KPIs over time: the sums of each step of a window, in one query."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from milepost.reading.question import EARLIEST, Question
from milepost.reading.spans import HOUR, Span, condition, rollup, spans
from milepost.reading.sums import Select, Sums, measure_names, rows_of
from milepost.store.client import Store


@dataclass(frozen=True)
class Step:
    """What counts in ``[start, end)``; ``end`` is cut where the question ends."""

    start: datetime
    end: datetime
    sums: Sums


def floor_step(moment: datetime, step: timedelta) -> datetime:
    """The start of the step that holds ``moment``; steps are counted from midnight UTC of 1970-01-01."""
    return moment - (moment - datetime.fromtimestamp(0, UTC)) % step


def read_steps(store: Store, question: Question, step: timedelta) -> list[Step]:
    """The steps of the question's window in their order, also those in which nothing counted.

    Measures alone: no histograms, no costs. ``step`` is a number of whole minutes; ``question`` is by no dimension.

    Raises:
        StoreError: ClickHouse cannot be asked.
    """
    measures = measure_names(question.kpis)
    found: Mapping[int, Sums] = {}
    if question.start < question.end and measures:
        select = steps_select(question, measures, step)
        found = {
            int(at): Sums(dict(zip(measures, map(int, values), strict=True)))
            for at, *values in store.query(select.sql, select.parameters)
        }
    steps = []
    start = floor_step(question.start, step)
    while start < question.end:
        sums = found.get(int(start.timestamp()), Sums())
        steps.append(Step(max(start, question.start), min(start + step, question.end), sums))
        start += step
    return steps


def is_on_record(store: Store, moment: datetime) -> bool:
    """Whether anything that happened before ``moment`` is known: only then a count of none means that there was none.

    Raises:
        StoreError: ClickHouse cannot be asked.
    """
    (span,) = spans(EARLIEST, floor_step(moment, HOUR), frozenset())
    return bool(store.query(f"SELECT 1 FROM kpi_store PREWHERE {condition((span,))} AND component = '' LIMIT 1"))


def steps_select(question: Question, measures: tuple[str, ...], step: timedelta) -> Select:
    """Sums of ``measures`` by the start of their step, in seconds since 1970."""
    seconds = int(step.total_seconds())
    where, parameters = rows_of(question, among=_spans(question, step))
    sums = ", ".join(f"sum({name}) AS sum_{name}" for name in measures)
    at = f"intDiv(toUnixTimestamp(minute), {seconds}) * {seconds}"
    return Select(f"SELECT {at} AS at, {sums} FROM kpi_store FINAL PREWHERE {where} GROUP BY at", parameters)


def _spans(question: Question, step: timedelta) -> tuple[Span, ...]:
    """Roll-ups where a step is made of whole ones, else the minutes."""
    _, rolled = rollup(question.used)
    if step % rolled == timedelta(0):
        return spans(question.start, question.end, question.used)
    return (Span("minute", question.start, question.end),)
