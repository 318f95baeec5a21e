"""What is new in the store: states of SLAs that have not been told yet, however late their rows come."""

import time
from collections.abc import Sequence

from milepost.contracts.event import micros
from milepost.reading.sla.events import SlaEvent, events_since, ids_since
from milepost.store.client import Store

OVERLAP_SECONDS = 30
"""How much of what was looked at before every look looks at again: rows come in the order they are written."""
LONG_SECONDS = 30 * 60
"""How much every long look does: a worker whose store was away writes late."""
LONG_EVERY_SECONDS = 15.0
MOST_A_LOOK = 20_000

_MICROS = 1_000_000


class News:
    """Remembers which states are known. Its calls block; one at a time."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._seen: dict[str, int] = {}
        self._latest = 0
        self._long_at = 0.0

    def begin(self, moment: int) -> None:
        """Take what is there and was detected before ``moment`` (microseconds) for known. Raises ``StoreError``."""
        there = ids_since(self._store, moment - LONG_SECONDS * _MICROS)
        self._seen = {name: detected for name, detected in there.items() if detected < moment}
        self._latest = max(self._seen.values(), default=moment - OVERLAP_SECONDS * _MICROS)
        self._long_at = time.monotonic()

    def look(self) -> Sequence[SlaEvent]:
        """The states that have come since the last look, as they were detected. Raises ``StoreError``."""
        long = time.monotonic() - self._long_at >= LONG_EVERY_SECONDS
        since = self._latest - (LONG_SECONDS if long else OVERLAP_SECONDS) * _MICROS
        there = ids_since(self._store, since)
        unknown = [detected for name, detected in there.items() if name not in self._seen]
        found = events_since(self._store, min(unknown), MOST_A_LOOK) if unknown else ()
        fresh = [event for event in found if event.id not in self._seen]
        for event in fresh:
            self._seen[event.id] = micros(event.detected)
            self._latest = max(self._latest, micros(event.detected))
        if long:
            self._long_at = time.monotonic()
            # What no look reaches any more need not be remembered.
            oldest = self._latest - 2 * LONG_SECONDS * _MICROS
            self._seen = {name: detected for name, detected in self._seen.items() if detected >= oldest}
        return fresh
