"""A partition's orders in memory: a cache of facts over ``orders_store``."""

from collections.abc import Iterable

from rbloom import Bloom

from milepost.processor.state.recent import Recent

FALSE_POSITIVES = 0.01

GONE = b""
"""In place of an order's facts: it has expired, and only what it counted for is kept."""
EXPIRED = "expired"
"""The state of such an order's row."""


class OrderCache(Recent[bytes]):
    """The facts, as bytes, of the orders last touched; a filter knows which others are stored.

    An order neither here nor in the filter has never been seen: no look-up is needed. A false positive costs one.
    """

    def __init__(self, stored: Iterable[str] = (), expected: int = 0) -> None:
        super().__init__()
        self._known = Bloom(max(1_000_000, 4 * expected), FALSE_POSITIVES)
        self._known.update(stored)

    def know(self, subject: str) -> None:
        """Note that ``subject`` is stored."""
        self._known.add(subject)

    def missing(self, subjects: Iterable[str]) -> list[str]:
        """Those of ``subjects`` that must be looked up in the store."""
        known = self._known
        return [subject for subject in subjects if subject not in self and subject in known]

    def put(self, subject: str, facts: bytes) -> None:
        """Keep an order's facts, as the one touched last."""
        if subject not in self:
            self._known.add(subject)
        super().put(subject, facts)
