"""How many bytes may wait for the broker, so that none of them waits for long."""

import time
from collections.abc import Callable

FLOOR_BYTES = 64 * 1024
TARGET_SHARE = 0.25
"""Of the time a publisher waits for an acknowledgement at most: from this share on, records wait too long."""


class Pace:
    """A window of bytes that follows what the broker acknowledges in time.

    It is halved, at most once a round, where records had to wait longer than a share of ``timeout_seconds``, and grows
    by what was acknowledged sooner, up to ``most`` bytes.
    """

    def __init__(self, most: int, timeout_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.window = most
        self._most = most
        self._target = timeout_seconds * TARGET_SHARE
        self._clock = clock
        self._narrowed_at = 0.0

    def acknowledged(self, size: int, seconds: float) -> None:
        """``size`` bytes were acknowledged ``seconds`` after they had been handed over."""
        if seconds > self._target:
            self.late(seconds)
        elif self.window < self._most and seconds < self._target / 2:
            self.window = min(self._most, self.window + size)

    def late(self, seconds: float) -> None:
        """Something waited ``seconds``, which is too long, whether or not it was acknowledged then."""
        now = self._clock()
        # What was handed over before the window became narrower says nothing about the window as it is now.
        if now - seconds >= self._narrowed_at:
            self._narrowed_at = now
            self.window = max(FLOOR_BYTES, self.window // 2)
