"""The KPI job as the peers do it, without an engine: from a record's bytes to changes of KPI cells.

It uses Milepost's own pure functions (the contract's decode, the fold of an order, its contributions), so that what is
compared are the engines and not how well somebody else writes the same rules.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec
import xxhash

from bench.kpi_cells import Cell, CellName, columns, roll_up, summed
from milepost.contracts.event import InvalidEventError, decode, micros
from milepost.domain import facts as f
from milepost.domain.contributions import Contributions, contributions
from milepost.domain.order import fold
from milepost.store.client import Store
from milepost.store.rowbinary import encoder
from milepost.store.tables import KPIS, Table

SUMS = Table(
    "kpi_sums",
    {
        **{name: kind for name, kind in KPIS.columns.items() if name not in ("version", "hist_bucket", "hist_count")},
        "histMap.bucket": "Array(UInt16)",
        "histMap.count": "Array(Int64)",
    },
)
"""Sums that ClickHouse adds up: what an engine writes that has no state of the KPI minutes."""

REMEMBERED = 300_000

_encode_sums = encoder(SUMS.columns)
_body = msgspec.json.Encoder(order="deterministic").encode


def make_sums(store: Store) -> None:
    """Make the table ``SUMS``."""
    columns = ", ".join(f"`{name}` {kind}" for name, kind in SUMS.columns.items())
    key = "grain, component, activity, minute, hub_id, zone_id, service_level, merchant_id, courier_id, partition"
    store.command(f"CREATE TABLE IF NOT EXISTS kpi_sums ({columns}) ENGINE = SummingMergeTree ORDER BY ({key})")


def read(value: bytes, appended_ms: int, offset: int, currency: str) -> f.AnyFact | None:
    """The fact in a record, with its digest; None for what counts for nothing (bad records and tests)."""
    try:
        event = decode(value, currency, datetime.fromtimestamp(appended_ms / 1000, UTC))
    except InvalidEventError:
        return None
    if event.testmode:
        return None
    content = _body(event.body) + event.type.name.encode()
    return f.fact_of(event, offset, xxhash.xxh64_intdigest(content, seed=micros(event.time) & ((1 << 64) - 1)))


class Merged(NamedTuple):
    """A subject's facts with new ones among them: as bytes, for the state, and as they are."""

    stored: bytes
    facts: list[f.AnyFact]


def merge(stored: bytes | None, events: Iterable[f.AnyFact]) -> Merged | None:
    """Put ``events``, in order of the log, among the ``stored`` facts; None where they say nothing new.

    An event counts once; of several with one identity the first in the log counts.
    """
    known = f.decode(stored) if stored else []
    length = len(known)
    for fact in events:
        if not any(other.id == fact.id and other.source == fact.source for other in known):
            known.append(fact)
    return Merged(f.encode(known), known) if len(known) > length else None


class Counting:
    """From a subject's facts before and after to what that changes in KPI cells.

    It remembers what subjects counted for, so that only the state after is folded anew; what it remembers is used only
    where the facts before are the very bytes it has seen, so the state stays where the engine keeps it.
    """

    def __init__(self) -> None:
        self._counted: dict[bytes, tuple[bytes, Contributions]] = {}

    def differences(self, subject: bytes, before: bytes | None, after: Merged) -> list[tuple[CellName, Cell]]:
        """What the change adds to and takes from cells, roll-ups included."""
        gone: Contributions = {}
        if before is not None:
            remembered = self._counted.get(subject)
            if remembered is not None and remembered[0] == before:
                gone = remembered[1]
            else:
                gone = contributions(fold(f.decode(before)))
        new = contributions(fold(after.facts))
        if len(self._counted) >= REMEMBERED:
            self._counted.clear()
        self._counted[subject] = after.stored, new
        if not gone:
            return roll_up(new)
        out = {key: slots for key, slots in gone.items() if new.get(key) != slots}
        new = {key: slots for key, slots in new.items() if gone.get(key) != slots}
        return [(name, [(slot, -value) for slot, value in slots]) for name, slots in roll_up(out)] + roll_up(new)


class Additions:
    """Differences on their way to the store, one row a cell however many there were."""

    def __init__(self) -> None:
        self._cells: dict[CellName, Cell] = {}

    def add(self, found: Iterable[tuple[CellName, Cell]]) -> None:
        """Gather differences."""
        cells = self._cells
        for name, slots in found:
            cell = cells.get(name)
            if cell is None:
                cells[name] = slots[:]
            else:
                cell += slots

    def write(self, store: Store) -> None:
        """Insert what was gathered as one batch into ``SUMS``, and begin anew."""
        rows = []
        for name, cell in self._cells.items():
            key, values = columns(name, summed(cell))
            rows.append((*key, 0, *values))
        self._cells = {}
        if rows:
            # As quick for the engine to read as the processor's own rows.
            body = b"".join(map(_encode_sums, rows))
            store._client().raw_insert(SUMS.name, tuple(SUMS.columns), body, fmt="RowBinary")


def cell_row(name: CellName, cell: Cell, partition: int, version: int) -> tuple[Any, ...]:
    """An absolute cell as a row of ``kpi_store``."""
    key, values = columns(name, cell)
    return (*key, partition, version, *values)
