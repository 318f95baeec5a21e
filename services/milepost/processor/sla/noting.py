"""The orders of a flush, shown to those who watch SLAs and foresee breaches."""

import logging
from typing import TYPE_CHECKING

from milepost.domain import facts as f
from milepost.domain.kpis import DAY_US
from milepost.domain.sla.life import Raised
from milepost.processor.sla.raised import last_appended, raised_of
from milepost.processor.sla.watch import Watch
from milepost.store.client import Store

if TYPE_CHECKING:
    from milepost.processor.state.partition import Batch, Partition, Pending, Touched

log = logging.getLogger(__name__)

YIELD_EVERY = 200
LATELY_US = 14 * DAY_US
"""What ended longer ago teaches nothing about the orders of today."""
_ENDS = (f.Delivered, f.Returned, f.Lost)


async def look_at_slas(partition: "Partition", pending: "Pending", store: Store, batch: "Batch") -> None:
    """Note every order that the flush has touched, and put what its SLAs reached by it into ``batch``.

    What is not known here is looked up: all that events bring about must be told before the cut passes them by.
    """
    touched, batch.touched = batch.touched, []
    watch = partition.watch
    if watch is None:
        return
    unsure: list[Touched] = []
    for number, one in enumerate(touched):
        try:
            appended = pending.appended_of(one.subject)
            if appended - one.order.closed_at < LATELY_US and any(isinstance(fact, _ENDS) for fact in one.fresh):
                watch.learn(one.subject, one.order)
            if not watch.note(one.subject, one.order, appended, first=one.first):
                unsure.append(one)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is no reason to stop counting
            _give_up(watch, one, error)
        if number % YIELD_EVERY == 0:
            _take(watch, partition, batch)
            await batch.breathe()
    _take(watch, partition, batch)
    if unsure:
        names = [one.subject for one in unsure]
        raised, known = await raised_of(store, names), await last_appended(store, partition.number, names)
        for one in unsure:
            _find(watch, one, raised.get(one.subject, []), known.get(one.subject), pending)
        _take(watch, partition, batch)


def _find(
    watch: Watch,
    one: "Touched",
    raised: list[Raised],
    known_at: int | None,
    pending: "Pending",
) -> None:
    appended = pending.appended_of(one.subject)
    try:
        watch.found(one.subject, one.order, raised, appended if known_at is None else known_at, appended)
    except Exception as error:  # noqa: BLE001 - as above
        _give_up(watch, one, error)


def _give_up(watch: Watch, one: "Touched", error: Exception) -> None:
    """The fault is ours: it is said, and counted."""
    log.error("the SLAs of order %s cannot be watched", one.subject, exc_info=error)
    watch.forget(one.subject)
    watch.failures += 1


def _take(watch: Watch, partition: "Partition", batch: "Batch") -> None:
    batch.told += [(told, partition.number) for told in watch.take()]
