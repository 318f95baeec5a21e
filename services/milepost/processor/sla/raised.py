"""What is stored of orders' SLAs, by order."""

from collections.abc import Iterator, Sequence

from milepost.domain.sla.life import Raised, Step
from milepost.domain.sla.words import Cause, State
from milepost.processor.patience import patiently
from milepost.processor.sla.watch import Place, Told
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
_LAST_TOLD = """
SELECT order_id, detected, rule, base, due, state, cause, at, policy_version, chance,
    hub_id, zone_id, service_level, merchant_id, courier_id
FROM sla_events_store
WHERE (partition, detected) IN (
    SELECT partition, max(detected) FROM sla_events_store
    WHERE partition IN {partitions:Array(UInt16)} GROUP BY partition
)
ORDER BY order_id, rule, base, rank
"""


async def last_told(store: Store, partitions: Sequence[int]) -> tuple[list[Told], int]:
    """What was stored last of each of ``partitions``, and when the latest of it was detected, in microseconds."""
    found: list[Told] = []
    latest = 0
    for row in await patiently(store.query, _LAST_TOLD, {"partitions": list(partitions)}):
        order_id, detected, rule, base, due, state, cause, at, version, chance, *place = row
        step = Step(rule, base, due, State(state), Cause(cause), at, version, chance)
        found.append(Told(order_id, Place(*place), step, None, 0))
        latest = max(latest, detected)
    return found, latest


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
