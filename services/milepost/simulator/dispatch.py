"""Trips: couriers leave in slots with a number of stops; an order takes the first free stop it finds."""

import msgspec

from milepost.simulator.city import LOCAL_OFFSET, SLOT, STOPS, Courier, Hub
from milepost.simulator.draws import DAY, HOUR, MINUTE, Draws


class Trip(msgspec.Struct, frozen=True):
    """A stop booked on a courier's route; ``fresh`` where this order opened the route."""

    courier: Courier
    route_id: str
    departs: int
    stop: int
    stop_at: int
    ends: int
    fresh: bool


class Dispatcher:
    """Books stops; full slots push orders to later ones, which is how peaks become late deliveries."""

    def __init__(self, draws: Draws) -> None:
        """Book with ``draws``."""
        self._draws = draws
        self._taken: dict[tuple[str, int], int] = {}

    def book(self, hub: Hub, fleet: str, earliest: int) -> Trip:
        """The earliest departure among a few couriers of ``fleet`` at or after ``earliest``."""
        couriers = hub.couriers[fleet]
        best: tuple[int, Courier] | None = None
        for _ in range(4):
            courier = self._draws.pick(couriers)
            departs = self._next_departure(courier, earliest)
            if best is None or departs < best[0]:
                best = (departs, courier)
        assert best is not None  # noqa: S101 - four rounds always leave one
        departs, courier = best
        taken = self._taken.get((courier.courier_id, departs), 0)
        self._taken[courier.courier_id, departs] = taken + 1
        length = SLOT[fleet]
        leg = length * 8 // 10 // STOPS[fleet]
        jitter = self._draws.minutes(
            (-2, -1, 0, 1, 2, 3, 6, 15) if fleet == "quick" else (-12, -5, -1, 0, 2, 6, 12, 40)
        )
        stop_at = departs + 3 * MINUTE + leg * taken + int(leg * 0.7 * hub.pace) + jitter
        route_id = f"route-{courier.courier_id[8:]}-{departs // MINUTE:x}"
        return Trip(courier, route_id, departs, taken + 1, stop_at, departs + length, fresh=taken == 0)

    def _next_departure(self, courier: Courier, earliest: int) -> int:
        slot, stops = SLOT[courier.fleet], STOPS[courier.fleet]
        moment = earliest
        while True:
            day = (moment + LOCAL_OFFSET) // DAY * DAY - LOCAL_OFFSET
            start = day + courier.shift_start
            number = max(0, -((start - moment) // slot))
            while (number + 1) * slot <= courier.shift_length:
                departs = start + number * slot
                if self._taken.get((courier.courier_id, departs), 0) < stops:
                    return departs
                number += 1
            moment = day + DAY

    def forget_before(self, moment: int) -> None:
        """Let go of slots long past, so that memory stays flat."""
        if len(self._taken) > 50_000:
            horizon = moment - 6 * HOUR
            self._taken = {slot: taken for slot, taken in self._taken.items() if slot[1] >= horizon}
