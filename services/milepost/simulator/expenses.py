"""What it costs: by order, by route, by courier's shift, by hub's day; with corrections and credits."""

from typing import TYPE_CHECKING

from milepost.simulator.city import LOCAL_OFFSET, Courier, Hub
from milepost.simulator.dispatch import Trip
from milepost.simulator.draws import DAY, HOUR, Draws
from milepost.simulator.life import AttemptFailed, Cost, Delivered, Ready, Returned

if TYPE_CHECKING:
    from milepost.simulator.story import Story


def _amount(draws: Draws, low: float, high: float) -> int:
    """Ten-thousandths of the currency, mostly whole cents, at times finer."""
    cents = int((low + (high - low) * draws.random()) * 100)
    return cents * 100 + (draws.below(100) if draws.chance(0.2) else 0)


def charge(draws: Draws, story: "Story", hub: Hub) -> None:
    """Add the costs of the order's own handling to ``story``."""
    order_id, costs = story.order_id, list[Cost]()
    whose = (order_id, hub.hub_id)
    visits = 0
    for fact in sorted(story.facts, key=lambda fact: fact.at):
        if isinstance(fact, Ready) and draws.chance(0.5):
            costs.append(_cost(draws, fact.at, f"pack-{order_id}", whose, "packaging", within=(0.15, 0.9)))
        elif isinstance(fact, Delivered | AttemptFailed):
            visits += 1
            if draws.chance(0.3):
                costs.append(_stop_cost(draws, fact, whose, visits))
        elif isinstance(fact, Returned) and draws.chance(0.6):
            cost = _cost(draws, fact.at, "return", whose, "labour", within=(1.0, 4.0))
            cost.activity = "return"
            costs.append(cost)
    if draws.chance(0.04):
        # The order is carried by someone else, at times on another hub's bill; a credit may follow.
        at = story.placed.at + draws.minutes((60, 600, 3000))
        payer = (order_id, "hub-01") if draws.chance(0.2) else whose
        costs.append(_cost(draws, at, f"3pl-{order_id}", payer, "third_party", within=(3.0, 9.0)))
        if draws.chance(0.25):
            credit_at = at + draws.minutes((60, 3000))
            credit = _cost(draws, credit_at, f"3pl-credit-{order_id}", payer, "third_party", within=(1.0, 3.0))
            credit.amount = -credit.amount
            costs.append(credit)
    story.facts.extend(costs)
    story.facts.extend(corrections(draws, costs))


Whose = tuple[str, str]
"""The order and the hub that a cost is charged to."""


def _cost(draws: Draws, at: int, cost_id: str, whose: Whose, component: str, *, within: tuple[float, float]) -> Cost:
    return Cost(
        at=at,
        cost_id=cost_id,
        hub_id=whose[1],
        component=component,
        activity="delivery" if draws.chance(0.3) else None,
        order_id=whose[0],
        amount=_amount(draws, *within),
    )


def _stop_cost(draws: Draws, fact: Delivered | AttemptFailed, whose: Whose, visits: int) -> Cost:
    # Numbered by visit only: the same cost_id under another subject is another cost.
    component = draws.pick(("labour", "labour", "fuel", "other"))
    cost = _cost(draws, fact.at, f"stop-{visits}", whose, component, within=(0.8, 3.5))
    cost.courier_id = fact.courier_id if draws.chance(0.6) else None
    if visits > 1:
        cost.activity = "redelivery"
    return cost


def of_trip(draws: Draws, trip: Trip) -> list[Cost]:
    """The costs of a route."""
    costs = []
    quick = trip.courier.fleet == "quick"
    for component, chance, low, high in (
        ("fuel", 0.15 if quick else 0.8, 0.2, 9.0),
        ("toll", 0.0 if quick else 0.15, 1.0, 6.0),
    ):
        if draws.chance(chance):
            costs.append(
                Cost(
                    at=trip.ends,
                    cost_id=f"{component}-{trip.route_id}",
                    hub_id=trip.courier.hub_id,
                    component=component,
                    activity="linehaul" if draws.chance(0.1) else None,
                    amount=_amount(draws, low, high),
                    route_id=trip.route_id,
                    courier_id=trip.courier.courier_id if draws.chance(0.5) else None,
                )
            )
    return costs + corrections(draws, costs)


def of_shift(draws: Draws, courier: Courier, at: int) -> list[Cost]:
    """The costs of a courier's day, known when the shift around ``at`` ends."""
    day = (at + LOCAL_OFFSET) // DAY
    ends = day * DAY - LOCAL_OFFSET + courier.shift_start + courier.shift_length
    hours = courier.shift_length / HOUR
    costs = [
        Cost(
            at=ends,
            cost_id=f"{component}-{day}",
            hub_id=courier.hub_id,
            component=component,
            amount=_amount(draws, rate * hours * 0.9, rate * hours * 1.1),
            courier_id=courier.courier_id,
        )
        for component, rate in (("labour", 14.0), ("vehicle", 1.2))
    ]
    return costs + corrections(draws, costs)


def of_hub(draws: Draws, hub_id: str, at: int) -> list[Cost]:
    """The overhead of a hub's day, known when it ends."""
    day = (at + LOCAL_OFFSET) // DAY
    costs = [
        Cost(
            at=(day + 1) * DAY - LOCAL_OFFSET,
            cost_id=f"{component}-{hub_id}-{day}",
            hub_id=hub_id,
            component=component,
            activity=activity,
            amount=_amount(draws, 40, 160),
        )
        for component, activity in (("other", None), ("vehicle", None), ("third_party", "linehaul"))
    ]
    return costs + corrections(draws, costs)


def corrections(draws: Draws, costs: list[Cost]) -> list[Cost]:
    """A few of ``costs`` recorded again, later and with another amount: the later one counts."""
    again = []
    for cost in costs:
        if draws.chance(0.025):
            later = Cost(
                at=cost.at + draws.minutes((1, 60, 600, 3000)),
                cost_id=cost.cost_id,
                hub_id=cost.hub_id,
                component=cost.component if draws.chance(0.8) else "other",
                activity=cost.activity,
                amount=cost.amount + draws.pick((-5_000, 2_500, 10_000, 33)),
                order_id=cost.order_id,
                route_id=cost.route_id,
                courier_id=cost.courier_id,
            )
            again.append(later)
    return again
