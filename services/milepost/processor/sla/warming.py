"""What a watch must know when its partition is taken in hand: the open orders, and what was raised of them."""

from collections.abc import AsyncIterator, Sequence

from milepost.domain import facts as f
from milepost.domain.kpis import ABANDONED_AFTER_DAYS
from milepost.domain.order import Order, fold
from milepost.domain.sla.words import ENDED, RANKS
from milepost.processor.patience import patiently
from milepost.processor.sla.raised import last_appended, raised_of
from milepost.processor.sla.watch import Watch
from milepost.processor.state.loading import below
from milepost.processor.state.partition import Partition
from milepost.store.client import Store

IDS_A_PAGE = 200_000
ORDERS_A_PAGE = 5_000
_DAY_US = 86_400_000_000

_EVER = """
SELECT DISTINCT order_id FROM sla_events_store
WHERE partition = {partition:UInt16} AND order_id > {after:String} ORDER BY order_id LIMIT {limit:UInt32}
"""
_UNENDED = """
SELECT DISTINCT order_id FROM (
    SELECT order_id, rule, base, max(rank) AS reached FROM sla_events_store
    WHERE partition = {partition:UInt16} AND due >= {since:Int64}
    GROUP BY order_id, rule, base HAVING reached < {ended:UInt8}
)
"""
_OPEN = """
SELECT order_id FROM orders_store FINAL
WHERE partition = {partition:UInt16} AND placed_at > 0 AND closed_at = 0 AND state != 'expired'
    AND greatest(deadline, last_event_at) >= {since:Int64}
"""
_FACTS = """
SELECT order_id, facts FROM orders_store FINAL
WHERE order_id IN {orders:Array(String)} AND partition = {partition:UInt16} AND state != 'expired'
"""


async def warm(store: Store, partition: Partition, watch: Watch, now: int) -> AsyncIterator[None]:
    """Bring all that is stored of the partition's open orders into ``watch``, page by page."""
    number = partition.number
    after = ""
    while page := await patiently(store.query, _EVER, {"partition": number, "after": after, "limit": IDS_A_PAGE}):
        watch.remember([row[0] for row in page])
        after = page[-1][0]
        yield
    since = now - ABANDONED_AFTER_DAYS * _DAY_US
    key = {"partition": number, "since": since}
    ended = min(RANKS[state] for state in ENDED)
    wanted = [row[0] for row in await patiently(store.query, _UNENDED, {**key, "ended": ended})]
    wanted += [row[0] for row in await patiently(store.query, _OPEN, key)]
    yield
    orders = list(dict.fromkeys(wanted))
    for start in range(0, len(orders), ORDERS_A_PAGE):
        await _take_in(store, partition, watch, orders[start : start + ORDERS_A_PAGE], now)
        yield
    watch.is_warm()


async def _take_in(store: Store, partition: Partition, watch: Watch, orders: Sequence[str], now: int) -> None:
    rows = await patiently(store.query, _FACTS, {"orders": orders, "partition": partition.number}, binary=["facts"])
    raised = await raised_of(store, orders)
    found = {row[0]: fold(f.decode(kept)) for row in rows if (kept := below(partition.cut, row[1]))}
    # When something became known matters only where it is due by now.
    late = [order_id for order_id, order in found.items() if _may_be_due(order, now)]
    appended = await last_appended(store, partition.number, late)
    for order_id, order in found.items():
        if not watch.knows(order_id):
            watch.found(order_id, order, raised.get(order_id, []), appended.get(order_id, 0))


def _may_be_due(order: Order, now: int) -> bool:
    promises = order.promises
    return promises is None or promises.in_force.deadline <= now or order.last_event_at <= now
