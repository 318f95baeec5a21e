"""What a forecast begins with after a start: the orders whose promises were decided last."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from milepost.contracts.event import micros
from milepost.domain.facts import decode
from milepost.domain.order import Order, fold
from milepost.store.client import Store

SEED_DAYS = 14
SEED_ORDERS = 10_000
"""The latest so many: a forecast forgets by halves, so those before them would hardly count."""

_DECIDED = "if(delivered_at > 0 AND delivered_at <= deadline, delivered_at, deadline)"
# The ids first, so that the facts, which are most of a row, are read for the chosen alone.
_LATEST = f"""
SELECT facts FROM orders_store FINAL
PREWHERE order_id IN (
    SELECT order_id FROM orders_store FINAL
    WHERE placed_at > 0 AND {_DECIDED} >= {{since:Int64}} AND {_DECIDED} < {{until:Int64}}
    ORDER BY {_DECIDED} DESC LIMIT {{most:UInt64}}
)
WHERE facts != ''
ORDER BY {_DECIDED}
"""


def seed_rows(store: Store, now: datetime, most: int = SEED_ORDERS) -> Iterator[Order]:
    """The last ``most`` orders whose promises were decided in the ``SEED_DAYS`` before ``now``, the earliest first.

    Whole orders rather than sums of them, so that a forecast learns from them as it would have from the log.

    Raises:
        StoreError: ClickHouse cannot be asked.
    """
    span = {"since": micros(now - timedelta(days=SEED_DAYS)), "until": micros(now), "most": most}
    rows = store.query(_LATEST, span, binary=["facts"])
    return (fold(decode(facts)) for (facts,) in rows)
