"""The log read back: the facts that follow from the rows of ``events_store``, subject by subject."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import msgspec

from milepost.contracts import catalogue
from milepost.domain import facts as f
from milepost.processor.arrival.intake import belongs
from milepost.store.client import Row, Store

log = logging.getLogger(__name__)

SUBJECTS_A_PAGE = 1_000
"""Subjects read at a time: a page takes a fraction of a second, and flushes go on between pages."""

_BOUNDS = """
SELECT subject FROM (
    SELECT subject, row_number() OVER (ORDER BY subject) AS number FROM (
        SELECT subject FROM events_store WHERE partition = {partition:UInt16} AND testmode = 0
        UNION DISTINCT SELECT order_id AS subject FROM orders_store WHERE partition = {partition:UInt16}
        UNION DISTINCT SELECT subject FROM ledger_store WHERE partition = {partition:UInt16}
    )
)
WHERE number % {step:UInt32} = 0 ORDER BY subject
"""
_EVENTS = """
SELECT subject, type, data, offset, time, source, id, digest FROM events_store FINAL
WHERE partition = {partition:UInt16} AND testmode = 0 AND offset < {cut:UInt64}
    AND subject > {after:String} AND (subject <= {upto:String} OR {upto:String} = '')
ORDER BY offset
"""

Span = tuple[str, str]
"""Subjects after the first and up to the second, in the order of their bytes; up to the end where that is ""."""

_decoders: dict[str, Callable[[bytes], Any]] = {
    name: msgspec.json.Decoder(kind.body).decode for name, kind in catalogue.EVENT_TYPES.items()
}


@dataclass
class Told:
    """What the log says of one subject, in order of offset."""

    orders: list[f.AnyFact] = field(default_factory=list)
    ledger: list[f.AnyFact] = field(default_factory=list)
    unreadable: set[tuple[str, str]] = field(default_factory=set)
    """Identities of events that another release wrote, and this one cannot read."""


def spans(store: Store, partition: int) -> list[Span]:
    """All subjects of ``partition`` that the log, the orders or the ledger know, in pages."""
    parameters = {"partition": partition, "step": SUBJECTS_A_PAGE}
    bounds = ["", *(row[0] for row in store.query(_BOUNDS, parameters)), ""]
    return list(pairwise(bounds))


def told(store: Store, partition: int, span: Span, cut: int) -> dict[str, Told]:
    """What the log of ``partition`` below offset ``cut`` says of the subjects of ``span``."""
    found: dict[str, Told] = {}
    parameters = {"partition": partition, "cut": cut, "after": span[0], "upto": span[1]}
    rows: list[Row] = store.query(_EVENTS, parameters, binary=["data"])
    for subject, kind, text, *rest in rows:
        offset, time, source, identity, digest = rest
        of_subject = found.setdefault(subject, Told())
        try:
            body = _decoders[kind](text)
        except (KeyError, msgspec.DecodeError):
            log.warning("partition %d: the event at offset %d of the log cannot be read", partition, offset)
            of_subject.unreadable.add((source, identity))
            continue
        fact = f.fact_in(kind, body, (offset, time, source, identity, digest))
        in_orders, in_ledger = belongs(kind, body)
        if in_orders:
            of_subject.orders.append(fact)
        if in_ledger:
            of_subject.ledger.append(fact)
    return found
