"""The numbers as people read them, together with how far each partition was when they were read."""

import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from milepost.auditor.statements import Cuts, reason_measure, statement
from milepost.domain.kpis import COST_DIMENSIONS, DAY_US
from milepost.reading.question import Question
from milepost.reading.reasons import read_reasons
from milepost.reading.sums import Labels, Sums, read
from milepost.store.client import Store

_CUTS = "SELECT partition, max(version) FROM kpi_store WHERE grain = 'cut' GROUP BY partition"
_PROGRESS = "SELECT partition, next_offset, end_offset FROM progress_store FINAL"
_TRIES = 40
_PAUSE_SECONDS = 0.25
_LOOK_SECONDS = 0.2


class TooBusyError(Exception):
    """The numbers change faster than they can be read: ask again later, or for less."""


def cuts(store: Store) -> dict[int, int]:
    """Per partition, the offset below which everything is in the numbers."""
    return {int(partition): int(offset) for partition, offset in store.query(_CUTS)}


def read_with_cuts(store: Store, question: Question) -> tuple[dict[Labels, Sums], Cuts]:
    """The sums, and exactly how much of the log is in them.

    A flush shows its rows and its cut at once, so what was read between two looks at the same cuts is as of these.

    Raises:
        TooBusyError: there was no such moment.
        StoreError: ClickHouse cannot be asked.
    """
    before = cuts(store)
    for _ in range(_TRIES):
        found = _read(store, question)
        after = cuts(store)
        if after == before:
            return found, before
        # The next flush is the furthest away just after one.
        before = _next_cuts(store, after)
    raise TooBusyError("the numbers change faster than they can be read; ask for a shorter window or fewer dimensions")


def _read(store: Store, question: Question) -> dict[Labels, Sums]:
    """The sums, and beside them how often each reason was given."""
    found = read(store, question)
    if not set(question.by) & set(COST_DIMENSIONS):
        for labels, reasons in read_reasons(store, question).items():
            named = {reason_measure(*reason): given for reason, given in reasons.items()}
            found.setdefault(labels, Sums()).measures.update(named)
    return found


def _next_cuts(store: Store, known: Cuts) -> dict[int, int]:
    deadline = time.monotonic() + _PAUSE_SECONDS
    while (found := cuts(store)) == known and time.monotonic() < deadline:
        time.sleep(_LOOK_SECONDS / 10)
    return found


def await_stored(store: Store, seconds: float) -> bool:
    """Wait until every partition has stored what was on the topic when this was called; a second where that is so.

    Returns False where it took longer than ``seconds``.
    """
    told = {int(row[0]): (int(row[1]), int(row[2])) for row in store.query(_PROGRESS)}
    if all(stored >= end for stored, end in told.values()):
        time.sleep(1.0)
        return True
    deadline = time.monotonic() + seconds
    while not _reached(cuts(store), {partition: end for partition, (_, end) in told.items()}):
        if time.monotonic() > deadline:
            return False
        time.sleep(_LOOK_SECONDS)
    return True


def _reached(found: Cuts, wanted: Mapping[int, int]) -> bool:
    return all(found.get(partition, 0) >= offset for partition, offset in wanted.items())


def frozen_until(store: Store) -> datetime | None:
    """The day before which nothing can be recomputed, as orders that counted there have expired; None: none has."""
    ((last,),) = store.query(statement("frozen"))
    if not last:
        return None
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=int(last) // DAY_US + 1)
