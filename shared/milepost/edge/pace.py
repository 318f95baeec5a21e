"""How much may be in hand, so that nobody waits for long: it follows what is really answered in time."""

import time
from collections.abc import Callable

FLOOR_BYTES = 16 * 1024


class Pace:
    """A window of bytes in hand, up to ``most``, that keeps the time to an answer about ``target_seconds``.

    Whatever makes answers late (a broker that is slow or throttles us, a busy machine), the window falls to half of
    what was in hand then, at most once a round, and grows by what is answered sooner.
    """

    def __init__(self, most: int, target_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.window = most
        self.clock = clock
        self._most = most
        self._target = target_seconds
        self._narrowed_at = -1e9

    def answered(self, size: int, seconds: float, in_hand: int) -> None:
        """``size`` bytes were answered ``seconds`` after they were there, while ``in_hand`` bytes were in hand."""
        if seconds > self._target:
            now = self.clock()
            # What was taken before the window became narrower says nothing about the window as it is now.
            if now - seconds >= self._narrowed_at:
                self._narrowed_at = now
                self.window = max(FLOOR_BYTES, min(self.window, in_hand) // 2)
        elif self.window < self._most and seconds < self._target / 2:
            self.window = min(self._most, self.window + size)
