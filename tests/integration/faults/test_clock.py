"""A worker's clock is put back: what it tells of its progress is believed all the same."""

import time
from typing import Any

import pytest

from milepost.store.client import Store

pytestmark = pytest.mark.needs_platform

HOUR_NS = 3_600_000_000_000


def _told(store: Store) -> dict[int, tuple[int, int]]:
    rows = store.query("SELECT partition, next_offset, end_offset FROM progress")
    return {row[0]: (row[1], row[2]) for row in rows}


async def test_progress_goes_on_after_a_step_back_also_in_other_hands(
    database: Any, store: Store, parts: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = parts.city(40, "clock")
    ends = {number: len(records) for number, records in log.records.items()}
    worker = parts.Worker(database, store, log)
    await worker.assign()
    await worker.read(10)
    await worker.engine.flush()
    await worker.engine._tell_progress()
    assert _told(store) == {number: (10, end) for number, end in ends.items()}
    right = time.time_ns
    for another, reach in ((False, 20), (True, 30)):
        monkeypatch.setattr(time, "time_ns", lambda back=HOUR_NS * reach: right() - back)
        if another:
            worker = parts.Worker(database, store, log)
            await worker.assign()
        await worker.read(10)
        await worker.engine.flush()
        await worker.engine._tell_progress()
        assert _told(store) == {number: (reach, end) for number, end in ends.items()}
    await worker.all()
    parts.check(store, log)
