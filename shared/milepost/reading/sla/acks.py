"""Acknowledging: somebody took note of an SLA that is open, and others need not."""

import time
from collections.abc import Sequence

from milepost.contracts.event import micros
from milepost.domain.sla.words import RULES
from milepost.reading.question import QuestionError
from milepost.reading.sla.lives import Ack, SlaLife
from milepost.reading.sla.orders import read_lives
from milepost.store import tables
from milepost.store.client import Store

MOST_CHARACTERS = 1_000
"""Of a note."""


def acknowledge(store: Store, order_id: str, by: str, note: str = "", rule: str | None = None) -> Sequence[SlaLife]:
    """Keep that ``by`` took note of the order's open SLAs, or of the one by ``rule``, as they stand; returns those.

    An acknowledgement counts for the state it was given in: of a breach somebody has to take note again. A later one of
    the same state takes the place of the earlier.

    Raises:
        QuestionError: no such rule, no name, or a note that is too long or no line of text.
        StoreError: ClickHouse cannot be asked.
    """
    if rule is not None and rule not in RULES:
        raise QuestionError("rule", f"there is no rule {rule!r}; there are {', '.join(RULES)}")
    by, note = by.strip(), note.strip()
    if not by:
        raise QuestionError("by", "say who takes note")
    for field, text in (("by", by), ("note", note)):
        if not text.isprintable():
            raise QuestionError(field, "must be one line of printable characters")
    if len(note) > MOST_CHARACTERS:
        raise QuestionError("note", f"may have {MOST_CHARACTERS} characters")
    meant = [life for life in read_lives(store, order_id) if life.open and rule in (None, life.rule)]
    now = time.time_ns() // 1000
    # The latest counts, also where a clock stepped back since the one before.
    rows = [
        (order_id, life.rule, micros(life.base), life.state, max(now, _after(life.acknowledged)), by, note)
        for life in meant
    ]
    store.insert(tables.SLA_ACKS, rows)
    return meant


def _after(ack: Ack | None) -> int:
    return micros(ack.at) + 1 if ack else 0
