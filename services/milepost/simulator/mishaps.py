"""What goes wrong with an order besides the visits: cancellations, late promises, returns, double and false reports."""

from typing import TYPE_CHECKING

import msgspec

from milepost.simulator import promises
from milepost.simulator.draws import HOUR, MINUTE, SECOND, Draws
from milepost.simulator.life import (
    Assigned,
    Cancelled,
    Cost,
    Delivered,
    EtaUpdated,
    Fact,
    FeedbackRequested,
    Lost,
    Placed,
    PromiseChanged,
    Response,
    Returned,
)

if TYPE_CHECKING:
    from milepost.simulator.story import Story

WHO = ("customer", "customer", "merchant", "carrier")


def afflict(draws: Draws, story: "Story") -> None:
    """Cancel, announce delays, return, find again; all of it true."""
    facts, placed = story.facts, story.placed
    handed = [fact for fact in facts if isinstance(fact, Delivered)]
    done = max((fact.at for fact in handed), default=None)
    late = done is None or done > placed.promised_until
    if late and draws.chance(0.25):
        # The carrier says so itself: kept and shown, but no promise moves.
        at = placed.promised_until + draws.minutes((-20, -5, 0, 10, 60))
        facts.append(promises.change(draws, max(at, placed.at + MINUTE), (None, placed.promised_until), "carrier"))
    if late and draws.chance(0.03):
        at = placed.promised_until + draws.minutes((0.1, 10, 60, 300))
        facts.append(promises.change(draws, at, (None, placed.promised_until), draws.pick(("customer", "merchant"))))
    if done is not None and draws.chance(0.001):
        facts.append(
            promises.change(
                draws,
                done + (0 if draws.chance(0.2) else draws.minutes((0.1, 5, 30))),
                (None, placed.promised_until),
                "customer",
            )
        )
    if draws.chance(0.03):
        _cancel_under_way(draws, story)
    elif late and draws.chance(0.08):
        _cancel_after_deadline(draws, story, done)
    elif done is not None and draws.chance(0.002):
        facts.append(_cancellation(draws, done + (0 if draws.chance(0.1) else draws.minutes((0.1, 10, 600)))))
    if handed and draws.chance(0.015):
        facts.append(
            Returned(
                at=max(fact.at for fact in handed) + draws.minutes((60, 1500, 9000)),
                disposition="after_delivery",
                reason_code=draws.pick((None, "damaged", "other")),
            )
        )
    if draws.chance(0.0008) and handed:
        facts.append(Lost(at=max(placed.at, handed[0].at - draws.minutes((10, 60))), reason_code="missing_parcel"))
    _say_twice(draws, story)


def _cancellation(draws: Draws, at: int, who: str | None = None) -> Cancelled:
    reason = draws.pick(("changed_mind", "out_of_stock", "duplicate", None))
    return Cancelled(at=at, requested_by=who or draws.pick(WHO), reason=reason)


def _cancel_under_way(draws: Draws, story: "Story") -> None:
    """Cancelled by the deadline, at times on its very moment; rarely it comes all the same."""
    placed = story.placed
    last = max(fact.at for fact in story.facts)
    at = draws.between(placed.at + 20 * SECOND, max(min(last, placed.promised_until), placed.at + MINUTE))
    if draws.chance(0.03) and placed.promised_until > placed.at:
        at = placed.promised_until
    _stop(draws, story, at)


def _cancel_after_deadline(draws: Draws, story: "Story", done: int | None) -> None:
    placed = story.placed
    at = placed.promised_until + draws.minutes((0.1, 20, 90, 400))
    if done is None or at < done:
        _stop(draws, story, at)


def _stop(draws: Draws, story: "Story", at: int) -> None:
    story.facts.append(_cancellation(draws, at))
    if draws.chance(0.1):
        story.facts.append(_cancellation(draws, at + draws.minutes((0.1, 5, 60))))
    if not draws.chance(0.05):
        story.facts = [fact for fact in story.facts if fact.at <= at or isinstance(fact, Cancelled)]
        story.trips = [trip for trip in story.trips if trip.departs <= at]


def _say_twice(draws: Draws, story: "Story") -> None:
    """Two reports, each with an identity of its own, of what happened once: the earlier counts."""
    facts, placed = story.facts, story.placed
    if draws.chance(0.002):
        again = msgspec.structs.replace(placed, at=placed.at + draws.minutes((0.1, 5, 60)))
        again.promised_until += HOUR
        again.zone_id = None
        facts.append(again)
    handed = [fact for fact in facts if isinstance(fact, Delivered)]
    if handed and draws.chance(0.004):
        first = handed[0]
        facts.append(
            msgspec.structs.replace(
                first, at=first.at + draws.minutes((0.05, 1, 20)), lines=first.lines and first.lines[:1]
            )
        )
    if handed and draws.chance(0.0008):
        # Taken by telephone and typed in afterwards: placed later than delivered.
        placed.at = handed[0].at + draws.minutes((1, 10, 60))


def misreport(draws: Draws, story: "Story") -> None:
    """Reports that were false and are taken back: they never count, whatever they said."""
    facts, false, placed = story.facts, story.false_reports, story.placed
    handed = [fact for fact in facts if isinstance(fact, Delivered)]
    if handed and draws.chance(0.012):
        wrong = msgspec.structs.replace(handed[0], lines=((placed.lines[0][0], 0, True),), skew=0)
        wrong.at -= draws.minutes((0.1, 1, 10))
        false.append(wrong)
    elif not handed and draws.chance(0.05):
        false.append(Delivered(at=placed.at + draws.minutes((5, 60, 600)), courier_id="courier-x9"))
    for fact in facts:
        if isinstance(fact, Cost) and draws.chance(0.008):
            false.append(_false_cost(draws, fact))
        elif isinstance(fact, Response) and draws.chance(0.015):
            false.append(Response(at=fact.at + draws.minutes((1, 60)), score=1, nps=0))
    if draws.chance(0.002):
        false.append(_cancellation(draws, placed.at + draws.minutes((0.5, 5, 50)), "customer"))
    if draws.chance(0.002):
        at = placed.at + draws.minutes((0.5, 5))
        false.append(
            PromiseChanged(at=at, promised_until=max(at, placed.promised_until) + 6 * HOUR, requested_by="customer")
        )
    if draws.chance(0.001):
        wrong_placed = msgspec.structs.replace(placed, at=placed.at - draws.minutes((0.1, 5)), zone_id="zone-99z")
        wrong_placed.lines = ((placed.lines[0][0], 99),)
        false.append(wrong_placed)
    if draws.chance(0.002):
        false.append(Assigned(at=placed.at + draws.minutes((1, 30)), courier_id="courier-x9"))
    if draws.chance(0.002):
        story.stray_tests.append(draws.pick(_tests(placed)))


def _false_cost(draws: Draws, cost: Cost) -> Cost:
    """A cost that was never incurred, or a correction that was a mistake: the one before it stands."""
    wrong = msgspec.structs.replace(cost, at=cost.at + draws.minutes((1, 60)), amount=cost.amount * 10)
    if draws.chance(0.5):
        wrong.cost_id = f"{cost.cost_id}-x"
    return wrong


def _tests(placed: Placed) -> list[Fact]:
    """An integrator's trial events on a real order."""
    at = placed.at + 3 * MINUTE
    return [
        Delivered(at=at),
        Cancelled(at=at, requested_by="customer"),
        Response(at=at, score=1),
        EtaUpdated(at=at, eta=at + HOUR),
        FeedbackRequested(at=at),
    ]
