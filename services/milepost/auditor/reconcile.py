"""Reconciling: the KPIs recomputed from the log against the streaming numbers, over any window and dimensions."""

import time
from dataclasses import replace
from datetime import datetime

from msgspec import Struct

from milepost.auditor.blame import Blame, blame
from milepost.auditor.comparison import Drift, differences
from milepost.auditor.recount import recount
from milepost.auditor.streamed import await_stored, frozen_until, read_with_cuts
from milepost.reading.question import Question
from milepost.store.client import Store

RECOUNT_SECONDS = 600
"""Longest time one query of a recount may take."""
SETTLE_SECONDS = 60.0
"""Longest wait for what was on the topic to be stored."""


class Reconciliation(Struct, frozen=True, rename={"start": "from", "end": "to"}):
    """What came of it: ``compared`` numbers over ``[from, to)``, of which ``drift`` differ and stay so.

    ``frozen_until`` is set where the asked window begins before it: those minutes were left out. ``events`` are those
    of the log that were in the numbers. Where there is drift, ``behind`` says whose rows are wrong.
    """

    as_of: datetime
    start: datetime
    end: datetime
    by: tuple[str, ...]
    where: dict[str, tuple[str, ...]]
    frozen_until: datetime | None
    compared: int
    seconds: float
    drift: list[Drift]
    behind: Blame | None


def reconcile(
    store: Store, question: Question, now: datetime, settle_seconds: float = SETTLE_SECONDS
) -> Reconciliation:
    """Compare; what differs is compared again once the partitions have moved on, and only what differs then is drift.

    Raises:
        TooBusyError: the numbers change faster than they can be read.
        StoreError: ClickHouse cannot be asked.
    """
    began = time.monotonic()
    frozen = frozen_until(store)
    touched = frozen if frozen is not None and question.start < frozen else None
    if touched is not None:
        question = replace(question, start=min(touched, question.end))
    compared = 0
    drift: list[Drift] = []
    cuts: dict[int, int] = {}
    if question.start < question.end:
        compared, drift, cuts = _compare(store, question)
    if drift:
        await_stored(store, settle_seconds)
        seen = {one.place for one in drift}
        compared, again, cuts = _compare(store, question)
        drift = [one for one in again if one.place in seen]
    behind = blame(store, question, cuts, drift) if drift else None
    return Reconciliation(
        as_of=now,
        start=question.start,
        end=question.end,
        by=question.by,
        where=dict(question.where),
        frozen_until=touched,
        compared=compared,
        seconds=round(time.monotonic() - began, 3),
        drift=drift,
        behind=behind,
    )


def _compare(store: Store, question: Question) -> tuple[int, list[Drift], dict[int, int]]:
    streamed, cuts = read_with_cuts(store, question)
    return (*differences(question, streamed, recount(store, question, cuts)), dict(cuts))
