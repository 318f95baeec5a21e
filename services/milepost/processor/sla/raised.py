"""What is stored of orders' SLAs, by order."""

from collections.abc import Iterator, Sequence

from milepost.domain.sla.life import Raised
from milepost.processor.patience import patiently
from milepost.store.client import Store

KEYS_A_QUERY = 5_000

_RAISED = """
SELECT order_id, rule, base, argMax(due, rank), max(rank), argMax(policy_version, rank) FROM sla_events_store
WHERE order_id IN {orders:Array(String)} GROUP BY order_id, rule, base
"""
_LAST_APPENDED = """
SELECT subject, max(appended) FROM events_store
WHERE subject IN {orders:Array(String)} AND partition = {partition:UInt16} GROUP BY subject
"""


async def raised_of(store: Store, orders: Sequence[str]) -> dict[str, list[Raised]]:
    """All that was ever raised of ``orders``, by order."""
    found: dict[str, list[Raised]] = {}
    for keys in _portions(orders):
        for order_id, *values in await patiently(store.query, _RAISED, {"orders": keys}):
            found.setdefault(order_id, []).append(Raised(*values))
    return found


async def last_appended(store: Store, partition: int, orders: Sequence[str]) -> dict[str, int]:
    """When the last stored event of each of ``orders`` was appended, in microseconds."""
    found: dict[str, int] = {}
    for keys in _portions(orders):
        found |= dict(await patiently(store.query, _LAST_APPENDED, {"orders": keys, "partition": partition}))
    return found


def _portions(orders: Sequence[str]) -> Iterator[list[str]]:
    for start in range(0, len(orders), KEYS_A_QUERY):
        yield list(orders[start : start + KEYS_A_QUERY])
