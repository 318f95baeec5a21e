"""Partitions that wait because too much of what came failed: one row each, the latest decision counts."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from milepost.store import tables
from milepost.store.client import Store

_ROWS = """
SELECT partition, offset, reason, paused_at, resumed_at, version FROM pauses_store FINAL
WHERE empty({partitions:Array(UInt16)}) OR has({partitions:Array(UInt16)}, partition)
ORDER BY partition
"""


@dataclass(frozen=True)
class Pause:
    """A partition that stopped before ``offset``; times in microseconds, ``resumed_at`` 0 while it waits."""

    partition: int
    offset: int
    reason: str
    paused_at: int
    resumed_at: int = 0
    version: int = 0

    @property
    def waits(self) -> bool:
        """Whether nobody has answered yet."""
        return self.resumed_at == 0


def read_pauses(store: Store, partitions: Iterable[int] = ()) -> dict[int, Pause]:
    """The latest pause of each of ``partitions``, of every one if none is named; resumed or not.

    Raises ``StoreError``.
    """
    rows = store.query(_ROWS, {"partitions": list(partitions)})
    return {row[0]: Pause(*row) for row in rows}


def write_pause(store: Store, pause: Pause) -> Pause:
    """Keep that a partition pauses; returns it as kept, later than every decision before. Raises ``StoreError``."""
    return _write(store, pause, read_pauses(store, [pause.partition]).get(pause.partition))


def resume(store: Store, partitions: Iterable[int] = ()) -> list[Pause]:
    """Answer those of ``partitions`` (of all, if none is named) that wait; returns them. Raises ``StoreError``."""
    waiting = [pause for pause in read_pauses(store, partitions).values() if pause.waits]
    return [_write(store, replace(pause, resumed_at=_now()), pause) for pause in waiting]


def _write(store: Store, pause: Pause, before: Pause | None) -> Pause:
    # Clocks differ between machines and step back: the version never does.
    version = max(_now(), before.version + 1 if before else 0)
    kept = replace(pause, version=version)
    row: tuple[Any, ...] = (
        kept.partition,
        kept.offset,
        kept.reason,
        kept.paused_at,
        kept.resumed_at,
        kept.version,
    )
    store.insert(tables.PAUSES, [row])
    return kept


def _now() -> int:
    return time.time_ns() // 1000
