"""Events that make us fail, told apart from those of the same subject that do not."""

from collections.abc import Callable

from milepost.processor.arrival.intake import Taken, failed
from milepost.processor.state.partition import Batch, Difference

Apply = Callable[[list[Taken], Batch], list[Difference]]


def one_by_one(
    events: list[Taken], batch: Batch, apply: Apply, undo: Callable[[list[Taken]], None] = lambda _: None
) -> list[Difference]:
    """Apply a subject's events each by itself, after all of them together have failed.

    One that fails again becomes a dead letter, and ``undo`` takes back what it has changed in memory: the subject is as
    if it had never come. Raises ``MemoryError``.
    """
    differences: list[Difference] = []
    for taken in events:
        mark = batch.mark()
        try:
            differences += apply([taken], batch)
        except Exception as error:  # noqa: BLE001 - whatever it is, the record is kept with it
            batch.back_to(mark, error)
            undo([taken])
            subject, source, event_id = taken.event_row[:3]
            batch.rejected.append(failed(taken.record, error, (subject, source, event_id)))
    return differences
