"""How fresh the numbers are, from what each partition says of itself."""

from datetime import UTC, datetime, timedelta

import pytest

from milepost.reading.progress import watermark
from milepost.settings import Settings
from milepost.store.client import reader, writer
from milepost.store.tables import PROGRESS

pytestmark = pytest.mark.needs_platform

NOW = datetime(2026, 3, 1, 12, 0, 0, 250_000, tzinfo=UTC)


def micros(seconds: float) -> int:
    return int((NOW + timedelta(seconds=seconds)).timestamp() * 1e6)


def test_the_watermark_is_the_partition_furthest_behind(installation: Settings) -> None:
    with writer(installation) as write, reader(installation) as store:
        assert watermark(store) is None
        # Caught up: as fresh as the last look, however long ago the last record came.
        write.insert(PROGRESS, [(0, 10, 10, micros(-900), micros(-950), micros(-1))])
        assert watermark(store) == NOW - timedelta(seconds=1)
        # Lagging: as fresh as the last record applied.
        write.insert(PROGRESS, [(1, 5, 10, micros(-60), micros(-950), micros(0))])
        assert watermark(store) == NOW - timedelta(seconds=60)
        # A later look at it counts, not the earlier one.
        write.insert(PROGRESS, [(1, 10, 10, micros(-5), micros(-950), micros(1))])
        assert watermark(store) == NOW - timedelta(seconds=1)
        # Never read, with records waiting: nothing can be promised.
        write.insert(PROGRESS, [(2, 0, 3, 0, 0, micros(0))])
        assert watermark(store) is None
