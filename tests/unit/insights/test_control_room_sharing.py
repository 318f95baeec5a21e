"""Looks shared between viewers: one at a time, kept for a while, the last one shown while the store is away."""

import asyncio
import threading

import pytest

from milepost.insights.control_room.sharing import Shared
from milepost.store.errors import SinkUnavailableError


class Source:
    """Counts how often it is looked at; waits for ``gate``, and fails where told so."""

    def __init__(self) -> None:
        self.looks = 0
        self.fault: Exception | None = None
        self.gate = threading.Event()
        self.gate.set()

    def take(self) -> int:
        self.looks += 1
        assert self.gate.wait(10)
        if self.fault is not None:
            raise self.fault
        return self.looks


async def test_many_who_ask_at_once_cost_one_look() -> None:
    shared, source = Shared[int](), Source()
    found = await asyncio.gather(*(shared.get("a", source.take) for _ in range(20)))
    assert {one.look for one in found} == {1}
    assert (await shared.get("a", source.take)).look == 1
    assert (await shared.get("b", source.take)).look == 2
    assert source.looks == 2


async def test_an_old_look_is_taken_anew() -> None:
    shared, source = Shared[int](seconds=0), Source()
    assert [(await shared.get("a", source.take)).look for _ in range(3)] == [1, 2, 3]


async def test_while_the_store_is_away_the_last_look_comes_with_the_reason() -> None:
    shared, source = Shared[int](seconds=0), Source()
    assert (await shared.get("a", source.take)).fault is None
    source.fault = SinkUnavailableError("gone")
    away = await shared.get("a", source.take)
    assert (away.look, away.fault) == (1, "gone")
    never = await shared.get("b", source.take)
    assert (never.look, never.fault) == (None, "gone")
    source.fault = None
    assert (await shared.get("a", source.take)).fault is None


async def test_a_store_that_hangs_is_not_waited_for_nor_asked_twice() -> None:
    shared, source = Shared[int](seconds=0, patience=0.02, first_patience=0.03), Source()
    source.gate.clear()
    never = await shared.get("a", source.take)
    assert (never.look, never.fault) == (None, "ClickHouse has not answered within 0.03 s")
    source.gate.set()
    # What comes late is not lost.
    late = [await shared.get("a", source.take) for _ in range(1_000)]
    assert late[-1].fault is None
    source.gate.clear()
    before = source.looks
    hung = [await shared.get("a", source.take) for _ in range(3)]
    assert {one.fault for one in hung} == {"ClickHouse has not answered within 0.02 s"}
    assert {one.look for one in hung} == {before}
    assert source.looks == before + 1
    source.gate.set()


async def test_what_is_wrong_with_us_is_not_called_the_stores_fault() -> None:
    shared, source = Shared[int](), Source()
    source.fault = ZeroDivisionError()
    with pytest.raises(ZeroDivisionError):
        await shared.get("a", source.take)


async def test_places_are_bounded() -> None:
    shared, source = Shared[int](most=2), Source()
    for key in ("a", "b", "c", "a"):
        await shared.get(key, source.take)
    assert source.looks == 4
