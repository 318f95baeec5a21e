"""When a partition stops because too much of what comes fails, instead of dead-lettering a whole topic."""

from bisect import bisect_left
from collections.abc import Sequence

from milepost.processor.arrival.intake import Rejected

COUNTED = frozenset({"not_json", "invalid", "unknown_type", "failed", "misplaced"})
"""Reasons that speak of a fault in what is sent or in us. A conflict, an expired order are one event's business."""


class Failures:
    """The failed records of a partition, by offset: good ones cost nothing. Offsets are taken to be without gaps."""

    def __init__(self, share: float = 0.5, window: int = 1_000, run: int = 200) -> None:
        """``add`` speaks up at more than ``share`` of any ``window`` records, or at ``run`` in a row."""
        self._most = int(share * window)
        self._window = window
        self._run = run
        self._reach = max(window, run)
        self._failed: list[int] = []

    def add(self, rejected: Sequence[Rejected]) -> str | None:
        """Count what was rejected, in any order; returns why the partition must pause, None while it need not."""
        new = sorted(one.record.offset for one in rejected if one.reason in COUNTED)
        if not new:
            return None
        failed = self._failed
        if not failed or new[0] > failed[-1]:
            failed += new
        else:
            failed[:] = sorted({*failed, *new})
        return self._fault(bisect_left(failed, new[0] - self._reach))

    def forget(self, before: int) -> None:
        """Nothing before offset ``before`` will fail any more."""
        del self._failed[: bisect_left(self._failed, before - self._reach)]

    def clear(self) -> None:
        """Count anew."""
        self._failed.clear()

    def _fault(self, start: int) -> str | None:
        failed = self._failed
        run, first = 0, start
        for place in range(start, len(failed)):
            offset = failed[place]
            run = run + 1 if run and offset == failed[place - 1] + 1 else 1
            if run >= self._run:
                return f"{run} records in a row failed, up to offset {offset}"
            while failed[first] <= offset - self._window:
                first += 1
            if place - first + 1 > self._most:
                return f"{place - first + 1} of {self._window} records failed, up to offset {offset}"
        return None
