"""A cache of what was touched last, safe beside a flush that is not stored yet."""

from itertools import islice
from typing import Generic, TypeVar

T = TypeVar("T")


class Recent(Generic[T]):
    """Values by subject. What has been put since the last ``evict`` is never evicted by the next one: it belongs to the
    flush just built, which is not in the store yet.
    """

    def __init__(self) -> None:
        self._kept: dict[str, T] = {}
        self._touched: set[str] = set()

    def __len__(self) -> int:
        return len(self._kept)

    def __contains__(self, subject: str) -> bool:
        return subject in self._kept

    def get(self, subject: str) -> T | None:
        """The value of ``subject``, None where it is not here."""
        return self._kept.get(subject)

    def put(self, subject: str, value: T) -> None:
        """Keep a value, as the one touched last."""
        self._kept.pop(subject, None)
        self._kept[subject] = value
        self._touched.add(subject)

    def evict(self, most: int) -> None:
        """Forget what was longest untouched until at most ``most`` are here."""
        surplus = len(self._kept) - max(most, len(self._touched))
        if surplus > 0:
            for subject in list(islice(self._kept, surplus)):
                del self._kept[subject]
        self._touched.clear()
