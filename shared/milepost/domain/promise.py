"""The promise of an order: the one made, the one in force, the latest one agreed."""

from collections.abc import Iterable
from typing import NamedTuple

from milepost.domain.facts import PromiseChanged


class Promise(NamedTuple):
    """A window ``[opens, deadline]`` in microseconds; ``opens`` 0 where there is none."""

    opens: int
    deadline: int


class Promises(NamedTuple):
    """Every promise that matters: ``in_force`` after ``moves`` changes; ``agreed`` is the latest one customer or
    merchant agreed to, even after a miss; ``carrier`` what the carrier announced last (0: nothing), moving nothing.
    """

    original: Promise
    in_force: Promise
    moves: int
    agreed: int
    carrier: int


def resolve(original: Promise, changes: Iterable[PromiseChanged], delivered_at: int) -> Promises:
    """The promises of an order, from its changes in order of time; ``delivered_at`` 0 where it is not delivered.

    A change moves the promise in force if customer or merchant asked for it at or before the deadline then in force
    and before delivery. A change without an opening clears it.
    """
    in_force, moves, agreed, carrier = original, 0, original.deadline, 0
    for change in changes:
        if change.requested_by == "carrier":
            carrier = change.promised_until
            continue
        agreed = change.promised_until
        if change.time <= in_force.deadline and not (delivered_at and change.time >= delivered_at):
            in_force = Promise(change.promised_from, change.promised_until)
            moves += 1
    return Promises(original, in_force, moves, agreed, carrier)
