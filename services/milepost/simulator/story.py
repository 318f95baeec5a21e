"""One order, from the click to the last word about it."""

from milepost.simulator import expenses, mishaps, promises, survey
from milepost.simulator.city import QUICK, ROUND, City, Courier, Hub
from milepost.simulator.dispatch import Dispatcher, Trip
from milepost.simulator.draws import DAY, HOUR, MINUTE, SECOND, Draws, cumulate
from milepost.simulator.life import (
    DOOR_CODES,
    NEVER_REACHED_CODES,
    Arrived,
    Assigned,
    AttemptFailed,
    Cost,
    Delivered,
    Departed,
    EtaUpdated,
    Fact,
    Life,
    Lost,
    PickedUp,
    Placed,
    Ready,
    Returned,
    Unassigned,
)

CODE_WEIGHTS = cumulate((40, 8, 10, 8, 6, 4, 4, 5, 4, 7, 4))
PREPARE = {
    "express": (1, 2, 3, 4, 5, 7, 10, 30),
    "same_day": (5, 12, 20, 30, 45, 70, 110, 240),
    "scheduled": (10, 25, 45, 80, 140, 240, 420, 700),
    "standard": (10, 40, 80, 140, 240, 420, 700, 1300),
}

MOVEMENTS = (Ready, Assigned, Unassigned, PickedUp, Departed, Arrived, AttemptFailed, Delivered, Returned, Lost)
"""Facts of which the order among all of them matters."""


class Story:
    """What is told of an order: its true facts, and what was reported besides but never so."""

    __slots__ = ("facts", "false_reports", "order_id", "placed", "stray_tests", "trips")

    def __init__(self, order_id: str) -> None:
        """Begin the story of ``order_id``."""
        self.order_id = order_id
        self.facts: list[Fact] = []
        self.false_reports: list[Fact] = []
        self.stray_tests: list[Fact] = []
        self.trips: list[Trip] = []
        self.placed: Placed

    def life(self) -> Life:
        """The record of what truly happened."""
        return Life(self.order_id, self.facts)


class Storyteller:
    """Tells order after order of a city; trips are shared between them."""

    def __init__(self, city: City, seed: str) -> None:
        """Tell of ``city``."""
        self._city = city
        self._draws = Draws(f"{seed}/stories")
        self._dispatcher = Dispatcher(self._draws)
        # A live city shows a service that mostly keeps its word, so that breaking it stands out.
        self._calm = city.always_open
        self._weather: dict[tuple[str, int], float] = {}

    def tell(self, order_id: str, at: int) -> Story:
        """The story of an order placed at ``at``."""
        draws = self._draws
        self._dispatcher.forget_before(at)
        story = Story(order_id)
        hub = self._city.hubs[draws.weighted(self._city.hub_weights)]
        level = ("express", "same_day", "scheduled", "standard")[draws.weighted(self._city.level_weights)]
        placed = story.placed = self._place(hub, level, at)
        story.facts.append(placed)
        changes = promises.early_changes(draws, placed)
        story.facts.extend(changes)
        agreed = [change for change in changes if change.requested_by != "carrier"]
        window = (
            (agreed[-1].promised_from, agreed[-1].promised_until)
            if agreed
            else (placed.promised_from, placed.promised_until)
        )
        self._prepare_and_deliver(story, hub, level, window)
        mishaps.afflict(draws, story)
        survey.ask(draws, story)
        expenses.charge(draws, story, hub)
        mishaps.misreport(draws, story)
        _keep_moments_apart(story)
        return story

    def _place(self, hub: Hub, level: str, at: int) -> Placed:
        draws = self._draws
        count = draws.pick((1, 1, 1, 2, 2, 3, 4, 6))
        lines = [(draws.pick(self._city.skus), draws.pick((1, 1, 1, 1, 2, 3))) for _ in range(count)]
        if draws.chance(0.02):
            lines.append((lines[0][0], 1))
        parcels: tuple[str, ...] = ()
        if draws.chance(0.2):
            parcels = tuple(f"p{number}" for number in range(1, draws.pick((1, 2, 2, 2, 3, 4)) + 1))
        since, until = promises.promise(draws, level, at, always_open=self._city.always_open)
        return Placed(
            at=at,
            hub_id=hub.hub_id,
            zone_id=draws.pick(hub.zones) if not draws.chance(0.02) else None,
            merchant_id=self._city.merchants[draws.weighted(self._city.merchant_weights)]
            if not draws.chance(0.03)
            else None,
            service_level=level if not draws.chance(0.01) else None,
            promised_until=until,
            promised_from=since,
            lines=tuple(lines),
            parcels=parcels,
        )

    def _storm(self, hub: Hub, at: int) -> float:
        """How much a hub's day is slowed at ``at``: rarely, and then for hours."""
        if self._calm:
            return 1.0
        key = (hub.hub_id, at // (4 * HOUR))
        if key not in self._weather:
            self._weather[key] = self._draws.pick((1.5, 2.0, 3.0)) if self._draws.chance(0.06) else 1.0
        return self._weather[key]

    def _prepare_and_deliver(self, story: Story, hub: Hub, level: str, window: promises.Window) -> None:
        draws, facts, placed = self._draws, story.facts, story.placed
        if draws.chance(0.004):
            return  # silence from the start
        pace = hub.pace * self._storm(hub, placed.at)
        ready = placed.at + draws.minutes(
            PREPARE[level], pace if level == "express" else 0.3 if self._city.always_open else 1.0
        )
        if draws.chance(0.96):
            facts.append(Ready(at=ready, parcels=placed.parcels if draws.chance(0.3) else ()))
            if draws.chance(0.004):
                facts.append(Ready(at=ready + draws.minutes((1, 5, 20))))
        if draws.chance(0.003):
            return
        fleet = QUICK if level == "express" or self._city.always_open else ROUND
        lead = 20 * MINUTE if fleet == QUICK else 2 * HOUR
        earliest = ready + draws.minutes((0.5, 1, 2, 4, 8))
        if window[0] is not None:
            earliest = max(earliest, window[0] - (0 if draws.chance(0.6) else lead))
        elif level == "standard" and draws.chance(0.7):
            earliest = max(earliest, window[1] - 11 * HOUR)
        self._visits(story, hub, fleet, earliest, ready)

    def _visits(self, story: Story, hub: Hub, fleet: str, earliest: int, ready: int) -> None:
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

    def _set_out(self, story: Story, trip: Trip, known_from: int, waiting: list[str]) -> None:
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

    def _at_the_door(self, story: Story, trip: Trip, waiting: list[str], storm: float) -> tuple[int, list[str], bool]:
        """One stop: when it ended, the parcels still to deliver, and whether the courier is done with the order."""
        draws, facts, courier = self._draws, story.facts, trip.courier
        skew = courier.skew
        at = trip.stop_at if storm == 1.0 else trip.departs + int((trip.stop_at - trip.departs) * storm)
        parcels = tuple(waiting) if waiting and draws.chance(0.7) else ()
        if draws.chance(0.01 if self._calm else 0.025 * storm):
            code = "weather" if storm > 1 else draws.pick(NEVER_REACHED_CODES)
            facts.append(
                AttemptFailed(at=at, skew=skew, reason_code=code, courier_id=_named(draws, courier), parcels=parcels)
            )
            return at, waiting, False
        if draws.chance(0.93):
            facts.append(Arrived(at=at, skew=skew, courier_id=_named(draws, courier), parcels=parcels))
        at += draws.minutes((0.3, 0.8, 1.5, 2.5, 4, 8))
        if draws.chance(0.035 if self._calm else 0.075):
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


def _keep_moments_apart(story: Story) -> None:
    """Report device times, and let no two facts that compete tell the same moment, so that nothing hangs on a tie."""
    for report in (story.facts, story.false_reports, story.stray_tests):
        for fact in report:
            fact.at += fact.skew
    taken: set[tuple[object, int]] = set()
    for fact in story.facts:
        among: object = None if isinstance(fact, MOVEMENTS) else fact.cost_id if isinstance(fact, Cost) else type(fact)
        while (among, fact.at) in taken:
            fact.at += 1
        taken.add((among, fact.at))
