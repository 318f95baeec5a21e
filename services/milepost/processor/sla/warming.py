"""What a watch must know when its partition is taken in hand: the open orders, and what was raised of them."""

from collections.abc import AsyncIterator, Mapping, Sequence

from milepost.domain import facts as f
from milepost.domain.kpis import ABANDONED_AFTER_DAYS, DAY_US
from milepost.domain.order import Order, fold
from milepost.domain.sla.words import ENDED, RANKS
from milepost.processor.patience import patiently
from milepost.processor.sla.raised import last_appended, raised_of
from milepost.processor.sla.watch import Watch
from milepost.processor.state.loading import below
from milepost.processor.state.partition import Partition
from milepost.store.client import Store

IDS_A_PAGE = 200_000
ORDERS_A_PAGE = 2_000

# Of all partitions at once: the tables are not ordered by partition, so each would read as much as all do.
_OURS = "partition IN {partitions:Array(UInt16)}"
_EVER = f"""
SELECT DISTINCT order_id, partition FROM sla_events_store
WHERE {_OURS} AND order_id > {{after:String}} ORDER BY order_id LIMIT {{limit:UInt32}}
"""  # noqa: S608 - no outside value is put into the text
_UNENDED = f"""
SELECT DISTINCT partition, order_id FROM (
    SELECT partition, order_id, rule, base, max(rank) AS reached FROM sla_events_store
    WHERE {_OURS} AND due >= {{since:Int64}}
    GROUP BY partition, order_id, rule, base HAVING reached < {{ended:UInt8}}
)
"""  # noqa: S608
_OPEN = f"""
SELECT partition, order_id FROM orders_store FINAL
WHERE {_OURS} AND placed_at > 0 AND closed_at = 0 AND state != 'expired'
    AND greatest(deadline, last_event_at) >= {{since:Int64}}
"""  # noqa: S608
_FACTS = """
SELECT order_id, facts FROM orders_store FINAL
WHERE order_id IN {orders:Array(String)} AND partition = {partition:UInt16} AND state != 'expired'
"""


async def warm(store: Store, cold: Mapping[int, tuple[Partition, Watch]], now: int) -> AsyncIterator[int]:
    """Bring all that is stored of the partitions' open orders into their watches, page by page; gives the number of
    each partition that is ``warm``, else -1.
    """
    ours = {"partitions": list(cold)}
    after = ""
    while page := await patiently(store.query, _EVER, {**ours, "after": after, "limit": IDS_A_PAGE}):
        for number, (_, watch) in cold.items():
            watch.remember([order_id for order_id, belongs in page if belongs == number])
        after = page[-1][0]
        yield -1
    since = {**ours, "since": now - ABANDONED_AFTER_DAYS * DAY_US}
    ended = min(RANKS[state] for state in ENDED)
    wanted: dict[int, dict[str, None]] = {number: {} for number in cold}
    for sql, parameters in ((_UNENDED, {**since, "ended": ended}), (_OPEN, since)):
        for number, order_id in await patiently(store.query, sql, parameters):
            wanted[number][order_id] = None
        yield -1
    for number, (partition, watch) in cold.items():
        orders = list(wanted.pop(number))
        for start in range(0, len(orders), ORDERS_A_PAGE):
            await _take_in(store, partition, watch, orders[start : start + ORDERS_A_PAGE], now)
            yield -1
        watch.is_warm()
        yield number


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
