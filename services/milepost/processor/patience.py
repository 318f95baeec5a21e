"""Waiting for a store that is away: nothing is lost, nothing is committed, and it is said."""

import asyncio
import logging
import time
import traceback
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
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
_ABANDONED: set["asyncio.Task[Any]"] = set()


class Patience:
    """How often the store has failed in a row, for readiness and metrics."""

    failures = 0
    last_failure = ""
    answered_at = 0.0
    """When it last answered, as ``time.monotonic`` counts."""


PATIENCE = Patience()
"""One a process, like the store it waits for."""


async def patiently(call: Callable[..., T], *arguments: Any, writes: bool = False, **options: Any) -> T:
    """The result of the blocking ``call``, run in a thread and tried again until the store answers.

    Where the caller is cancelled the call itself goes on in its thread: one that ``writes`` can be waited for
    (``abandoned``). Raises what time cannot heal: ``SinkRefusedError`` and everything that is not the store's.
    """
    wait, answer = FIRST_WAIT_SECONDS, FIRST_ANSWER_SECONDS
    while True:
        try:
            with _answered_within(answer):
                calling = asyncio.to_thread(call, *arguments, **options)
                result = await (_to_be_waited_for(calling) if writes else calling)
        except SinkUnavailableError as error:
            PATIENCE.failures += 1
            PATIENCE.last_failure = str(error)
            _forget(error)
            log.warning("the store is away, waiting %.1f s: %s", wait, error)
            await asyncio.sleep(wait)
            wait, answer = min(wait * 2, LONGEST_WAIT_SECONDS), min(answer * 2, LONGEST_ANSWER_SECONDS)
        else:
            PATIENCE.failures = 0
            PATIENCE.answered_at = time.monotonic()
            return result


async def _to_be_waited_for(writing: Coroutine[Any, Any, T]) -> T:
    task = asyncio.create_task(writing)
    try:
        return await asyncio.shield(task)
    finally:
        if not task.done():
            _ABANDONED.add(task)
            task.add_done_callback(_end_of_abandoned)


def _end_of_abandoned(task: "asyncio.Task[Any]") -> None:
    _ABANDONED.discard(task)
    if not task.cancelled() and task.exception() is not None:
        log.info("a write that was given up has failed: %s", task.exception())


async def abandoned(seconds: float) -> None:
    """Wait, ``seconds`` at most, until no write goes on whose caller was cancelled: it may still land."""
    if _ABANDONED:
        await asyncio.wait(set(_ABANDONED), timeout=seconds)


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
