"""Whether a worker is alive: its offsets move while there is lag."""

import time

from milepost.processor.engine import Engine
from milepost.processor.patience import PATIENCE

STUCK_AFTER_SECONDS = 60.0


class StalledError(RuntimeError):
    """Offsets do not move while there is lag: end the worker, so that it is started anew."""


class Liveness:
    """Watches an engine's cuts. A store that is away is no stall: the worker waits, and says so in its readiness."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._seen: dict[int, int] = {}
        self._moved_at = time.monotonic()

    @property
    def assigned(self) -> bool:
        """Whether partitions have been taken in hand at least once."""
        return self._engine.generation > 0

    def fault(self) -> str | None:
        """Why the worker should be ended, None while it lives."""
        cuts = dict(self._engine.cuts)
        if cuts != self._seen or PATIENCE.failures or not any(self._engine.lag().values()):
            self._seen = cuts
            self._moved_at = time.monotonic()
            return None
        still = time.monotonic() - self._moved_at
        return f"offsets have not moved for {still:.0f} s while there is lag" if still > STUCK_AFTER_SECONDS else None
