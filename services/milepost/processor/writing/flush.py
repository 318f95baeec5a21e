"""Building a flush: fold every touched order anew, and move the difference into the KPI cells."""

from collections.abc import Iterator
from functools import partial

from milepost.domain import facts as f
from milepost.domain.contributions import CellKey, Contributions, contributions, cost_contributions, totals
from milepost.domain.order import fold
from milepost.processor.arrival.intake import Rejected, Taken
from milepost.processor.sla.noting import look_at_slas
from milepost.processor.state.cells import CUT, Cell
from milepost.processor.state.ledger import Account
from milepost.processor.state.loading import Loader
from milepost.processor.state.orders import GONE
from milepost.processor.state.partition import Batch, Difference, Partition, Pending, Touched
from milepost.processor.state.rows import ledger_row, order_row
from milepost.processor.writing.poison import one_by_one
from milepost.processor.writing.restatements import Restated

YIELD_EVERY = 100
"""Orders folded between two looks at the event loop, so that heartbeats and requests go on."""

CONFLICT = "conflict"
MISPLACED = "misplaced"
EXPIRED = "expired"


async def build(partition: Partition, pending: Pending, loader: Loader, batch: Batch) -> None:
    """Add to ``batch`` all that ``pending`` changes in ``partition``; the partition's memory is then ahead of the store
    until the batch is written.

    Raises ``SinkRefusedError`` and ``AheadOfUsError``; the partition's memory is useless then.
    """
    orders = partition.orders
    found = await loader.orders(partition, orders.missing(pending.orders), batch.breathe)
    accounts = await loader.accounts(partition, [s for s in pending.ledger if s not in partition.accounts])
    for subject, facts in found.items():
        orders.put(subject, facts)
    for subject, account in accounts.items():
        partition.accounts.put(subject, account)

    differences: list[Difference] = []
    for subject, events in pending.ledger.items():
        mark = batch.mark()
        try:
            differences += _apply_to_account(partition, subject, events, batch)
        except Exception as error:  # noqa: BLE001 - what one subject cannot bear must not hold up all others
            batch.back_to(mark, error)
            _restore(partition, subject, events)
            apply, undo = partial(_apply_to_account, partition, subject), partial(_restore, partition, subject)
            differences += one_by_one(events, batch, apply, undo)
    for number, (subject, events) in enumerate(pending.orders.items()):
        mark = batch.mark()
        try:
            differences += _apply_to_order(partition, subject, events, batch)
        except Exception as error:  # noqa: BLE001 - as above
            batch.back_to(mark, error)
            differences += one_by_one(events, batch, partial(_apply_to_order, partition, subject))
        if number % YIELD_EVERY == 0:
            await batch.breathe()
    for trial in pending.trials:
        batch.accept(trial)

    keys = {key for _, before, after in differences for key in (*before, *after)}
    stretches = partition.cells.missing(keys)
    partition.cells.load(stretches, await loader.cells(partition, stretches, batch.breathe))
    restated = Restated()
    for number, difference in enumerate(differences):
        changed = partition.cells.replace(*difference[1:])
        restated.note(changed, pending.appended_of(difference[0]))
        if partition.watcher is not None:
            partition.watcher(difference)
        if number % YIELD_EVERY == 0:
            await batch.breathe()
    await look_at_slas(partition, pending, loader.store, batch)
    reached = pending.next_offset
    batch.kpis += partition.cells.take_changed(partition.number, reached)
    batch.kpis.append(cut_row(partition, reached))
    batch.rejected += pending.rejected
    batch.restated += restated.lateness()
    batch.records += pending.records


def cut_row(partition: Partition, reached: int) -> tuple[object, ...]:
    """The row that says: everything of ``partition`` below offset ``reached`` is in the KPI rows, written by us."""
    writer, seen, turn = partition.tenure.claim
    key: CellKey = (0, writer, seen, str(turn) if turn else "", "", "", "", "")
    return Cell().row(CUT, key, partition.number, reached)


def _apply_to_order(partition: Partition, subject: str, events: list[Taken], batch: Batch) -> list[Difference]:
    stored = partition.orders.get(subject)
    if stored is None and not partition.owns(subject):
        _misplaced(events, batch)
        return []
    if stored == GONE:
        _expired(events, batch)
        return []
    known = f.decode(stored) if stored else []
    digests = {(fact.source, fact.id): fact.digest for fact in known}
    fresh: list[f.AnyFact] = []
    for taken, fact in _facts(events):
        identity = fact.source, fact.id
        digest = digests.get(identity)
        if digest is None and taken.in_ledger:
            # A retraction is in both; the ledger, which comes first, may know its identity as a cost's.
            digest = _known_to_ledger(partition, subject, fact)
        if digest is None:
            digests[identity] = fact.digest
            fresh.append(fact)
            batch.accept(taken)
        else:
            _repeated(taken, fact.digest == digest, batch)
    if not fresh:
        return []
    before = contributions(fold(known)) if known else {}
    known += fresh
    order = fold(known)
    after = contributions(order)
    facts = f.encode(known)
    version = fresh[-1].offset + 1
    if partition.watch is not None and partition.watch.wants(subject, order, events[-1].record.timestamp * 1000):
        batch.touched.append(Touched(subject, order, fresh, not stored))
    if order.placed is not None:
        for fact in fresh:
            batch.heard[fact.source, order.placed.hub_id] += 1
    batch.orders.append(order_row(subject, partition.number, version, order, totals(after), len(known), facts))
    partition.orders.put(subject, facts)
    return [(subject, before, after)]


def _apply_to_account(partition: Partition, subject: str, events: list[Taken], batch: Batch) -> list[Difference]:
    account = partition.accounts.get(subject) or Account()
    partition.accounts.put(subject, account)
    touched: dict[str, Contributions] = {}
    versions: dict[str, int] = {}
    if not partition.owns(subject):
        _misplaced([taken for taken in events if not taken.in_orders], batch)
        return []
    if partition.orders.get(subject) == GONE:
        events = [taken for taken in events if not taken.in_orders]
    for taken, fact in _facts(events):
        digest = account.digest_of(fact.identity)
        if digest is not None:
            if not taken.in_orders:
                _repeated(taken, fact.digest == digest, batch)
            continue
        for cost_id in account.costs_touched_by(fact):
            versions[cost_id] = fact.offset + 1
            touched.setdefault(cost_id, cost_contributions(account.current(cost_id)) if cost_id else {})
        account.add(fact)
        if not taken.in_orders:
            batch.accept(taken)
    differences: list[Difference] = []
    for cost_id, before in touched.items():
        current = account.current(cost_id) if cost_id else None
        facts = f.encode(account.facts(cost_id))
        batch.ledger.append(ledger_row(subject, cost_id, partition.number, versions[cost_id], current, facts))
        differences.append((subject, before, cost_contributions(current)))
    return differences


def _known_to_ledger(partition: Partition, subject: str, retraction: f.AnyFact) -> int | None:
    """The digest of the cost of ``subject`` that has the identity of ``retraction``, None where there is none."""
    account = partition.accounts.get(subject)
    digest = account.digest_of(retraction.identity) if account is not None else None
    return None if digest == retraction.digest else digest


def _restore(partition: Partition, subject: str, events: list[Taken]) -> None:
    """Take back what a failed attempt has put into the account of ``subject``."""
    spoiled = partition.accounts.get(subject)
    if spoiled is not None:
        partition.accounts.put(subject, spoiled.before(events[0].record.offset))


def _misplaced(events: list[Taken], batch: Batch) -> None:
    """What another producer put into the wrong partition: the state of its subject lives elsewhere."""
    for taken in events:
        detail = "lies in another partition than its subject's; produce with key = subject and Kafka's own partitioner"
        batch.rejected.append(Rejected(taken.record, MISPLACED, detail, *taken.event_row[:3]))


def _expired(events: list[Taken], batch: Batch) -> None:
    """What comes for an order that has left: its minutes are frozen, and nothing is known of it any more."""
    for taken in events:
        detail = "its order has expired (MILEPOST_ORDER_RETENTION_DAYS); what it counted for stays as it is"
        batch.rejected.append(Rejected(taken.record, EXPIRED, detail, *taken.event_row[:3]))


def _facts(events: list[Taken]) -> Iterator[tuple[Taken, f.AnyFact]]:
    for taken in events:
        if taken.fact is not None:
            yield taken, taken.fact


def _repeated(taken: Taken, same: bool, batch: Batch) -> None:
    """A known identity: the first in the log counts. The same event again is nothing; another content is a conflict."""
    if same:
        batch.repeats += 1
        return
    subject, source, event_id = taken.event_row[:3]
    detail = "an event with this source and id is known and says something else; the first one counts"
    batch.rejected.append(Rejected(taken.record, CONFLICT, detail, subject, source, event_id))
