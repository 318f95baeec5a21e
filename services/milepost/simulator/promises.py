"""What is promised, by service level, and how promises move."""

from milepost.simulator.city import LOCAL_OFFSET
from milepost.simulator.draws import DAY, HOUR, MINUTE, Draws
from milepost.simulator.life import Placed, PromiseChanged

Window = tuple[int | None, int]
"""``(promised_from, promised_until)``; the first may be open."""


def _up_to(moment: int, step: int) -> int:
    return -(-moment // step) * step


def promise(draws: Draws, level: str, placed: int, *, always_open: bool) -> Window:
    """The window first promised for an order of ``level`` placed at ``placed``."""
    midnight = (placed + LOCAL_OFFSET) // DAY * DAY - LOCAL_OFFSET
    if level == "express":
        begin = placed + 5 * MINUTE if always_open else _opening(placed, midnight)
        until = _up_to(begin + (40 + 5 * draws.below(10)) * MINUTE, 5 * MINUTE)
        return (until - 20 * MINUTE if draws.chance(0.4) else None), until
    if always_open:
        until = _up_to(placed + 90 * MINUTE, 15 * MINUTE)
        return (until - HOUR if draws.chance(0.7) else None), until
    if level == "same_day":
        if placed - midnight < 16 * HOUR:
            until = max(midnight + (18 + draws.below(4)) * HOUR, _up_to(placed + 3 * HOUR, HOUR))
        else:
            until = midnight + DAY + (12 + draws.below(3)) * HOUR
        return (until - 3 * HOUR if draws.chance(0.6) else None), until
    if level == "scheduled":
        since = midnight + DAY + (8 + 2 * draws.below(6)) * HOUR
        return since, since + 2 * HOUR
    until = midnight + (1 + draws.below(2)) * DAY + 20 * HOUR
    return (until - 10 * HOUR if draws.chance(0.2) else None), until


def _opening(placed: int, midnight: int) -> int:
    """When work on an express order begins: at once by day, in the morning for what comes at night."""
    if placed - midnight > 21 * HOUR:
        return midnight + DAY + 7 * HOUR
    return max(placed, midnight + 7 * HOUR)


def change(draws: Draws, at: int, current: Window, requested_by: str) -> PromiseChanged:
    """A change announced ``at``: later by hours or a day, sometimes earlier, sometimes without a beginning."""
    span = current[1] - current[0] if current[0] is not None else 2 * HOUR
    shift = draws.pick((HOUR, 2 * HOUR, 4 * HOUR, DAY, DAY, -HOUR)) if requested_by != "carrier" else 2 * HOUR
    until = max(current[1] + shift, _up_to(at + 30 * MINUTE, 15 * MINUTE))
    reasons = {"customer": "not at home then", "merchant": "stock arrives later", "carrier": "behind schedule"}
    return PromiseChanged(
        at=at,
        promised_until=until,
        requested_by=requested_by,
        promised_from=until - span if draws.chance(0.6) else None,
        reason=reasons[requested_by] if draws.chance(0.5) else None,
    )


def early_changes(draws: Draws, placed: Placed) -> list[PromiseChanged]:
    """Changes asked for by the deadline, mostly none; now and then a chain, or one on the deadline itself."""
    if not draws.chance(0.045):
        return []
    changes = []
    current: Window = (placed.promised_from, placed.promised_until)
    since = placed.at
    while True:
        at = draws.between(since + 30_000_000, max(current[1], since + MINUTE))
        if draws.chance(0.04) and current[1] > since:
            at = current[1]
        made = change(draws, at, current, draws.pick(("customer", "customer", "merchant", "carrier")))
        changes.append(made)
        if made.requested_by != "carrier":
            current = (made.promised_from, made.promised_until)
        since = at
        if not draws.chance(0.18):
            return changes
