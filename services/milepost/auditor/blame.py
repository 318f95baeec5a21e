"""Whose rows are wrong where numbers drift: the orders', the KPI minutes', or only the roll-ups'."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from msgspec import Struct

from milepost.auditor.comparison import Drift
from milepost.auditor.recount import rows
from milepost.auditor.statements import (
    MEASURES,
    Cuts,
    Select,
    costs_select,
    counting_select,
    differences_select,
    measures_select,
)
from milepost.domain.kpis import DAY_US
from milepost.domain.measures import MEASURES as KPI_MEASURES
from milepost.reading.question import Question
from milepost.store.client import Store

MOST_NAMED = 20
MOST_PLACES = 3
"""Combinations of dimensions, and days of each, that are looked into."""
_MINUTE_US = 60_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Layer(StrEnum):
    """Which rows say something else than the log."""

    ORDERS = "orders"
    MINUTES = "minutes"
    ROLL_UPS = "roll-ups"


ADVICE = {
    Layer.ORDERS: "Orders say something else than their events: `milepost rebuild` folds them anew from the log.",
    Layer.MINUTES: "The orders are right, KPI minutes are not: `milepost rebuild` writes them anew.",
    Layer.ROLL_UPS: "Orders and minutes are right, hours or days are not: `milepost rebuild` writes them anew.",
}


class NamedOrder(Struct, frozen=True):
    """An order (or a route, courier or hub with costs) and where its row (``stored``) and its events differ."""

    id: str
    stored: dict[str, int]
    recomputed: dict[str, int]


class Blame(Struct, frozen=True):
    """``layer`` is wrong. ``orders`` are behind it, the first of ``count``; ``minutes`` the first ones in drift."""

    layer: Layer
    advice: str
    count: int
    orders: list[NamedOrder]
    minutes: list[datetime]


def blame(store: Store, question: Question, cuts: Cuts, drift: list[Drift]) -> Blame:
    """What is behind ``drift``, as of ``cuts``.

    Raises:
        StoreError: ClickHouse cannot be asked.
    """
    all_wrong = differences_select(question, cuts)
    first = f"SELECT *, count() OVER () FROM ({all_wrong.sql}) LIMIT {MOST_NAMED}"
    wrong = rows(store, Select(first, all_wrong.parameters))
    if wrong:
        named = [_named(subject, stored, recomputed) for subject, stored, recomputed, _ in wrong]
        return Blame(Layer.ORDERS, ADVICE[Layer.ORDERS], wrong[0][-1], named, [])
    for place, names in _places(question, drift):
        minutes = [
            minute
            for day in _drifted_days(store, place, cuts, names)
            for minute in _drifted(store, day, cuts, names, _MINUTE_US)
        ]
        if minutes:
            ((count, subjects),) = rows(store, counting_select(place, cuts, names, minutes, MOST_NAMED))
            named = [NamedOrder(subject, {}, {}) for subject in subjects]
            moments = [_EPOCH + timedelta(minutes=minute) for minute in minutes[:MOST_NAMED]]
            return Blame(Layer.MINUTES, ADVICE[Layer.MINUTES], count, named, moments)
    layer = Layer.MINUTES if all(" " in one.measure for one in drift) else Layer.ROLL_UPS
    return Blame(layer, ADVICE[layer], 0, [], [])


def _named(subject: str, stored: list[int], recomputed: list[int]) -> NamedOrder:
    pairs = [pair for pair in zip(KPI_MEASURES, stored, recomputed, strict=True) if pair[1] != pair[2]]
    return NamedOrder(subject, {name: one for name, one, _ in pairs}, {name: other for name, _, other in pairs})


def _places(question: Question, drift: list[Drift]) -> Iterator[tuple[Question, list[str]]]:
    """The question narrowed to each combination of dimensions that drifts, and the measures that do."""
    found: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for one in drift:
        found.setdefault(tuple(one.dimensions.items()), []).append(one.measure.split()[0])
    for labels, names in list(found.items())[:MOST_PLACES]:
        where = dict(question.where) | {name: (value,) for name, value in labels}
        yield replace(question, by=(), where=tuple(where.items())), list(dict.fromkeys(names))


def _drifted_days(store: Store, question: Question, cuts: Cuts, names: list[str]) -> Iterator[Question]:
    """The days of the question whose minutes drift."""
    for number in _drifted(store, question, cuts, names, DAY_US)[:MOST_PLACES]:
        start = _EPOCH + timedelta(days=number)
        yield replace(question, start=max(start, question.start), end=min(start + timedelta(days=1), question.end))


def _drifted(store: Store, question: Question, cuts: Cuts, names: list[str], length: int) -> list[int]:
    """The stretches of ``length`` microseconds, counted since 1970, in which minute rows and log differ."""
    recomputed: dict[int, dict[str, int]] = {}
    if any(name in MEASURES for name in names):
        select = measures_select(question, cuts, (f"intDiv(moment.2, {length})",))
        for number, *sums in rows(store, select):
            recomputed[number] = dict(zip(MEASURES, sums[: len(MEASURES)], strict=True))
    if "cost" in names:
        for number, amount in rows(store, costs_select(question, cuts, (f"intDiv(moment, {length})",))):
            recomputed.setdefault(number, {})["cost"] = amount
    streamed = _minutes(store, question, names, length)
    return sorted(
        number
        for number in streamed.keys() | recomputed.keys()
        if any(streamed.get(number, {}).get(name, 0) != recomputed.get(number, {}).get(name, 0) for name in names)
    )


def _minutes(store: Store, question: Question, names: list[str], length: int) -> dict[int, dict[str, int]]:
    parts = ["grain = 'minute'", "minute >= {start:DateTime('UTC')}", "minute < {end:DateTime('UTC')}"]
    parts += [f"{name} IN {{where_{name}:Array(String)}}" for name, _ in question.where]
    parameters = {"start": question.start, "end": question.end} | {
        f"where_{name}": list(values) for name, values in question.where
    }
    sums = ", ".join(f"sum({name})" for name in names)
    sql = (
        f"SELECT intDiv(toUInt32(minute) * 1000000, {length}) AS number, {sums} FROM kpi_store FINAL "
        f"WHERE {' AND '.join(parts)} GROUP BY number"
    )
    return {
        int(number): dict(zip(names, map(int, values), strict=True)) for number, *values in store.query(sql, parameters)
    }
