"""What time it is for the log: the broker's clock, as its records tell, where ours was put back."""

import time

BELIEVED_SECONDS = 600.0
"""How long a record is believed; then the next one is, although it says an earlier time."""


class BrokerClock:
    """Moments in microseconds. Goes by a clock that nobody can set, from the latest moment that a record has told."""

    def __init__(self) -> None:
        self._lead = 0
        self._told_at = float("-inf")

    def hear(self, appended: int) -> None:
        """A record that has just been read was appended at ``appended``."""
        now = time.monotonic()
        lead = appended - int(now * 1e6)
        if lead >= self._lead or now - self._told_at > BELIEVED_SECONDS:
            self._lead, self._told_at = lead, now

    def now(self) -> int:
        """Our clock, or the broker's where that is ahead: a record from the future of ours shows that ours is slow."""
        return max(time.time_ns() // 1000, self._lead + int(time.monotonic() * 1e6))
