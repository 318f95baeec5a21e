"""A partition in the hands of this worker: its state, and what has arrived since the last flush."""

import asyncio
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Any, NamedTuple

from milepost.bus.partitions import partition_of
from milepost.domain.contributions import Contributions
from milepost.domain.facts import AnyFact
from milepost.domain.order import Order
from milepost.processor.arrival.failures import Failures
from milepost.processor.arrival.intake import Rejected, Taken
from milepost.processor.sla.watch import Told, Watch
from milepost.processor.state.cells import Cells
from milepost.processor.state.ledger import Account
from milepost.processor.state.orders import OrderCache
from milepost.processor.state.recent import Recent
from milepost.processor.upkeep.tenure import Tenure
from milepost.store.pauses import Pause

Difference = tuple[str, Contributions, Contributions]
"""A subject, and what it, or one of its costs, counted for before and counts for now."""

Mark = tuple[int, int, int, int, int, int, int]


class Touched(NamedTuple):
    """An order that a flush has folded anew: its state now, the facts that were new, and whether they are its first."""

    subject: str
    order: Order
    fresh: list[AnyFact]
    first: bool


SEGMENT_RECORDS = 30_000
"""Records of one partition that one flush takes: their KPI rows fit into one insert, however scattered they are."""


@dataclass
class Pending:
    """What has arrived for one flush, by subject; ``next_offset`` is the offset after the last record."""

    next_offset: int
    orders: dict[str, list[Taken]] = field(default_factory=dict)
    ledger: dict[str, list[Taken]] = field(default_factory=dict)
    trials: list[Taken] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    records: int = 0
    appended: int = 0
    event_time: int = 0
    first_offset: int = 0

    def __post_init__(self) -> None:
        self.first_offset = self.next_offset

    def add(self, taken: Taken | Rejected) -> None:
        """Keep one record's outcome."""
        record = taken.record
        self.records += 1
        self.next_offset = record.offset + 1
        self.appended = record.timestamp * 1000
        if isinstance(taken, Rejected):
            self.rejected.append(taken)
            return
        fact = taken.fact
        if fact is None:
            self.trials.append(taken)
            return
        self.event_time = max(self.event_time, fact.time)
        if taken.in_orders:
            self.orders.setdefault(taken.subject, []).append(taken)
        if taken.in_ledger:
            self.ledger.setdefault(taken.subject, []).append(taken)

    def appended_of(self, subject: str) -> int:
        """When the last record of ``subject`` was appended, in microseconds."""
        found = self.orders.get(subject) or self.ledger[subject]
        return found[-1].record.timestamp * 1000


_readings = count(1)


def next_reading() -> int:
    """A number for a reading of a partition from some offset on; no two of this process are the same."""
    return next(_readings)


@dataclass
class Partition:
    """A partition's state. ``cut`` is the offset up to which everything is in the store, complete; ``siblings`` is how
    many partitions the topic has.
    """

    number: int
    cut: int
    cells: Cells
    orders: OrderCache
    accounts: Recent[Account] = field(default_factory=Recent)
    segments: deque[Pending] = field(default_factory=deque)
    appended: int = 0
    event_time: int = 0
    siblings: int | None = None
    pause: Pause | None = None
    """Why nothing more is taken in until somebody answers."""
    failures: Failures = field(default_factory=Failures)
    reading: int = field(default_factory=next_reading)
    """Another one whenever it is read on from some offset: what was fetched before that is passed over."""
    doubted: int = -1
    """Where records began that did not follow on the last ones, when they were asked for once more."""
    tenure: Tenure = field(default_factory=Tenure)
    watcher: Callable[[Difference], None] | None = None
    """Told of every difference a flush makes, while a rebuild goes on."""
    watch: Watch | None = None
    """The SLAs of its open orders."""
    arrived: int = 0
    """When the last record in hand was appended, in microseconds."""
    building: Pending | None = None
    """What the flush in the making is made of."""

    def __post_init__(self) -> None:
        self.segments.append(Pending(self.cut))

    @property
    def position(self) -> int:
        """The offset of the next record wanted."""
        return self.segments[-1].next_offset

    @property
    def pending(self) -> int:
        """Records that have arrived and are not in a flush yet."""
        return sum(segment.records for segment in self.segments)

    @property
    def gathering(self) -> Pending:
        """Where the next records go: no segment grows past what one flush can surely take."""
        last = self.segments[-1]
        if last.records >= SEGMENT_RECORDS:
            last = Pending(last.next_offset)
            self.segments.append(last)
        return last

    def owns(self, subject: str) -> bool:
        """Whether records of ``subject`` belong into this partition."""
        return self.siblings is None or partition_of(subject.encode(), self.siblings) == self.number

    def awaits(self, subject: str) -> bool:
        """Whether events of ``subject`` are in hand that no flush has taken in."""
        building = self.building
        return (building is not None and subject in building.orders) or any(
            subject in segment.orders for segment in self.segments
        )

    def drop_pending(self) -> None:
        """Forget what has arrived and is in no flush yet: it is on the topic."""
        start = self.segments[0].first_offset
        self.segments.clear()
        self.segments.append(Pending(start))

    def take_pending(self) -> Pending:
        """The first segment of what has arrived, for a flush."""
        first = self.segments.popleft()
        if not self.segments:
            self.segments.append(Pending(first.next_offset))
        return first


@dataclass
class Batch:
    """The rows of one flush, over all partitions, by table; ``restated`` is how late, in microseconds, each KPI minute
    row changes whose minute ended long before.

    ``touched`` are the orders of the partition being built; ``told`` is what their SLAs have reached by it, with the
    partition; ``heard`` counts new events of placed orders by source and hub.
    """

    events: list[tuple[Any, ...]] = field(default_factory=list)
    personal: list[tuple[Any, ...]] = field(default_factory=list)
    orders: list[tuple[Any, ...]] = field(default_factory=list)
    ledger: list[tuple[Any, ...]] = field(default_factory=list)
    kpis: list[tuple[Any, ...]] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    restated: list[int] = field(default_factory=list)
    touched: list[Touched] = field(default_factory=list)
    told: list[tuple[Told, int]] = field(default_factory=list)
    heard: Counter[tuple[str, str]] = field(default_factory=Counter)
    steps: int = 0
    """Moments at which the building of it let others go on: while they come, it is being worked at."""
    repeats: int = 0
    records: int = 0

    async def breathe(self) -> None:
        """Let heartbeats and requests go on."""
        self.steps += 1
        await asyncio.sleep(0)

    def mark(self) -> Mark:
        """Where the rows of all tables that one subject may add to end now."""
        return (
            len(self.events),
            len(self.personal),
            len(self.orders),
            len(self.ledger),
            len(self.rejected),
            self.repeats,
            len(self.touched),
        )

    def back_to(self, mark: Mark, error: Exception) -> None:
        """Take back what was added since ``mark``, because of ``error``; raises it where no subject is to blame."""
        if isinstance(error, MemoryError):
            raise error
        for rows, length in zip((self.events, self.personal, self.orders, self.ledger), mark, strict=False):
            del rows[length:]
        del self.rejected[mark[4] :]
        self.repeats = mark[5]
        del self.touched[mark[6] :]

    def accept(self, taken: Taken) -> None:
        """Add an event to the log."""
        self.events.append(taken.event_row)
        if taken.personal_row is not None:
            self.personal.append(taken.personal_row)
