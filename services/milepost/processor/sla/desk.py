"""Lets time pass for the watched orders of all partitions, and tells what comes about."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime

from milepost.domain import facts as f
from milepost.domain.order import Order, fold
from milepost.domain.sla.policy import Policies
from milepost.domain.sla.prediction import Forecast
from milepost.domain.sla.words import PROMISE, State
from milepost.processor.patience import patiently
from milepost.processor.report import Report
from milepost.processor.sla.warming import warm
from milepost.processor.sla.watch import Told, Watch
from milepost.processor.state.partition import Partition
from milepost.reading.forecast import seed_rows
from milepost.store.client import Store

log = logging.getLogger(__name__)

TICK_SECONDS = 0.1
LEARNT_AT_ONCE = 50
LAGS_US = 15_000_000
"""How far behind a partition may be for what is foretold of its orders to be believed."""

Tell = Callable[[Sequence[tuple[Told, int]]], Awaitable[None]]
Reached = Callable[[Partition], int]
"""Up to which moment, in microseconds, everything appended to the partition is in hand."""


class SlaDesk:
    """The SLAs of all partitions of a worker; ``tell`` publishes and stores what they have reached."""

    def __init__(self, store: Store, tell: Tell, report: Report, policies: Callable[[], Policies]) -> None:
        self.forecast = Forecast()
        self._store = store
        self._tell = tell
        self._report = report
        self._policies = policies
        self._held: Policies = policies()
        self._seeded = False
        self._failures = 0
        self._cold: dict[int, Partition] = {}

    def adopt(self, partitions: Mapping[int, Partition]) -> None:
        """Watch these partitions, just recovered; what is stored of them is brought in as time allows."""
        self._held = self._policies()
        self._report.policies(self._held.version)
        for number, partition in partitions.items():
            partition.watch = Watch(self._held, self.forecast)
            self._cold[number] = partition

    async def run(self, in_hand: Callable[[], Mapping[int, Partition]], reached: Reached) -> None:
        """Until cancelled: bring in what is stored, let time pass, tell what it brings."""
        warming = asyncio.create_task(self.warm_up(in_hand))
        try:
            while True:
                await asyncio.sleep(TICK_SECONDS)
                if warming.done() and (warming.result() or self._cold):
                    warming = asyncio.create_task(self.warm_up(in_hand))
                self._follow_policies(in_hand())
                await self.turn(in_hand, reached)
                self._tell_of(in_hand())
        finally:
            warming.cancel()

    async def turn(self, in_hand: Callable[[], Mapping[int, Partition]], reached: Reached) -> None:
        """Let time pass for all partitions, and tell what it brings."""
        told = []
        for partition in in_hand().values():
            if partition.watch is not None:
                until = reached(partition)
                partition.watch.tick(until, partition.awaits, lags=until < _now() - LAGS_US)
                reached_here = partition.watch.take()
                self._learn(partition, reached_here)
                told += [(one, partition.number) for one in reached_here]
        if told:
            await self._tell(told)
            self._report.told([one for one, _ in told])

    def _tell_of(self, partitions: Mapping[int, Partition]) -> None:
        watches = [one.watch for one in partitions.values() if one.watch is not None]
        failures = self._failures + sum(watch.failures for watch in watches)
        self._report.watched(sum(map(len, watches)), failures)
        self._failures = 0
        for watch in watches:
            watch.failures = 0

    def _learn(self, partition: Partition, told: Sequence[Told]) -> None:
        """Take in the promises just broken: a hub that stands still is to be noticed before its orders come."""
        for one in told:
            if one.step.rule == PROMISE and one.step.state is State.BREACHED:
                facts = partition.orders.get(one.order_id)
                if facts:
                    self._learn_of(fold(f.decode(facts)))

    def _learn_of(self, order: Order) -> None:
        """Take in what became of an order; one that teaches nothing for a fault of ours stops no clock."""
        try:
            self.forecast.learn(order)
        except Exception:
            log.exception("what became of an order cannot be learnt")
            self._failures += 1

    def _follow_policies(self, partitions: Mapping[int, Partition]) -> None:
        policies = self._policies()
        if policies is self._held:
            return
        log.info("SLA policies of version %d hold from now on", policies.version)
        before, self._held = self._held, policies
        self._report.policies(policies.version)
        now = _now()
        for partition in partitions.values():
            if partition.watch is None:
                continue
            if before.version:
                partition.watch.apply(policies, now)
            else:
                partition.watch.learn_policies(policies, now)

    async def warm_up(self, in_hand: Callable[[], Mapping[int, Partition]]) -> None:
        """Bring in what is stored of the partitions taken in hand."""
        while self._cold:
            cold, self._cold = self._cold, {}
            ours = {
                number: (partition, partition.watch)
                for number, partition in cold.items()
                if partition.watch is not None and in_hand().get(number) is partition
            }
            async for number in warm(self._store, ours, _now()):
                if number in ours:
                    watched = len(ours[number][1])
                    log.info("partition %d: the SLAs of %d open orders are watched", number, watched)
                await asyncio.sleep(0)
                if self._cold:
                    # Others have been taken in hand meanwhile; those that are not warm yet wait with them.
                    self._cold = {n: one for n, (one, watch) in ours.items() if not watch.warm} | self._cold
                    break
        if not self._seeded:
            self._seeded = True
            await self._seed()

    async def _seed(self) -> None:
        """Learn from how orders lately went, before there is anything to be foretold."""
        for number, order in enumerate(await patiently(seed_rows, self._store, datetime.now(UTC))):
            self._learn_of(order)
            if number % LEARNT_AT_ONCE == 0:
                await asyncio.sleep(0)


def _now() -> int:
    return time.time_ns() // 1000
