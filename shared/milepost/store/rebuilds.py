"""Rebuilds asked for, and what became of them: rows of ``rebuilds_store``, one a partition."""

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from milepost.store import tables
from milepost.store.client import Store

UNKNOWN = (1 << 64) - 1
"""In place of the offset from which the log is complete: it may lack any event."""

_STEPS = 1024
"""Versions between two requests of consecutive microseconds; what is told of a request lies between."""
_OPEN = """
SELECT partition, requested_at, complete_from, version FROM rebuilds_store FINAL
WHERE finished_at = 0 AND partition IN {partitions:Array(UInt16)} ORDER BY partition
"""
_TOLD = """
SELECT partition, finished_at, orders, orders_changed, orders_unlogged, minutes_changed FROM rebuilds_store FINAL
WHERE requested_at = {requested_at:Int64} AND partition IN {partitions:Array(UInt16)} ORDER BY partition
"""

_KNOWN = "SELECT DISTINCT partition FROM kpi_store WHERE grain = 'cut' ORDER BY partition"
_QUIET = "SELECT partition FROM progress_store FINAL WHERE checked_at < {since:Int64} ORDER BY partition"


class Request(NamedTuple):
    """A rebuild that is to be done; ``complete_from`` is the offset from which the log is known to be complete."""

    partition: int
    requested_at: int
    complete_from: int
    version: int


class Progress(NamedTuple):
    """How far a rebuild is; moments in microseconds, 0 where it is not finished."""

    partition: int
    finished_at: int
    orders: int
    orders_changed: int
    orders_unlogged: int
    minutes_changed: int


def ask(store: Store, complete_from: dict[int, int]) -> int:
    """Ask for a rebuild of each partition, with the offset from which its log is complete; gives when, for ``told``."""
    now = time.time_ns() // 1000
    rows = [(number, now, offset, 0, 0, 0, 0, 0, now * _STEPS) for number, offset in complete_from.items()]
    store.insert(tables.REBUILDS, rows)
    return now


def known_partitions(store: Store) -> list[int]:
    """The partitions of which anything is stored."""
    return [row[0] for row in store.query(_KNOWN)]


def quiet_partitions(store: Store, seconds: float) -> list[int]:
    """The partitions that no worker has told its progress of for so long."""
    since = time.time_ns() // 1000 - int(seconds * 1e6)
    return [row[0] for row in store.query(_QUIET, {"since": since})]


def told(store: Store, requested_at: int, partitions: Sequence[int]) -> list[Progress]:
    """How far the rebuilds asked for at ``requested_at`` are; a partition asked for again since is not among them."""
    rows = store.query(_TOLD, {"requested_at": requested_at, "partitions": list(partitions)})
    return [Progress(*row) for row in rows]


def open_requests(store: Store, partitions: Sequence[int]) -> dict[int, Request]:
    """What is asked for of ``partitions`` and not finished."""
    rows = store.query(_OPEN, {"partitions": list(partitions)})
    return {row[0]: Request(*row) for row in rows}


def report_row(request: Request, figures: tuple[int, int, int, int], *, finished: bool) -> tuple[Any, ...]:
    """The row that tells how far ``request`` is: orders looked at, changed, with facts not in the log; minutes."""
    first = request.requested_at * _STEPS
    version = first + _STEPS - 1 if finished else min(request.version + 1, first + _STEPS - 2)
    done = time.time_ns() // 1000 if finished else 0
    return (request.partition, request.requested_at, request.complete_from, done, *figures, version)
