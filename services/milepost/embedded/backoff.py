"""How long to wait before a part that ended is started again."""

FIRST_SECONDS = 0.5
LONGEST_SECONDS = 30.0
STEADY_SECONDS = 20.0
"""A part that lasted this long is in order again: its next end counts as its first."""


class Backoff:
    """Doubling waits, from half a second up to half a minute."""

    def __init__(self) -> None:
        self._next = FIRST_SECONDS
        self.ends = 0
        """Ends in a row, counted anew once it was steady."""

    def after(self, lived_seconds: float) -> float:
        """Seconds to wait now that it ended after having lived so long."""
        if lived_seconds >= STEADY_SECONDS:
            self._next = FIRST_SECONDS
            self.ends = 0
        self.ends += 1
        wait = self._next
        self._next = min(self._next * 2, LONGEST_SECONDS)
        return wait
