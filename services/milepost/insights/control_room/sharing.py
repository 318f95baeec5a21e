"""One look at the store serves everybody who asks within some seconds, and the last good one outlives a failure."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

from milepost.store.errors import StoreError

SHARED_SECONDS = 5.0
PATIENCE_SECONDS = 5.0
"""How long a page waits for the store before it is shown with what was known last."""
FIRST_PATIENCE_SECONDS = 20.0
"""How long where nothing is known yet."""
MOST_KEPT = 64

Look = TypeVar("Look")


@dataclass(frozen=True)
class Found(Generic[Look]):
    """What was found: ``look`` is None where there never was one; ``fault`` says why it is not of now."""

    look: Look | None
    fault: str | None = None


@dataclass
class _Place(Generic[Look]):
    look: Look | None = None
    taken: float = 0.0
    under_way: "asyncio.Task[None] | None" = None


class Shared(Generic[Look]):
    """Looks by key; of each key one at a time is taken, and kept for ``seconds``.

    Old looks of the ``most`` keys asked for last stay in memory, to be shown while the store is away.
    """

    def __init__(
        self,
        seconds: float = SHARED_SECONDS,
        patience: float = PATIENCE_SECONDS,
        first_patience: float = FIRST_PATIENCE_SECONDS,
        most: int = MOST_KEPT,
    ) -> None:
        self._seconds = seconds
        self._patience = patience
        self._first_patience = first_patience
        self._most = most
        self._places: OrderedDict[Hashable, _Place[Look]] = OrderedDict()

    async def get(self, key: Hashable, take: Callable[[], Look]) -> Found[Look]:
        """The look of ``key``: one of the last seconds, else that of ``take``, which may block and runs in a thread.

        A ``StoreError`` of ``take``, or that it takes too long, is told as the fault beside the last look there was.
        """
        place = self._places.setdefault(key, _Place())
        self._places.move_to_end(key)
        while len(self._places) > self._most:
            self._places.popitem(last=False)
        if place.look is not None and time.monotonic() - place.taken < self._seconds:
            return Found(place.look)
        if place.under_way is None or place.under_way.done():
            place.under_way = asyncio.create_task(_taken(place, take))
        patience = self._first_patience if place.look is None else self._patience
        try:
            # Who gives up waiting does not call off the look: it comes late, to whoever asks next.
            await asyncio.wait_for(asyncio.shield(place.under_way), patience)
        except TimeoutError:
            place.under_way.add_done_callback(_heard)
            return Found(place.look, f"ClickHouse has not answered within {patience:g} s")
        except StoreError as error:
            return Found(place.look, str(error))
        return Found(place.look)


async def _taken(place: _Place[Look], take: Callable[[], Look]) -> None:
    place.look = await asyncio.to_thread(take)
    place.taken = time.monotonic()


def _heard(task: "asyncio.Task[None]") -> None:
    """Take note of how a look ended for which nobody waited; the next caller starts another and is told."""
    if not task.cancelled():
        task.exception()
