"""The whole city at work: orders one after another, their events in the order they arrive."""

from collections.abc import Iterator
from math import sqrt

import msgspec

from milepost.simulator import expenses
from milepost.simulator.channel import Channel, Sent
from milepost.simulator.city import HOUR_WEIGHTS, LOCAL_OFFSET, WEEKDAY_WEIGHTS, City
from milepost.simulator.dispatch import Trip
from milepost.simulator.draws import DAY, HOUR, MINUTE, Draws
from milepost.simulator.life import Cost, Delivered, Fact, Placed, Response
from milepost.simulator.stamps import Stamps
from milepost.simulator.story import Story, Storyteller
from milepost.simulator.truth import Truth, Window
from milepost.simulator.wire import Wire


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What a simulation is: the same options give the same events, byte for byte."""

    orders: int
    seed: str
    start: int
    """Microseconds since 1970."""
    hubs: int = 8
    days: float | None = None
    currency: str = "EUR"
    conflicts: bool = True
    order_prefix: str | None = None

    @property
    def period(self) -> float:
        """Days over which the orders are placed: 14 for 50,000, growing with the root of their number."""
        return self.days if self.days is not None else max(1.0, float(round(14 * sqrt(self.orders / 50_000))))


def placements(options: Options) -> Iterator[int]:
    """When orders are placed: by hour of the day and day of the week, ``options.orders`` in all."""
    draws = Draws(f"{options.seed}/placements")
    hours = max(1, int(options.period * 24))
    weights = []
    for number in range(hours):
        local = options.start + number * HOUR + LOCAL_OFFSET
        weights.append(HOUR_WEIGHTS[local // HOUR % 24] * WEEKDAY_WEIGHTS[(local // DAY + 3) % 7] + 1e-9)
    total, passed, placed = sum(weights), 0.0, 0
    for number, weight in enumerate(weights):
        passed += weight
        upto = options.orders if number == hours - 1 else int(options.orders * passed / total)
        begin = options.start + number * HOUR
        yield from sorted(draws.between(begin, begin + HOUR) for _ in range(upto - placed))
        placed = upto


def windows(options: Options) -> list[Window]:
    """A few whole days, a few hours, and some odd minutes for the truth to be told of."""
    hour = -(-options.start // HOUR) * HOUR
    first = -(-options.start // DAY) * DAY
    days = max(1, int(options.period))
    found = [(first + number * DAY, first + (number + 1) * DAY) for number in sorted({0, days // 2, days - 1})]
    found += [(hour + number * HOUR, hour + (number + 1) * HOUR) for number in (10, 16, 18)]
    found += [(hour + begin * MINUTE, hour + end * MINUTE) for begin, end in ((617, 1003), (1069, 1071), (7, 3007))]
    return found


class Simulation:
    """Tells the orders' stories and sends what is reported of them; the truth hears the lives."""

    def __init__(self, options: Options, city: City, stamps: Stamps, truth: Truth | None = None) -> None:
        """Simulate ``options`` in ``city``; each life that counts is added to ``truth``."""
        self._options = options
        self._draws = Draws(f"{options.seed}/reports")
        self._expenses = Draws(f"{options.seed}/expenses")
        self._teller = Storyteller(city, options.seed)
        self._wire = Wire(Draws(f"{options.seed}/wire"), stamps, options.currency)
        self._channel = Channel(Draws(f"{options.seed}/channel"), conflicts=options.conflicts)
        self._truth = truth
        self._paid: set[tuple[str, int]] = set()
        self._prefix = options.order_prefix or f"s{options.seed}"
        self._number = 0

    def run(self, moments: Iterator[int]) -> Iterator[Sent]:
        """Everything that arrives when orders are placed at ``moments``, in order of arrival."""
        for at in moments:
            yield from self._channel.arrived(at)
            self.place(at)
        yield from self._channel.arrived()

    def place(self, at: int) -> None:
        """Place one order at ``at`` and send all that will be reported of it."""
        self._number += 1
        story = self._teller.tell(f"{self._prefix}-{self._number:06d}", at)
        fate = self._draws.random()
        test, orphan = fate < 0.002, fate > 0.999
        if orphan:
            story.facts = [fact for fact in story.facts if not isinstance(fact, Placed)]
        self._report(story, at, test=test)
        if self._truth is not None and not test:
            self._truth.add(story.life())
        self._overheads(story, at)

    def arrived(self, until: int) -> Iterator[Sent]:
        """What has arrived before ``until``."""
        return self._channel.arrived(until)

    def next_arrival(self) -> int | None:
        """When the next event arrives."""
        return self._channel.next_arrival()

    def _report(self, story: Story, at: int, *, test: bool) -> None:
        subject, hub_id = story.order_id, story.placed.hub_id
        for fact in story.facts:
            self._channel.send(self._wire.event(fact, subject, test=test), fact.at - fact.skew, hub_id, not_before=at)
        for fact in story.stray_tests:
            self._channel.send(self._wire.event(fact, subject, test=True), fact.at, hub_id, not_before=at)
        for fact in story.false_reports:
            self._retract(fact, subject, hub_id, at, test=test)

    def _retract(self, fact: Fact, subject: str, hub_id: str, at: int, *, test: bool) -> None:
        """Send a false report and its retraction, which sometimes overtakes it."""
        event = self._wire.event(fact, subject, test=test)
        moment = fact.at + self._draws.minutes((0.5, 5, 60, 600))
        retraction = self._wire.retraction(event, moment, occurred=isinstance(fact, Delivered | Response | Placed))
        sent, happened = [(event, fact.at - fact.skew), (retraction, moment)], at
        if self._draws.chance(0.15):
            sent.reverse()
        for what, when in sent:
            happened = self._channel.send(what, when, hub_id, not_before=happened)

    def _overheads(self, story: Story, at: int) -> None:
        """Costs of the routes, shifts and hub days that this order is the first to belong to."""
        for trip in story.trips:
            if trip.fresh:
                self._pay(expenses.of_trip(self._expenses, trip), at)
            self._shift(trip, at)
        day = ("hub:" + story.placed.hub_id, (at + LOCAL_OFFSET) // DAY)
        if day not in self._paid:
            self._paid.add(day)
            self._pay(expenses.of_hub(self._expenses, story.placed.hub_id, at), at)

    def _shift(self, trip: Trip, at: int) -> None:
        courier = trip.courier
        day = (courier.courier_id, (trip.departs + LOCAL_OFFSET) // DAY)
        if day not in self._paid:
            self._paid.add(day)
            self._pay(expenses.of_shift(self._expenses, courier, trip.departs), at)

    def _pay(self, costs: list[Cost], at: int) -> None:
        for cost in costs:
            self._channel.send(self._wire.event(cost, cost.subject), cost.at, cost.hub_id, not_before=at)
        if self._truth is not None:
            self._truth.add_costs(costs)


def simulate(options: Options, truth: Truth | None = None) -> Iterator[bytes]:
    """The events of ``options`` as JSON, one an item, in order of arrival."""
    city = City(options.seed, hubs=options.hubs, orders_per_day=options.orders / options.period)
    simulation = Simulation(options, city, Stamps(), truth)
    for sent in simulation.run(placements(options)):
        yield sent.payload
