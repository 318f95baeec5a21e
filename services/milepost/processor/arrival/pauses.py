"""Partitions that wait for somebody: how they stop, and how they go on."""

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from milepost.processor.arrival.failures import Failures
from milepost.processor.arrival.intake import Rejected
from milepost.processor.patience import patiently
from milepost.processor.state.partition import Partition, next_reading
from milepost.settings import Settings
from milepost.store.client import Store
from milepost.store.pauses import Pause, read_pauses, write_pause

log = logging.getLogger(__name__)


class Feed(Protocol):
    """Where records come from, as far as it can be told to wait."""

    async def hold(self, number: int) -> None:
        """Fetch nothing more of a partition."""

    async def read_on(self, number: int, offset: int, reading: int) -> None:
        """Fetch a partition from ``offset`` on; what is fetched from now on says ``reading``."""

    def is_current(self) -> bool:
        """Whether the broker has lately said where partitions end."""
        ...


class NoFeed:
    """Records come by themselves."""

    async def hold(self, number: int) -> None:
        """Nothing to do."""

    async def read_on(self, number: int, offset: int, reading: int) -> None:
        """Nothing to do."""

    def is_current(self) -> bool:
        """Always."""
        return True


class Pauses:
    """Counts what fails, stops a partition at too much of it, and starts it again once that is answered."""

    def __init__(self, settings: Settings, store: Store, feed: Feed) -> None:
        self._settings = settings
        self._store = store
        self._feed = feed

    async def adopt(self, partitions: Iterable[Partition]) -> None:
        """Prepare partitions just taken in hand: those that waited before wait on."""
        by_number = {partition.number: partition for partition in partitions}
        known = await patiently(read_pauses, self._store, list(by_number)) if by_number else {}
        for number, partition in by_number.items():
            of = self._settings
            partition.failures = Failures(of.failure_share, of.failure_window, of.failure_run)
            pause = known.get(number)
            if pause is not None and pause.waits:
                partition.pause = pause
                _say(pause)
                # It cannot become ready: whoever waits for that is shown why.
                print(f"milepost: partition {number} waits: `milepost dead-letters ls` says why", flush=True)

    def count(self, partition: Partition, rejected: Sequence[Rejected]) -> bool:
        """Count what was rejected; returns whether the partition stops now, at its position."""
        if partition.pause is not None:
            return False
        reason = partition.failures.add(rejected)
        if reason is None:
            return False
        last = max(rejected, key=lambda one: one.record.offset)
        self.stop(partition, f"{reason}; the last: {last.reason}, {last.detail.splitlines()[0][:200]}")
        return True

    def stop(self, partition: Partition, reason: str) -> None:
        """Take nothing more of a partition, from now on; the rest stays on the topic."""
        partition.pause = Pause(partition.number, partition.position, reason, time.time_ns() // 1000)
        _say(partition.pause)

    async def look(self, in_hand: Callable[[], Mapping[int, Partition]]) -> None:
        """Keep what has stopped since the last look, and start again what was answered; ``in_hand`` may change."""

        def still_ours(partition: Partition) -> bool:
            return in_hand().get(partition.number) is partition

        waiting = [partition for partition in in_hand().values() if partition.pause is not None]
        for partition in waiting:
            if partition.pause is not None and not partition.pause.version:
                pause = replace(partition.pause, offset=partition.position)
                kept = await patiently(write_pause, self._store, pause)
                partition.pause = kept
                if still_ours(partition):
                    await self._feed.hold(partition.number)
        if not waiting:
            return
        known = await patiently(read_pauses, self._store, [partition.number for partition in waiting])
        for partition in waiting:
            found = known.get(partition.number)
            # What is in hand is stored first: from there on everything is counted anew.
            stored = partition.cut == partition.position
            if found is not None and not found.waits and stored and still_ours(partition):
                await self._go_on(partition, found)

    async def _go_on(self, partition: Partition, answer: Pause) -> None:
        if partition.pause is None or answer.version < partition.pause.version:
            return
        log.warning("partition %d goes on at offset %d", partition.number, partition.position)
        partition.failures.clear()
        partition.reading = next_reading()
        partition.pause = None
        await self._feed.read_on(partition.number, partition.position, partition.reading)


def _say(pause: Pause) -> None:
    log.error("partition %d waits before offset %d: %s", pause.partition, pause.offset, pause.reason)
