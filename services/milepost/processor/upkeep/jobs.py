"""What a worker does for its partitions beside the flow, between two flushes: rebuilds asked for, and retention."""

import logging
import time
from collections.abc import AsyncIterator, Mapping
from typing import Protocol

from milepost.processor.patience import patiently
from milepost.processor.report import Report
from milepost.processor.state.partition import Partition
from milepost.processor.upkeep.rebuild import Insert, Rebuild
from milepost.processor.upkeep.retention import Retention
from milepost.processor.upkeep.tenure import writers
from milepost.settings import Settings
from milepost.store.client import Store
from milepost.store.rebuilds import Request, open_requests, report_row
from milepost.store.tables import REBUILDS

log = logging.getLogger(__name__)

LOOK_SECONDS = 2.0
"""Between two looks for rebuilds asked for."""
TURN_SECONDS = 0.5
"""Longest time that pages are done for before the next flush; one page more may be under way."""
TELL_SECONDS = 2.0
RETENTION_AFTER_SECONDS = 60.0
"""From a partition's assignment to the first time its orders are expired; then every day."""
DAY_SECONDS = 86_400.0


class Job(Protocol):
    """Something done to a partition page by page."""

    partition: Partition

    def pages(self) -> AsyncIterator[None]:
        """Do it; between two pages flushes may happen."""
        ...


class Mending:
    """A rebuild of a partition that others have written to while it was ours."""

    def __init__(self, store: Store, insert: Insert, partition: Partition, most: int) -> None:
        self.partition = partition
        self._store = store
        self._rebuild = Rebuild(store, insert, partition, most=most)

    async def pages(self) -> AsyncIterator[None]:
        """Do it; between two pages flushes may happen."""
        partition, number = self.partition, self.partition.number
        log.warning("partition %d: another worker has written to it while it was ours, rebuilding", number)
        since = dict(partition.tenure.others)
        async for _ in self._rebuild.pages():
            yield
        partition.tenure.mended((await patiently(writers, self._store, [number]))[number], since)
        log.info("partition %d: mended; %d KPI minutes changed", number, self._rebuild.found.minutes)


class Upkeep:
    """One job at a time. Nothing may be in the making, and nothing being written, while a page is done."""

    def __init__(self, settings: Settings, store: Store, insert: Insert, report: Report) -> None:
        self._report = report
        self._days = settings.order_retention_days
        self._most = settings.cache_minutes
        self._store = store
        self._insert = insert
        self._looked = 0.0
        self._requests: dict[int, Request] = {}
        self._expire_at: dict[int, float] = {}
        self._seen: dict[int, Partition] = {}
        self._job: Job | None = None
        self._pages: AsyncIterator[None] | None = None
        self._told = 0.0

    @property
    def busy(self) -> bool:
        """Whether there is something to go on with."""
        return self._job is not None

    async def wanted(self, partitions: Mapping[int, Partition]) -> bool:
        """Whether there is something to do for ``partitions``; looks for it every ``LOOK_SECONDS``."""
        now = time.monotonic()
        self._meet(partitions, now)
        if now - self._looked >= LOOK_SECONDS and partitions:
            self._looked = now
            self._requests = await patiently(open_requests, self._store, list(partitions))
            for number, written in (await patiently(writers, self._store, list(partitions))).items():
                partitions[number].tenure.look(written)
        if self._job is None:
            self._next(partitions, now)
        return self._job is not None

    def _meet(self, partitions: Mapping[int, Partition], now: float) -> None:
        """Notice partitions that came and went; a job of one that went is forgotten."""
        for number, partition in partitions.items():
            if self._seen.get(number) is not partition:
                self._expire_at[number] = now + RETENTION_AFTER_SECONDS
                self._looked = 0.0
        self._seen = dict(partitions)
        if self._job is not None and partitions.get(self._job.partition.number) is not self._job.partition:
            self._job.partition.watcher = None
            self._job = self._pages = None

    def _next(self, partitions: Mapping[int, Partition], now: float) -> None:
        for number, request in self._requests.items():
            if number in partitions:
                rebuild = Rebuild(self._store, self._insert, partitions[number], request.complete_from, self._most)
                log.info("partition %d: rebuilding from the log, as asked", number)
                self._begin(rebuild)
                return
        for partition in partitions.values():
            if partition.tenure.disturbed:
                self._begin(Mending(self._store, self._insert, partition, self._most))
                return
        for number, partition in partitions.items():
            if self._expire_at[number] <= now:
                self._expire_at[number] = now + DAY_SECONDS
                self._begin(Retention(self._store, self._insert, partition, self._days))
                return

    def _begin(self, job: Job) -> None:
        self._job, self._pages, self._told = job, job.pages(), time.monotonic()

    async def turn(self) -> None:
        """Go on with the job: a page at least, and more for about ``TURN_SECONDS``."""
        until = time.monotonic() + TURN_SECONDS
        while self._job is not None and self._pages is not None:
            try:
                await anext(self._pages)
            except StopAsyncIteration:
                job, self._job, self._pages = self._job, None, None
                await self._tell(job, finished=True)
            if time.monotonic() >= until:
                break
        if self._job is not None and time.monotonic() - self._told >= TELL_SECONDS:
            self._told = time.monotonic()
            await self._tell(self._job, finished=False)

    async def _tell(self, job: Job, *, finished: bool) -> None:
        if isinstance(job, Retention):
            self._report.expired(job.expired if finished else 0)
        if not isinstance(job, Rebuild):
            return
        number, found = job.partition.number, job.found
        request = self._requests.get(number)
        if request is None:
            return
        figures = (found.orders, found.changed, found.unlogged, found.minutes)
        await self._insert(REBUILDS, [report_row(request, figures, finished=finished)])
        if finished:
            self._requests.pop(number)
            self._report.mended(found.changed, found.minutes)
            log.info(
                "partition %d: rebuilt: %d orders, %d changed; %d KPI minutes changed", number, *figures[:2], figures[3]
            )
            if found.unlogged:
                log.warning("partition %d: %d orders have facts that the log lacks; kept", number, found.unlogged)
