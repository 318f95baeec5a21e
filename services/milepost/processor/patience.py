"""Waiting for a store that is away: nothing is lost, nothing is committed, and it is said."""

import asyncio
import logging
import traceback
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from milepost.store.client import ANSWER_SECONDS
from milepost.store.errors import SinkUnavailableError

T = TypeVar("T")

log = logging.getLogger(__name__)

FIRST_WAIT_SECONDS = 0.2
LONGEST_WAIT_SECONDS = 5.0
FIRST_ANSWER_SECONDS = 10
"""How long an answer is waited for at first. A lost one never comes; a slow one gets twice the time each time."""
LONGEST_ANSWER_SECONDS = 240
_MOMENT_SECONDS = 0.02


class Patience:
    """How often the store has failed in a row, for readiness and metrics."""

    failures = 0
    last_failure = ""


PATIENCE = Patience()
"""One a process, like the store it waits for."""


async def patiently(call: Callable[..., T], *arguments: Any, **options: Any) -> T:
    """The result of the blocking ``call``, run in a thread and tried again until the store answers.

    Raises what time cannot heal: ``SinkRefusedError`` and everything that is not the store's.
    """
    wait, answer = FIRST_WAIT_SECONDS, FIRST_ANSWER_SECONDS
    while True:
        try:
            with _answered_within(answer):
                result = await asyncio.to_thread(call, *arguments, **options)
        except SinkUnavailableError as error:
            PATIENCE.failures += 1
            PATIENCE.last_failure = str(error)
            _forget(error)
            log.warning("the store is away, waiting %.1f s: %s", wait, error)
            await asyncio.sleep(wait)
            wait, answer = min(wait * 2, LONGEST_WAIT_SECONDS), min(answer * 2, LONGEST_ANSWER_SECONDS)
        else:
            PATIENCE.failures = 0
            return result


async def meanwhile(task: "asyncio.Task[Any]") -> AsyncIterator[None]:
    """Yields every moment until ``task`` is done; where the caller is then let go for good, the task goes on."""
    while not task.done():
        await asyncio.wait({task}, timeout=_MOMENT_SECONDS)
        yield


@contextmanager
def _answered_within(seconds: int) -> Iterator[None]:
    token = ANSWER_SECONDS.set(seconds)
    try:
        yield
    finally:
        ANSWER_SECONDS.reset(token)


def _forget(error: BaseException) -> None:
    """Let go of what the calls behind ``error`` had in hand.

    The driver's errors lie in cycles that keep every frame, so each failed insert would keep a copy of its rows until
    the collector comes by; while nothing else is done, it does not.
    """
    found: BaseException | None = error
    while found is not None:
        traceback.clear_frames(found.__traceback__)
        found = found.__cause__ or found.__context__
