"""From the hub to the door, as often as it takes."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from milepost.simulator.city import QUICK, Courier, Hub
from milepost.simulator.dispatch import Dispatcher, Trip
from milepost.simulator.draws import DAY, HOUR, MINUTE, SECOND, Draws, cumulate
from milepost.simulator.life import (
    DOOR_CODES,
    NEVER_REACHED_CODES,
    Arrived,
    Assigned,
    AttemptFailed,
    Delivered,
    Departed,
    EtaUpdated,
    Lost,
    PickedUp,
    Placed,
    Returned,
    Unassigned,
)

if TYPE_CHECKING:
    from milepost.simulator.story import Story

CODE_WEIGHTS = cumulate((40, 8, 10, 8, 6, 4, 4, 5, 4, 7, 4))


class Rounds:
    """Couriers' visits to the doors of orders; stops are booked with one dispatcher for all."""

    def __init__(self, draws: Draws, storm: Callable[[Hub, int], float], *, calm: bool) -> None:
        """Visit with ``draws``; ``storm`` slows a hub at a moment; few visits fail where it is ``calm``."""
        self._draws = draws
        self._storm = storm
        self._calm = calm
        self._dispatcher = Dispatcher(draws)

    def forget_before(self, moment: int) -> None:
        """Let go of trips long past."""
        self._dispatcher.forget_before(moment)

    def visit(self, story: "Story", hub: Hub, fleet: str, earliest: int, ready: int) -> None:
        """Visit the door until everything is delivered, sent back or lost, or until nothing more is heard."""
        draws, placed = self._draws, story.placed
        waiting = list(placed.parcels)
        known_from = ready
        for visit in range(1, 4):
            trip = self._dispatcher.book(hub, fleet, earliest)
            story.trips.append(trip)
            self._set_out(story, trip, known_from, waiting)
            if draws.chance(0.004):
                if draws.chance(0.6):
                    story.facts.append(
                        Lost(
                            at=trip.stop_at + draws.minutes((60, 600, 3000)),
                            reason_code="other",
                            parcels=tuple(waiting),
                        )
                    )
                return
            ended, waiting, done = self._at_the_door(story, trip, waiting, self._storm(hub, trip.departs))
            if done:
                return
            if draws.chance(0.03):
                return
            if visit == 3 or draws.chance(0.08):
                if draws.chance(0.9):
                    back = ended + draws.minutes((30, 120, 300, 900, 2000))
                    story.facts.append(
                        Returned(
                            at=back,
                            disposition="to_sender",
                            reason_code=draws.pick(("refused", "address", "other")) if draws.chance(0.6) else None,
                            parcels=tuple(waiting),
                        )
                    )
                return
            if draws.chance(0.6):
                story.facts.append(
                    Returned(at=ended + draws.minutes((10, 40, 90)), disposition="back_to_hub", parcels=tuple(waiting))
                )
            earliest = ended + (HOUR if fleet == QUICK else draws.pick((3 * HOUR, 14 * HOUR, DAY)))
            known_from = ended + 5 * MINUTE

    def _set_out(self, story: "Story", trip: Trip, known_from: int, waiting: list[str]) -> None:
        draws, facts, courier = self._draws, story.facts, trip.courier
        parcels = tuple(waiting) if waiting and draws.chance(0.4) else ()
        # Dispatchers assign a while before departure, now and then even before the goods are packed.
        lead = draws.minutes((0.2, 1, 3, 8, 15, 40))
        assigned = max(known_from - (draws.minutes((1, 5, 20)) if draws.chance(0.05) else 0), trip.departs - lead)
        if assigned <= story.placed.at:
            assigned = story.placed.at + 2 * SECOND
        if draws.chance(0.97):
            if draws.chance(0.03):
                first = draws.pick(("courier-x9", courier.courier_id + "b"))
                early = assigned - draws.minutes((0.2, 2, 5))
                facts.append(Assigned(at=early, courier_id=first))
                if draws.chance(0.7):
                    facts.append(
                        Unassigned(at=draws.between(early, assigned), reason="sick" if draws.chance(0.4) else None)
                    )
            plan = draws.chance(0.6)
            facts.append(
                Assigned(
                    at=assigned,
                    courier_id=courier.courier_id,
                    vehicle_id=courier.vehicle_id if draws.chance(0.7) else None,
                    route_id=trip.route_id if draws.chance(0.9) else None,
                    stop=trip.stop if plan else None,
                    planned=trip.departs + (trip.stop_at - trip.departs) // 2 if plan else None,
                )
            )
        picked_up = max(trip.departs, assigned) + draws.minutes((-1, 0, 1, 3))
        if draws.chance(0.93):
            facts.append(PickedUp(at=picked_up, skew=courier.skew, courier_id=_named(draws, courier), parcels=parcels))
        if draws.chance(0.9):
            facts.append(
                Departed(at=picked_up + draws.minutes((-0.5, 0.5, 2, 4)), route_id=trip.route_id, parcels=parcels)
            )
        if draws.chance(0.35):
            eta = trip.stop_at + draws.minutes((-10, 0, 10))
            known = draws.between(picked_up, max(trip.stop_at, picked_up + MINUTE))
            ranged = draws.chance(0.5)
            facts.append(
                EtaUpdated(
                    at=known,
                    eta=eta,
                    earliest=eta - 5 * MINUTE if ranged else None,
                    latest=eta + 10 * MINUTE if ranged else None,
                )
            )

    def _at_the_door(self, story: "Story", trip: Trip, waiting: list[str], storm: float) -> tuple[int, list[str], bool]:
        """One stop: when it ended, the parcels still to deliver, and whether the courier is done with the order."""
        draws, facts, courier = self._draws, story.facts, trip.courier
        skew = courier.skew
        at = trip.stop_at if storm == 1.0 else trip.departs + int((trip.stop_at - trip.departs) * storm)
        parcels = tuple(waiting) if waiting and draws.chance(0.7) else ()
        if draws.chance(0.006 if self._calm else 0.025 * storm):
            code = "weather" if storm > 1 else draws.pick(NEVER_REACHED_CODES)
            facts.append(
                AttemptFailed(at=at, skew=skew, reason_code=code, courier_id=_named(draws, courier), parcels=parcels)
            )
            return at, waiting, False
        if draws.chance(0.93):
            facts.append(Arrived(at=at, skew=skew, courier_id=_named(draws, courier), parcels=parcels))
        at += draws.minutes((0.3, 0.8, 1.5, 2.5, 4, 8))
        if draws.chance(0.02 if self._calm else 0.075):
            code = DOOR_CODES[draws.weighted(CODE_WEIGHTS)]
            facts.append(
                AttemptFailed(at=at, skew=skew, reason_code=code, courier_id=_named(draws, courier), parcels=parcels)
            )
            return at, waiting, False
        handed = list(waiting)
        if len(waiting) > 1 and draws.chance(0.15):
            handed = waiting[: 1 + draws.below(len(waiting) - 1)]
        if draws.chance(0.004) and story.placed.promised_until > at:
            at = story.placed.promised_until  # exactly on the deadline is still in time
            skew = 0
        whole = len(handed) == len(story.placed.parcels)
        facts.append(
            Delivered(
                at=at,
                skew=skew,
                lines=_handed_lines(draws, story.placed, handed),
                courier_id=_named(draws, courier),
                parcels=() if whole and draws.chance(0.3) else tuple(handed),
            )
        )
        left = [parcel for parcel in waiting if parcel not in handed]
        if left and draws.chance(0.12):
            facts.append(Lost(at=at + draws.minutes((30, 300, 3000)), parcels=tuple(left)))
            return at, [], True
        return at, left, not left


def _named(draws: Draws, courier: Courier) -> str | None:
    return courier.courier_id if draws.chance(0.75) else None


def _handed_lines(draws: Draws, placed: Placed, handed: list[str]) -> tuple[tuple[str, int, bool], ...] | None:
    """What the courier wrote down: what those parcels hold, at times short, damaged, split up or nothing at all."""
    if draws.chance(0.1):
        return None
    if draws.chance(0.002):
        return ()
    lines = [(sku, quantity, False) for sku, quantity in _packed(placed, handed)]
    if lines and draws.chance(0.035):
        index = draws.below(len(lines))
        sku, quantity, _ = lines[index]
        lines[index] = (sku, quantity - 1 - draws.below(quantity), False)
    if lines and draws.chance(0.015):
        index = draws.below(len(lines))
        lines[index] = (lines[index][0], max(1, lines[index][1]), True)
    if lines and draws.chance(0.01) and lines[0][1] > 1:
        sku, quantity, damaged = lines[0]
        lines[0] = (sku, quantity - 1, damaged)
        lines.append((sku, 1, False))
    return tuple(lines)


def _packed(placed: Placed, handed: list[str]) -> list[tuple[str, int]]:
    """The lines in the parcels ``handed``; the n-th line travels in the n-th parcel, and so on round."""
    if not placed.parcels:
        return list(placed.lines)
    count = len(placed.parcels)
    return [line for index, line in enumerate(placed.lines) if placed.parcels[index % count] in handed]
