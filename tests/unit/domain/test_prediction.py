"""The chance that a promise is kept: from those that stood there before, and from ETAs."""

import random
from collections.abc import Callable
from typing import Any

import pytest

from milepost.domain.sla.milestones import Milestone, passages
from milepost.domain.sla.prediction import Forecast, Situation, situation
from milepost.domain.sla.tally import MIDDLES

START = 1_772_409_600_000_000
MINUTE = 60_000_000
NewLife = Callable[[], Any]


def at(minutes: float) -> int:
    return START + round(minutes * MINUTE)


@pytest.fixture
def forecast(lives: NewLife) -> Forecast:
    """Taught by 600 orders promised within an hour: at h1 nine in ten come in 20 to 50 minutes, at h2 one in ten."""
    drawn = random.Random(4)
    taught = Forecast()
    for number in range(600):
        begin = number * 3
        hub = "h2" if number % 2 else "h1"
        takes = drawn.uniform(20, 50) if drawn.random() < (0.1 if hub == "h2" else 0.9) else drawn.uniform(70, 120)
        order = lives().placed(begin, begin + 60, hub=hub).ready(begin + 5).assigned(begin + 8)
        taught.learn(order.picked_up(begin + 10).delivered(begin + takes).order)
    return taught


def out(hub: str, since: float = 2_010, deadline: float = 2_060, **more: int) -> Situation:
    told = {"eta": 0, "eta_at": 0} | more
    return Situation(hub, "l1", Milestone.OUT, at(since), told["eta"], told["eta_at"], at(deadline))


def test_the_milestone_is_the_last_that_happened(lives: NewLife) -> None:
    order = lives().placed(0, 60)
    seen = []
    for happens in (
        lambda: order.ready(5),
        lambda: order.assigned(8),
        lambda: order.unassigned(9),
        lambda: order.assigned(10),
        lambda: order.picked_up(12),
        lambda: order.eta(13, 30),
        lambda: order.arrived(20),
        lambda: order.failed(22),
        lambda: order.departed(25),
        lambda: order.departed(27),
        lambda: order.arrived(40),
    ):
        happens()
        stands = situation(order.order, at(60))
        seen.append((stands.milestone.value, (stands.since - START) / MINUTE))
    assert seen == [
        ("ready", 5),
        ("assigned", 8),
        ("ready", 5),
        ("assigned", 8),
        ("out", 12),
        ("out", 12),
        ("arrived", 20),
        ("failed", 22),
        ("out", 25),
        ("out", 25),
        ("arrived", 40),
    ]
    assert (stands.eta, stands.eta_at, stands.hub_id, stands.service_level) == (at(30), at(13), "h1", "l1")


def test_who_has_arrived_or_was_never_placed_stands_nowhere(lives: NewLife) -> None:
    assert situation(lives().ready(5).order, at(60)) is None
    assert situation(lives().placed().delivered(9).order, at(60)) is None
    assert situation(lives().placed().cancelled(9).order, at(60)) is None


def test_a_way_is_told_in_passages(lives: NewLife) -> None:
    order = (
        lives().placed(0, 60).ready(5).assigned(3).picked_up(12).failed(22).departed(25).arrived(40).delivered(44).order
    )
    told = [
        (milestone.value, (since - START) / MINUTE, (until - START) / MINUTE)
        for milestone, since, until in passages(order, at(44))
    ]
    assert told == [
        ("placed", 0, 5),
        ("assigned", 5, 12),
        ("out", 12, 22),
        ("failed", 22, 25),
        ("out", 25, 40),
        ("arrived", 40, 44),
    ]


def test_a_hub_is_judged_by_its_own_and_a_new_one_by_all(forecast: Forecast) -> None:
    now = at(2_015)
    good, bad, new = (forecast.chance(out(hub), now) for hub in ("h1", "h2", "h3"))
    assert good is not None
    assert bad is not None
    assert new is not None
    assert good > 0.75
    assert bad < 0.25
    assert bad < new < good


def test_the_chance_falls_as_time_goes_by_and_ends_at_the_deadline(forecast: Forecast) -> None:
    stands = out("h1")
    chances = [forecast.chance(stands, at(2_010 + minutes)) for minutes in (5, 30, 42, 48)]
    assert chances == sorted(chances, key=lambda chance: -(chance or 0.0))
    assert forecast.chance(stands, at(2_060)) == 0.0
    assert forecast.chance(stands, at(2_061)) == 0.0


@pytest.mark.parametrize("eta", [0, 20, 45, 49, 55, 70])
@pytest.mark.parametrize("threshold", [0.2, 0.5, 0.75])
def test_it_falls_below_at_the_first_such_moment(
    lives: NewLife, forecast: Forecast, eta: int, threshold: float
) -> None:
    drawn = random.Random(5)
    for number in range(100):
        begin = number * 3
        came = begin + 40 + drawn.gauss(0, 6)
        order = lives().placed(begin, begin + 60).picked_up(begin + 10).eta(begin + 11, begin + 40)
        forecast.learn(order.delivered(came).order)
    stands = out("h1", eta=at(2_010 + eta), eta_at=at(2_011)) if eta else out("h1")
    falls = forecast.falls_below(stands, threshold, at(2_012))
    assert falls is not None
    chance = forecast.chance(stands, falls)
    assert chance is not None
    assert chance < threshold
    for earlier in range(at(2_012), falls - 1, MINUTE // 7):
        before = forecast.chance(stands, earlier)
        assert before is not None
        assert before >= threshold - 1e-9


def test_an_eta_past_the_deadline_lowers_the_chance(lives: NewLife, forecast: Forecast) -> None:
    for number in range(60):
        begin = number * 3
        order = lives().placed(begin, begin + 60).picked_up(begin + 10).eta(begin + 11, begin + 40)
        forecast.learn(order.delivered(begin + 38 + number % 5).order)
    now = at(2_015)
    silent, early, late = (
        forecast.chance(one, now)
        for one in (
            out("h1"),
            out("h1", eta=at(2_030), eta_at=at(2_012)),
            out("h1", eta=at(2_075), eta_at=at(2_012)),
        )
    )
    old = forecast.chance(out("h1", eta=at(2_075), eta_at=at(2_009)), now)
    assert early is not None
    assert silent is not None
    assert late is not None
    assert late < 0.4 < silent < early
    assert old == silent


def test_nothing_is_said_where_too_little_is_known(lives: NewLife, forecast: Forecast) -> None:
    assert Forecast().chance(out("h1"), at(2_015)) is None
    assert Forecast().falls_below(out("h1"), 0.5, at(2_015)) is None
    never = Situation("h1", "l1", Milestone.FAILED, at(2_010), 0, 0, at(2_060))
    assert forecast.chance(never, at(2_015)) is None


def test_a_deadline_passed_teaches_before_the_order_comes(lives: NewLife) -> None:
    forecast = Forecast()
    for number in range(30):
        forecast.learn(lives().placed(number, number + 60).picked_up(number + 10).order)
    chance = forecast.chance(out("h1"), at(2_030))
    assert chance is not None
    assert chance < 0.2


def test_what_was_cancelled_teaches_nothing(lives: NewLife) -> None:
    forecast = Forecast()
    for number in range(30):
        forecast.learn(lives().placed(number, number + 60).picked_up(number + 10).cancelled(number + 20).order)
    assert forecast.chance(out("h1"), at(2_030)) is None


def test_what_came_last_weighs_most(lives: NewLife, forecast: Forecast) -> None:
    for number in range(2_000):
        forecast.learn(lives().placed(number, number + 60, hub="h1").picked_up(number + 10).order)
    chance = forecast.chance(out("h1"), at(2_015))
    assert chance is not None
    assert chance < 0.1


def test_memory_is_bounded(lives: NewLife, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Forecast, "TALLIES", 100)
    forecast = Forecast()
    for number in range(300):
        forecast.learn(lives().placed(number, number + 60, hub=f"h{number}").picked_up(number + 10).order)
    assert len(forecast._tallies) <= 105
    chance = forecast.chance(out("h1"), at(2_030))
    assert chance is not None
    assert chance < 0.2


@pytest.mark.parametrize("left", [*MIDDLES[:14], *(middle + 1 for middle in MIDDLES[:14])])
def test_at_the_moment_it_falls_the_chance_has_fallen(lives: NewLife, left: int) -> None:
    # Else who decides then would decide for the same moment again and again. Some bins know enough, others nothing.
    forecast = Forecast()
    for number in range(14):
        late = 60 if number % 3 else 0
        order = lives().placed(number, number + 60).picked_up(number + 10 + number)
        forecast.learn(order.delivered(number + 40 + late).order)
    stands = out("h1")
    now = stands.deadline - left
    falls = forecast.falls_below(stands, 0.6, now)
    if falls is not None:
        chance = forecast.chance(stands, falls)
        assert chance is not None
        assert chance < 0.6


def test_an_order_decided_before_it_was_placed_teaches_nothing(lives: Callable[[], Any]) -> None:
    forecast = Forecast()
    for life in (lives().placed(50, 20), lives().placed(50, 90).delivered(10), lives().placed(50, 50).delivered(50)):
        forecast.learn(life.order)
        assert passages(life.order, 0) == []
