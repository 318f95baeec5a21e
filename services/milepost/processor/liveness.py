"""Whether a worker is alive: the offsets of each of its partitions move while it lags, and its event loop turns."""

import faulthandler
import time
from collections.abc import Callable, Collection

from milepost.processor.engine import Engine
from milepost.processor.patience import PATIENCE


class StalledError(RuntimeError):
    """Offsets do not move while there is lag: end the worker, so that it is started anew."""


class Liveness:
    """Watches an engine's cuts, each by itself: one that is stuck is seen among others that move.

    A store that is away is no stall, the worker waits and says so in its readiness; nor is a partition that waits for
    an answer, nor one whose flush is being made: that may take long where the machine has much else to do. One that the
    group gave us and that we do not have in hand is one.
    """

    def __init__(self, engine: Engine, stall_seconds: float, given: Callable[[], Collection[int]]) -> None:
        """``given``: the partitions that are ours, as the group says."""
        self._engine = engine
        self._longest = stall_seconds
        self._given = given
        self._moved: dict[int, tuple[tuple[int, int], float]] = {}
        self._complete_at = time.monotonic()

    @property
    def assigned(self) -> bool:
        """Whether partitions have been taken in hand at least once."""
        return self._engine.generation > 0

    def fault(self) -> str | None:
        """Why the worker should be ended, None while it lives."""
        now = time.monotonic()
        lag, paused = self._engine.lag(), self._engine.paused
        steps = self._engine.steps
        moved: dict[int, tuple[tuple[int, int], float]] = {}
        for number, cut in self._engine.cuts.items():
            place = cut, steps.get(number, 0)
            seen = self._moved.get(number)
            excused = PATIENCE.failures or not lag.get(number) or number in paused
            moved[number] = seen if seen is not None and seen[0] == place and not excused else (place, now)
        self._moved = moved
        absent = sorted(set(self._given()) - moved.keys())
        if not absent or self._engine.taking or PATIENCE.failures:
            self._complete_at = now
        elif now - self._complete_at > self._longest:
            return f"partitions {absent} are ours and were never taken in hand"
        still = {number: now - since for number, (_, since) in moved.items() if now - since > self._longest}
        if not still:
            return None
        told = ", ".join(f"{number} for {seconds:.0f} s" for number, seconds in sorted(still.items()))
        return f"offsets have not moved while there is lag: partition {told}"

    def arm(self) -> None:
        """End the process, with the stack of every thread, unless this is called again in time.

        Called from the event loop, it sees a loop that is blocked, and a stop that does not end.
        """
        faulthandler.dump_traceback_later(self._longest, exit=True)
