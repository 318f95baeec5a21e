"""The life of an SLA: every state at most once, in whatever order things become known."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from milepost.domain.sla.life import FRESH_US, Raised, due_of, settle, vanish
from milepost.domain.sla.policy import Policies, Policy, limits_for
from milepost.domain.sla.spans import Span
from milepost.domain.sla.words import RANKS, Cause, State

MINUTE = 60_000_000
DUE = 1_000 * MINUTE


def states(span: Span, rank: int, now: int, known_at: int = 0) -> list[tuple[State, Cause, int]]:
    steps = settle(span, DUE, 1, rank, known_at, now, Cause.LATE)
    return [(step.state, step.cause, step.at) for step in steps]


def running() -> Span:
    return Span("promise", DUE, 0, Cause.NONE)


def ended(at: int, cause: Cause = Cause.MET) -> Span:
    return Span("promise", DUE, at, cause)


def test_before_it_is_due_nothing_is_said() -> None:
    assert states(running(), 0, DUE - 1) == []
    assert states(ended(DUE - 1), 0, DUE - 1) == []


def test_at_its_moment_it_is_breached_and_once() -> None:
    assert states(running(), 0, DUE) == [(State.BREACHED, Cause.LATE, DUE)]
    assert states(running(), RANKS[State.AT_RISK], DUE) == [(State.BREACHED, Cause.LATE, DUE)]
    assert states(running(), RANKS[State.BREACHED], DUE + MINUTE) == []


@pytest.mark.parametrize(
    ("cause", "told"), [(Cause.MET, Cause.MET_LATE), (Cause.CANCELLED, Cause.CANCELLED), (Cause.LOST, Cause.LOST)]
)
def test_what_ends_late_is_resolved(cause: Cause, told: Cause) -> None:
    late = DUE + 5 * MINUTE
    assert states(ended(late, cause), RANKS[State.BREACHED], late) == [(State.RESOLVED, told, late)]


def test_a_late_end_heard_of_at_once_is_breach_and_end() -> None:
    late = DUE + 5 * MINUTE
    assert states(ended(late), 0, late) == [(State.BREACHED, Cause.LATE, DUE), (State.RESOLVED, Cause.MET_LATE, late)]


def test_kept_after_all_it_is_withdrawn() -> None:
    kept = [(State.WITHDRAWN, Cause.MET, DUE - 1)]
    assert states(ended(DUE - 1), RANKS[State.BREACHED], DUE + MINUTE) == kept
    assert states(ended(DUE - 1), RANKS[State.RESOLVED], DUE + MINUTE) == kept
    assert states(ended(DUE - 1), RANKS[State.WITHDRAWN], DUE + MINUTE) == []


def test_a_risk_that_did_not_come_true_is_resolved() -> None:
    assert states(ended(DUE), RANKS[State.AT_RISK], DUE) == [(State.RESOLVED, Cause.MET, DUE)]
    assert states(ended(DUE), RANKS[State.EASED], DUE) == [(State.RESOLVED, Cause.MET, DUE)]


def test_nothing_is_raised_for_what_was_long_past_when_it_became_known() -> None:
    assert states(running(), 0, DUE + FRESH_US, DUE + FRESH_US) != []
    assert states(running(), 0, DUE + FRESH_US + 1, DUE + FRESH_US + 1) == []
    late = DUE + FRESH_US + 1
    assert states(ended(late), 0, late, late) == []
    # What was raised in time goes on.
    assert states(ended(late), RANKS[State.BREACHED], late, late) == [(State.RESOLVED, Cause.MET_LATE, late)]


@given(
    st.lists(
        st.tuples(st.booleans(), st.integers(-30, 30), st.integers(-30, 30), st.sampled_from(list(Cause)[4:8])),
        max_size=8,
    )
)
def test_each_state_is_reached_at_most_once(seen: list[tuple[bool, int, int, Cause]]) -> None:
    rank, reached = 0, []
    for over, end, now, cause in seen:
        span = ended(DUE + end * MINUTE, cause) if over else running()
        for step in settle(span, DUE, 1, rank, 0, DUE + now * MINUTE, Cause.LATE):
            assert RANKS[step.state] > rank
            rank = RANKS[step.state]
            reached.append(step.state)
    assert len(reached) == len(set(reached))


def test_what_vanishes() -> None:
    silent = Raised("silence", 10, 20, RANKS[State.BREACHED], 1)
    step = vanish(silent, None, 25, 40)
    assert step is not None
    assert (step.state, step.cause, step.at) == (State.RESOLVED, Cause.HEARD, 25)
    early = vanish(silent, None, 15, 40)
    assert early is not None
    assert early.state is State.WITHDRAWN
    moved = vanish(Raised("promise", 10, 10, RANKS[State.BREACHED], 1), Span("promise", 90, 0, Cause.NONE), 30, 30)
    assert moved is not None
    assert (moved.state, moved.cause) == (State.WITHDRAWN, Cause.MOVED)
    gone = vanish(Raised("promise", 10, 10, RANKS[State.AT_RISK], 1), None, 30, 30)
    assert gone is not None
    assert (gone.state, gone.cause) == (State.WITHDRAWN, Cause.RETRACTED)
    assert vanish(Raised("door", 10, 10, RANKS[State.RESOLVED], 1), Span("door", 90, 0, Cause.NONE), 30, 30) is None
    assert vanish(Raised("promise", 10, 10, RANKS[State.WITHDRAWN], 1), None, 30, 30) is None


def test_the_most_specific_policy_wins_limit_by_limit() -> None:
    policies = Policies(
        3,
        (
            Policy("default", {}, stages={"door": 20, "transit": 60}, silence=45),
            Policy("express", {"service_level": "express"}, stages={"door": 5}),
            Policy("far", {"hub_id": "north"}, stages={"transit": 120, "door": 9}, silence=0),
            Policy("both", {"hub_id": "north", "service_level": "express"}, grace=2),
        ),
    )
    assert limits_for(policies, "", "", "", "").stages == {"door": 20, "transit": 60}
    north = limits_for(policies, "express", "north", "z", "m")
    assert (north.stages, north.silence, north.grace, north.version) == ({"door": 9, "transit": 120}, None, 2, 3)
    assert due_of(Span("promise", 100, 0, Cause.NONE), north) == 102
    assert due_of(Span("door", 100, 0, Cause.NONE), north) == 109
    assert due_of(Span("silence", 100, 0, Cause.NONE), north) is None
