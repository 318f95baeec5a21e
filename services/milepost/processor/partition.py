"""A partition in the hands of this worker: its state, and what has arrived since the last flush."""

from collections import deque
from dataclasses import dataclass, field
from typing import Any

from milepost.bus.partitions import partition_of
from milepost.processor.cells import Cells
from milepost.processor.intake import Rejected, Taken
from milepost.processor.ledger import Account
from milepost.processor.orders import OrderCache
from milepost.processor.recent import Recent

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

    def take_pending(self) -> Pending:
        """The first segment of what has arrived, for a flush."""
        first = self.segments.popleft()
        if not self.segments:
            self.segments.append(Pending(first.next_offset))
        return first


@dataclass
class Batch:
    """The rows of one flush, over all partitions, by table."""

    events: list[tuple[Any, ...]] = field(default_factory=list)
    personal: list[tuple[Any, ...]] = field(default_factory=list)
    orders: list[tuple[Any, ...]] = field(default_factory=list)
    ledger: list[tuple[Any, ...]] = field(default_factory=list)
    kpis: list[tuple[Any, ...]] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    repeats: int = 0
    records: int = 0

    def accept(self, taken: Taken) -> None:
        """Add an event to the log."""
        self.events.append(taken.event_row)
        if taken.personal_row is not None:
            self.personal.append(taken.personal_row)
