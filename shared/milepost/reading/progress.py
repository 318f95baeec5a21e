"""How fresh the numbers are: the moment up to which everything received is in them."""

from datetime import UTC, datetime

from milepost.store.client import Store

_WATERMARK = """
SELECT
    count(),
    countIf(next_offset < end_offset AND applied_until = 0),
    min(if(next_offset < end_offset, applied_until, checked_at))
FROM progress_store FINAL
"""


def watermark(store: Store) -> datetime | None:
    """The moment up to which every record on the topic is in the numbers; None before anything was processed.

    A partition that has caught up is as fresh as its last look at the topic, one that lags as its last record applied.

    Raises:
        StoreError: ClickHouse cannot be asked.
    """
    ((partitions, unread, micros),) = store.query(_WATERMARK)
    if not partitions or unread:
        return None
    return datetime.fromtimestamp(int(micros) / 1e6, UTC)
