"""What became of an order's parcels."""

from typing import NamedTuple

from milepost.domain.facts import Delivered, Lost, Returned, place_in_time


class Outcome(NamedTuple):
    """``last`` delivery that completed the order (None: not complete); ``counted``, the deliveries that brought a
    parcel first; ``ended``, by which the last parcel was delivered, returned to its sender or lost (None: not all are).
    """

    last: Delivered | None
    counted: list[Delivered]
    ended: Delivered | Returned | Lost | None


def outcome(declared: list[str], deliveries: list[Delivered], ends: list[Returned | Lost]) -> Outcome:
    """The outcome over all parcels; ``deliveries`` and ``ends`` in order of time.

    Without declared parcels there is one, and every event speaks of it. The first delivery of a parcel counts.
    """
    if not deliveries and not ends:
        return Outcome(None, [], None)
    last: Delivered | None = None
    counted: list[Delivered] = []
    ended: Delivered | Returned | Lost | None = None
    complete = closed = True
    parcels: list[str | None] = [*declared] or [None]
    for parcel in parcels:
        first = next((d for d in deliveries if _speaks_of(d.parcels, parcel)), None)
        end = next((e for e in ends if _speaks_of(e.parcels, parcel)), None)
        if first is None:
            complete = False
        else:
            if all(first is not other for other in counted):
                counted.append(first)
            if last is None or place_in_time(first) > place_in_time(last):
                last = first
        over = min((fact for fact in (first, end) if fact is not None), key=place_in_time, default=None)
        if over is None:
            closed = False
        elif ended is None or place_in_time(over) > place_in_time(ended):
            ended = over
    return Outcome(last if complete else None, counted, ended if closed else None)


def _speaks_of(named: list[str] | None, parcel: str | None) -> bool:
    return named is None or parcel is None or parcel in named


def in_full(ordered: list[tuple[str, int]], counted: list[Delivered]) -> bool | None:
    """Whether all that was ordered came undamaged, over parcels and repeated lines; None where a delivery is silent."""
    missing: dict[str, int] = {}
    for sku, quantity in ordered:
        missing[sku] = missing.get(sku, 0) + quantity
    intact = True
    for delivery in counted:
        if delivery.lines is None:
            return None
        for sku, quantity, damaged in delivery.lines:
            intact = intact and not damaged
            if sku in missing:
                missing[sku] -= quantity
    return intact and all(quantity <= 0 for quantity in missing.values())
