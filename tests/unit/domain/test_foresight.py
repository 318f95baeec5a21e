"""How well breaches are foreseen, on a small simulated city and by a replay that may not look ahead."""

import pytest
from foresight import Outcome, Trace, area, city, judge, naive, replay, trace

from milepost.domain.sla.policy import Limits
from milepost.domain.sla.prediction import Forecast

MINUTE = 60_000_000
Cases = dict[tuple[str, int], bool]


@pytest.fixture(scope="module")
def small() -> Trace:
    return trace(city(3_000, "5"), "EUR")


@pytest.fixture(scope="module")
def outcome(small: Trace) -> Outcome:
    return replay(small, Forecast(), [15 * MINUTE, 30 * MINUTE])


@pytest.fixture(scope="module")
def learnt(small: Trace) -> Cases:
    """The later half of the promises: before that little has been seen."""
    middle = sorted(case.deadline for case in small.cases)[len(small.cases) // 2]
    return {(case.order_id, case.deadline): case.kept for case in small.cases if case.deadline >= middle}


def test_warnings_are_worth_more_than_a_fixed_time_before_the_deadline(outcome: Outcome, learnt: Cases) -> None:
    ours = judge(outcome.warned, learnt)
    assert ours.recall > 0.85
    assert ours.lead_p50 > 20 * MINUTE
    same_lead = judge(naive(outcome, round(ours.lead_p50)), learnt)
    assert ours.precision > same_lead.precision + 0.05


@pytest.mark.parametrize(("minutes", "floor"), [(15, 0.80), (30, 0.75)])
def test_the_chance_ranks_those_still_open(outcome: Outcome, learnt: Cases, minutes: int, floor: float) -> None:
    looks = [look for look in outcome.marked if look.left == minutes * MINUTE and look.case in learnt]
    known = [(look.chance, learnt[look.case]) for look in looks if look.chance is not None]
    assert len(known) > 0.9 * len(looks)
    assert area(known) > floor
    low = [kept for chance, kept in known if chance < Limits.risk_below]
    broken = sum(not kept for _, kept in known)
    # The naive rule takes all that are open; of as many drawn from them by lot the same share would break.
    assert sum(not kept for kept in low) / len(low) > broken / len(known) + 0.08


def test_a_chance_is_a_share(outcome: Outcome, learnt: Cases) -> None:
    known = [
        (look.chance, learnt[look.case]) for look in outcome.told if look.chance is not None and look.case in learnt
    ]
    for low, high in ((0.0, 0.5), (0.5, 0.8), (0.8, 1.0)):
        inside = [(chance, kept) for chance, kept in known if low <= chance < high]
        assert len(inside) > 100
        said = sum(chance for chance, _ in inside) / len(inside)
        assert sum(kept for _, kept in inside) / len(inside) == pytest.approx(said, abs=0.1)


def test_the_replay_does_not_look_ahead(small: Trace, outcome: Outcome) -> None:
    half = len(small.steps) // 2
    until = small.steps[half].at
    early = replay(Trace(small.steps[:half], small.cases), Forecast())
    assert early.warned == {case: at for case, at in outcome.warned.items() if at < until}
    assert early.told == outcome.told[: len(early.told)]
