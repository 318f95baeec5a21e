"""One order, from the click to the last word about it."""

from milepost.simulator import expenses, mishaps, promises, survey
from milepost.simulator.city import QUICK, ROUND, City, Hub
from milepost.simulator.dispatch import Trip
from milepost.simulator.draws import HOUR, MINUTE, Draws
from milepost.simulator.life import (
    Arrived,
    Assigned,
    AttemptFailed,
    Cost,
    Delivered,
    Departed,
    Fact,
    Life,
    Lost,
    PickedUp,
    Placed,
    Ready,
    Returned,
    Unassigned,
)
from milepost.simulator.visits import Rounds

PREPARE = {
    "express": (1, 2, 3, 4, 5, 7, 10, 30),
    "same_day": (5, 12, 20, 30, 45, 70, 110, 240),
    "scheduled": (10, 25, 45, 80, 140, 240, 420, 700),
    "standard": (10, 40, 80, 140, 240, 420, 700, 1300),
}
FEES = {"express": 99_000, "same_day": 69_000, "scheduled": 79_000, "standard": 49_000}
"""The least a delivery is charged at, in ten-thousandths."""

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
        self._fees, self._voices = Draws(f"{seed}/fees"), Draws(f"{seed}/voices")
        self._rounds = Rounds(self._draws, self._storm, calm=city.always_open)
        # A live city shows a service that mostly keeps its word, so that breaking it stands out.
        self._calm = city.always_open
        self._weather: dict[tuple[str, int], float] = {}

    def tell(self, order_id: str, at: int) -> Story:
        """The story of an order placed at ``at``."""
        draws = self._draws
        self._rounds.forget_before(at)
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
        survey.ask(draws, self._voices, story)
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
            fee=self._fee(level),
        )

    def _fee(self, level: str) -> int | None:
        """What the customer pays for delivery, where the merchant tells."""
        draws = self._fees
        return FEES[level] + 1_000 * draws.below(30) if draws.chance(0.8) else None

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
            facts.append(
                Ready(at=ready, parcels=placed.parcels if draws.chance(0.3) else (), numbered=draws.chance(0.03))
            )
            if draws.chance(0.004):
                facts.append(Ready(at=ready + draws.minutes((1, 5, 20))))
        if draws.chance(0.003):
            return
        fleet = QUICK if level == "express" or self._city.always_open else ROUND
        lead = (10 if self._calm else 20) * MINUTE if fleet == QUICK else 2 * HOUR
        earliest = ready + draws.minutes((0.5, 1, 2, 4, 8))
        if window[0] is not None:
            earliest = max(earliest, window[0] - (0 if draws.chance(0.1 if self._calm else 0.6) else lead))
        elif level == "standard" and draws.chance(0.7):
            earliest = max(earliest, window[1] - 11 * HOUR)
        self._rounds.visit(story, hub, fleet, earliest, ready)


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
