"""A partition's orders in memory: a cache of facts over ``orders_store``."""

from collections.abc import Iterable, Iterator

from rbloom import Bloom

FALSE_POSITIVES = 0.01


class OrderCache:
    """The facts, as bytes, of the orders last touched; a filter knows which others are stored.

    An order neither here nor in the filter has never been seen: no look-up is needed. A false positive costs one.
    """

    def __init__(self, stored: Iterable[str] = (), expected: int = 0) -> None:
        self._facts: dict[str, bytes] = {}
        self._capacity = max(1_000_000, 4 * expected)
        self._known = Bloom(self._capacity, FALSE_POSITIVES)
        self._known.update(stored)

    def __len__(self) -> int:
        return len(self._facts)

    def missing(self, subjects: Iterable[str]) -> list[str]:
        """Those of ``subjects`` that must be looked up in the store."""
        here, known = self._facts, self._known
        return [subject for subject in subjects if subject not in here and subject in known]

    def get(self, subject: str) -> bytes | None:
        """The facts of an order, None for one not here."""
        return self._facts.get(subject)

    def put(self, subject: str, facts: bytes) -> None:
        """Keep an order's facts, as the one touched last."""
        if self._facts.pop(subject, None) is None:
            self._known.add(subject)
        self._facts[subject] = facts

    def evict(self, most: int) -> None:
        """Forget the orders longest untouched until at most ``most`` are here; only between flushes."""
        surplus = len(self._facts) - most
        if surplus > 0:
            for subject in list(self._first(surplus)):
                del self._facts[subject]

    def _first(self, count: int) -> Iterator[str]:
        for number, subject in enumerate(self._facts):
            if number == count:
                return
            yield subject
