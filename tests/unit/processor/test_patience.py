"""Waiting for the store costs no memory, however often it is tried."""

import asyncio
import gc
import weakref
from collections.abc import Iterator

import pytest

from milepost.processor import patience
from milepost.processor.patience import PATIENCE, patiently
from milepost.store.errors import SinkUnavailableError

TRIES = 5


class Rows:
    """What a flush has in hand."""


@pytest.fixture
def uncollected() -> Iterator[None]:
    """Nothing goes by itself that lies in a cycle."""
    gc.disable()
    yield
    gc.enable()
    PATIENCE.failures = 0


@pytest.mark.usefixtures("uncollected")
async def test_a_failed_try_leaves_nothing_of_its_rows_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "FIRST_WAIT_SECONDS", 0.0)
    tried: list[weakref.ref[Rows]] = []

    def insert() -> str:
        encoded = Rows()
        tried.append(weakref.ref(encoded))
        if len(tried) > TRIES:
            return "stored"
        try:
            raise ConnectionRefusedError  # noqa: TRY301
        except ConnectionRefusedError as cause:
            error = SinkUnavailableError("away")
            # As the driver's errors do.
            error.args = (*error.args, error)
            raise error from cause

    assert await asyncio.wait_for(patiently(insert), 10) == "stored"
    assert [one() for one in tried[:TRIES]] == [None] * TRIES
    assert PATIENCE.failures == 0
