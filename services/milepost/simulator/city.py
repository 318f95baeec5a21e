"""The city: hubs, zones, merchants and couriers, all drawn from the seed."""

from math import sqrt

import msgspec

from milepost.simulator.draws import DAY, HOUR, MINUTE, Draws, cumulate

LOCAL_OFFSET = 2 * HOUR
"""The city's clocks are two hours ahead of UTC, all year."""

LEVELS = ("express", "same_day", "scheduled", "standard")
LEVEL_WEIGHTS = (0.36, 0.24, 0.12, 0.28)
LIVE_LEVEL_WEIGHTS = (0.8, 0.2, 0.0, 0.0)

QUICK, ROUND = "quick", "round"
"""The two fleets: bikes on short trips, vans on long rounds."""

VEHICLES = {QUICK: ("bike", "cargo-bike", "scooter"), ROUND: ("van", "car")}
SLOT = {QUICK: 18 * MINUTE, ROUND: 2 * HOUR}
STOPS = {QUICK: 3, ROUND: 16}
SHIFTS = (
    (6 * HOUR, 8 * HOUR),
    (9 * HOUR, 8 * HOUR),
    (11 * HOUR, 9 * HOUR),
    (14 * HOUR, 8 * HOUR),
    (16 * HOUR, 7 * HOUR),
)

HOUR_WEIGHTS = (1, 1, 0, 0, 0, 1, 3, 6, 9, 10, 11, 13, 14, 11, 9, 9, 11, 15, 18, 17, 12, 8, 4, 2)
"""Orders by hour of the local day: peaks at lunch and in the evening."""

WEEKDAY_WEIGHTS = (1.0, 0.95, 0.95, 1.0, 1.2, 1.3, 1.1)
"""Orders by weekday, Monday first."""


class Courier(msgspec.Struct, frozen=True):
    """A courier, the fleet they ride in, their shift (local microseconds of the day) and their phone's clock error."""

    courier_id: str
    vehicle_id: str
    hub_id: str
    fleet: str
    shift_start: int
    shift_length: int
    skew: int


class Hub(msgspec.Struct, frozen=True):
    """A hub with its zones and couriers; ``pace`` stretches everything it does."""

    hub_id: str
    zones: tuple[str, ...]
    couriers: dict[str, tuple[Courier, ...]]
    pace: float
    lat: float
    lon: float


class City:
    """Everything that stands before the first order."""

    def __init__(self, seed: str, *, hubs: int, orders_per_day: float, always_open: bool = False) -> None:
        """Draw a city of ``hubs`` hubs with couriers enough for ``orders_per_day``; no nights where ``always_open``."""
        draws = Draws(f"{seed}/city")
        self.always_open = always_open
        shares = [1.0 / (rank + 2.5) for rank in range(hubs)]
        self.hub_weights = cumulate(shares)
        total = self.hub_weights[-1]
        self.hubs = tuple(
            self._hub(draws, number, orders_per_day * share / total) for number, share in enumerate(shares, start=1)
        )
        merchants = max(6, min(200, int(sqrt(orders_per_day))))
        self.merchants = tuple(f"merchant-{number:03d}" for number in range(1, merchants + 1))
        self.merchant_weights = cumulate([1.0 / (rank + 3) for rank in range(merchants)])
        self.level_weights = cumulate(LIVE_LEVEL_WEIGHTS if always_open else LEVEL_WEIGHTS)
        self.skus = tuple(f"sku-{number:04d}" for number in range(1, 801))

    def _hub(self, draws: Draws, number: int, orders_per_day: float) -> Hub:
        name = f"hub-{number:02d}"
        lat, lon = 52.40 + draws.random() * 0.2, 13.2 + draws.random() * 0.4
        quick_share = 1.0 if self.always_open else LEVEL_WEIGHTS[0]
        couriers = {}
        for fleet, share, a_day in ((QUICK, quick_share, 17.0), (ROUND, 1 - quick_share, 24.0)):
            count = max(5, int(orders_per_day * share / a_day) + 1)
            couriers[fleet] = tuple(self._courier(draws, name, fleet, index) for index in range(count))
        zones = tuple(f"zone-{number:02d}{letter}" for letter in "abcdefgh"[: 3 + draws.below(5)])
        return Hub(name, zones, couriers, (0.7 if self.always_open else 0.85) + draws.random() * 0.4, lat, lon)

    def _courier(self, draws: Draws, hub_id: str, fleet: str, index: int) -> Courier:
        start, length = (0, DAY) if self.always_open else SHIFTS[index % len(SHIFTS)]
        # A few phones run ahead or behind, within what the edge still takes; live events must never lie ahead.
        skew = 0
        if draws.chance(0.06):
            skew = (draws.below(450) - 300) * 1_000_000 if not self.always_open else -draws.below(200) * 1_000_000
        return Courier(
            courier_id=f"courier-{hub_id[4:]}-{fleet[0]}{index + 1:03d}",
            vehicle_id=f"{draws.pick(VEHICLES[fleet])}-{hub_id[4:]}-{index + 1:03d}",
            hub_id=hub_id,
            fleet=fleet,
            shift_start=start + draws.below(20) * MINUTE,
            shift_length=length,
            skew=skew,
        )
