"""Rows that are ahead of a cut, as they were at it: an order or a cost is what its facts below the cut say."""

from collections.abc import Iterator, Mapping

from milepost.domain import facts as f
from milepost.domain.contributions import contributions, totals
from milepost.domain.order import fold
from milepost.processor.state.ledger import Account
from milepost.processor.state.loading import below
from milepost.processor.state.rows import ledger_row, order_row
from milepost.store import tables
from milepost.store.client import Row, Store

_ORDERS = """
SELECT order_id, facts FROM orders_store FINAL WHERE partition = {partition:UInt16} AND version > {cut:UInt64}
"""
_LEDGER = """
SELECT subject, cost_id, version, facts FROM ledger_store FINAL
WHERE partition = {partition:UInt16} AND subject IN
    (SELECT subject FROM ledger_store WHERE partition = {partition:UInt16} AND version > {cut:UInt64})
"""


def rows_as_of(store: Store, cuts: Mapping[int, int]) -> Iterator[tuple[tables.Table, Row]]:
    """For every order and cost stored ahead of its partition's cut, its row at the cut, unless it was not there yet.

    ``cuts`` by partition. Raises ``StoreError``.
    """
    for number, cut in cuts.items():
        parameters = {"partition": number, "cut": cut}
        for order_id, facts in store.query(_ORDERS, parameters, binary=["facts"]):
            kept = below(cut, facts)
            if kept:
                yield tables.ORDERS, _order(order_id, number, kept)
        accounts: dict[str, Account] = {}
        ahead: list[tuple[str, str]] = []
        for subject, cost_id, version, facts in store.query(_LEDGER, parameters, binary=["facts"]):
            account = accounts.setdefault(subject, Account())
            for fact in f.decode(facts):
                if fact.offset < cut:
                    account.add(fact)
            if version > cut:
                ahead.append((subject, cost_id))
        for subject, cost_id in ahead:
            row = _cost(accounts[subject], subject, cost_id, number)
            if row is not None:
                yield tables.LEDGER, row


def _order(order_id: str, partition: int, kept: bytes) -> Row:
    facts = f.decode(kept)
    order = fold(facts)
    version = max(fact.offset for fact in facts) + 1
    return order_row(order_id, partition, version, order, totals(contributions(order)), len(facts), kept)


def _cost(account: Account, subject: str, cost_id: str, partition: int) -> Row | None:
    facts = account.facts(cost_id)
    if not facts:
        return None
    # A retraction changes the row of the cost it speaks of, and is kept apart from it.
    version = max(fact.offset for fact in (*facts, *account.facts(""))) + 1
    current = account.current(cost_id) if cost_id else None
    return ledger_row(subject, cost_id, partition, version, current, f.encode(facts))
