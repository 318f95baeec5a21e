"""The orders of a flush, shown to those who watch SLAs and foresee breaches."""

import logging
from typing import TYPE_CHECKING

from milepost.domain import facts as f

if TYPE_CHECKING:
    from milepost.processor.state.partition import Batch, Partition, Pending

log = logging.getLogger(__name__)

YIELD_EVERY = 200
_ENDS = (f.Delivered, f.Returned, f.Lost)


async def look_at_slas(partition: "Partition", pending: "Pending", batch: "Batch") -> None:
    """Note every order that the flush has touched, and put what its SLAs reached by it into ``batch``."""
    touched, batch.touched = batch.touched, []
    watch = partition.watch
    for number, (subject, order, fresh, first) in enumerate(touched):
        if order.placed is not None:
            hub = order.placed.hub_id
            for fact in fresh:
                batch.heard[fact.source, hub] += 1
        if watch is not None:
            try:
                watch.note(subject, order, pending.appended_of(subject), fresh[-1].offset, first=first)
                if order.closed_at and any(isinstance(fact, _ENDS) for fact in fresh):
                    watch.learn(order)
            except Exception:
                # The fault is ours, and no reason to stop counting: it is said, and an alert looks at it.
                log.exception("the SLAs of order %s cannot be watched", subject)
                watch.forget(subject)
                batch.unwatched += 1
            if number % YIELD_EVERY == 0:
                batch.told += [(told, partition.number) for told in watch.take()]
                await batch.breathe()
    if watch is not None:
        batch.told += [(told, partition.number) for told in watch.take()]
