"""Writing a flush, in the order that makes a crash at any point harmless."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from milepost.processor.arrival.intake import Rejected
from milepost.processor.patience import patiently
from milepost.processor.sla.raised import last_told
from milepost.processor.sla.telling import sla_row
from milepost.processor.sla.watch import Told
from milepost.processor.state.partition import Batch
from milepost.processor.writing.letters import letter_rows
from milepost.store import tables
from milepost.store.client import MOST_ROWS, Store
from milepost.store.errors import SinkRefusedError

PublishDeadLetters = Callable[[Sequence[Rejected]], Awaitable[None]]
PublishSlas = Callable[[Sequence[Told]], Awaitable[None]]


async def _to_nobody(_told: Sequence[Told]) -> None:
    """Where there is no broker."""


class Sink:
    """The store as the processor writes it. Rows are absolute states with versions: repeating them changes nothing."""

    def __init__(
        self, store: Store, publish_dead_letters: PublishDeadLetters, publish_slas: PublishSlas = _to_nobody
    ) -> None:
        self._store = store
        self._publish_dead_letters = publish_dead_letters
        self._publish_slas = publish_slas
        self._telling = asyncio.Lock()
        self._detected = 0

    async def write(self, batch: Batch) -> None:
        """Write everything in ``batch``; returns once all of it is stored.

        First what may be repeated or be ahead, then the KPI rows of a partition with its cut in one insert, which is
        seen whole or not at all: from then on the flush has happened. Waits while the store is away.
        """
        letters = await letter_rows(self._store, batch.rejected) if batch.rejected else []
        await asyncio.gather(
            self._insert(tables.EVENTS, batch.events),
            self._insert(tables.PERSONAL, batch.personal),
            self._insert(tables.ORDERS, batch.orders),
            self._insert(tables.LEDGER, batch.ledger),
            self._insert(tables.DEAD_LETTERS, letters),
        )
        if batch.rejected:
            # Before the cuts pass them by: a crash then repeats them, the other way round it would lose them.
            await self._publish_dead_letters(batch.rejected)
        if batch.told:
            await self.tell(batch.told)
        if len(batch.kpis) <= MOST_ROWS:
            await self._insert(tables.KPIS, batch.kpis)
        else:
            for rows in by_partition(batch.kpis):
                await self._insert(tables.KPIS, rows)

    async def tell(self, told: Sequence[tuple[Told, int]]) -> None:
        """Store what SLAs have reached, each with its partition, then publish it; in the order of the calls.

        A crash between the two is made good by whoever takes the partitions over (``repeat``).
        """
        async with self._telling:
            # Also where a clock was put back what was stored last is what was detected last.
            self._detected = max(time.time_ns() // 1000, self._detected + 1)
            await self._insert(tables.SLA_EVENTS, [sla_row(one, partition, self._detected) for one, partition in told])
            await self._publish_slas([one for one, _ in told])

    async def repeat(self, partitions: Sequence[int]) -> None:
        """Publish, under the same ids, what was stored last of partitions: its writer may have died before it did."""
        async with self._telling:
            told, detected = await last_told(self._store, partitions)
            self._detected = max(self._detected, detected)
            if told:
                await self._publish_slas(told)

    async def insert(self, table: tables.Table, rows: list[tuple[Any, ...]]) -> None:
        """Write rows of one table, outside of a flush."""
        await self._insert(table, rows)

    async def write_progress(self, rows: list[tuple[Any, ...]]) -> None:
        """Write how far each partition is."""
        await self._insert(tables.PROGRESS, rows)

    async def _insert(self, table: tables.Table, rows: list[tuple[Any, ...]]) -> None:
        if rows:
            await patiently(self._store.insert, table, rows, writes=True)


_PARTITION = list(tables.KPIS.columns).index("partition")


def by_partition(kpis: list[tuple[Any, ...]]) -> list[list[tuple[Any, ...]]]:
    """KPI rows and cuts, apart by partition, each to be one insert.

    Raises ``SinkRefusedError`` where the rows of one are still too many for that.
    """
    parts: dict[int, list[tuple[Any, ...]]] = {}
    for row in kpis:
        parts.setdefault(row[_PARTITION], []).append(row)
    for number, rows in parts.items():
        if len(rows) > MOST_ROWS:
            raise SinkRefusedError(f"partition {number}: {len(rows)} KPI rows in one flush are too many for one insert")
    return list(parts.values())
