"""A partition in the hands of this worker: its state, and what has arrived since the last flush."""

from dataclasses import dataclass, field
from typing import Any

from milepost.bus.partitions import partition_of
from milepost.processor.cells import Cells
from milepost.processor.intake import Rejected, Taken
from milepost.processor.ledger import Account
from milepost.processor.orders import OrderCache


@dataclass
class Pending:
    """What has arrived since the last flush, by subject; ``next_offset`` is the offset after the last record."""

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
    accounts: dict[str, Account] = field(default_factory=dict)
    pending: Pending = field(default_factory=lambda: Pending(0))
    appended: int = 0
    event_time: int = 0
    siblings: int | None = None

    def __post_init__(self) -> None:
        self.pending = Pending(self.cut)

    @property
    def position(self) -> int:
        """The offset of the next record wanted."""
        return self.pending.next_offset

    def owns(self, subject: str) -> bool:
        """Whether records of ``subject`` belong into this partition."""
        return self.siblings is None or partition_of(subject.encode(), self.siblings) == self.number

    def take_pending(self) -> Pending:
        """What has arrived; from now on the next flush gathers."""
        taken, self.pending = self.pending, Pending(self.pending.next_offset)
        return taken


@dataclass
class Batch:
    """The rows of one flush, over all partitions, by table."""

    cuts: dict[int, int] = field(default_factory=dict)
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
