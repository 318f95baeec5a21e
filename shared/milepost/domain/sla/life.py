"""The life of an SLA: which states it reaches, from what is known of its order and what was said of it before.

pending → at risk (→ eased) → breached → resolved, or withdrawn; each at most once. An SLA is an order, a rule and a
base. What a state was decided by is never decided anew: once anything was raised, the due moment stands, whatever the
policies become. A correction may still withdraw it.
"""

from typing import NamedTuple

from milepost.domain.sla.policy import Limits
from milepost.domain.sla.spans import Span
from milepost.domain.sla.words import PROMISE, RANKS, SILENCE, Cause, State

FRESH_US = 15 * 60 * 1_000_000
"""Nothing is raised for a moment that was longer past than this when it became known."""

_AT_RISK, _EASED, _BREACHED = RANKS[State.AT_RISK], RANKS[State.EASED], RANKS[State.BREACHED]
_RESOLVED, _WITHDRAWN = RANKS[State.RESOLVED], RANKS[State.WITHDRAWN]


class Raised(NamedTuple):
    """What was said of an SLA so far: how far it has come, when it was due, and under which policies."""

    rule: str
    base: int
    due: int
    rank: int
    policy_version: int


class Step(NamedTuple):
    """A state that an SLA reaches: when (``at``), why, and with which chance where that was foretold (else −1)."""

    rule: str
    base: int
    due: int
    state: State
    cause: Cause
    at: int
    policy_version: int
    chance: float = -1.0


def due_of(span: Span, limits: Limits) -> int | None:
    """When the span is over its limit, in microseconds; None where nothing is promised of it."""
    if span.rule == PROMISE:
        return span.base + limits.grace if limits.promise else None
    limit = limits.silence if span.rule == SILENCE else limits.stages.get(span.rule)
    return None if limit is None else span.base + limit


def settle(
    span: Span, due: int, policy_version: int, rank: int, known_at: int, now: int, breach_cause: Cause
) -> list[Step]:
    """The states that an SLA reaches by ``now``, having reached ``rank``.

    ``known_at`` is when its due moment became known: one long past by then raises nothing. ``breach_cause`` is why a
    breach would be one.
    """
    steps: list[Step] = []

    def reach(state: State, cause: Cause, at: int) -> None:
        steps.append(Step(span.rule, span.base, due, state, cause, at, policy_version))

    if span.end and span.end <= due:
        if _BREACHED <= rank < _WITHDRAWN:
            reach(State.WITHDRAWN, span.cause, span.end)
        elif _AT_RISK <= rank < _BREACHED:
            reach(State.RESOLVED, span.cause, span.end)
        return steps
    if not span.end and now < due:
        return steps
    if rank < _BREACHED:
        if rank == 0 and known_at > due + FRESH_US:
            return steps
        reach(State.BREACHED, breach_cause, due)
    if span.end and rank < _RESOLVED:
        reach(State.RESOLVED, Cause.MET_LATE if span.cause is Cause.MET else span.cause, span.end)
    return steps


def vanish(raised: Raised, current: Span | None, last_event_at: int, now: int) -> Step | None:
    """What becomes of an SLA whose base is no more: something moved it, or took back what it stood on.

    ``current`` is what its rule looks at now, and ``now`` when that became known. A silence ends with the next event,
    late or not.
    """
    if raised.rank >= _WITHDRAWN or (raised.rank == _RESOLVED and raised.rule != PROMISE):
        return None
    state, cause, at = State.WITHDRAWN, Cause.RETRACTED if current is None else Cause.MOVED, now
    if raised.rule == SILENCE:
        cause = Cause.HEARD
        if last_event_at > raised.due:
            state, at = State.RESOLVED, last_event_at
    return Step(raised.rule, raised.base, raised.due, state, cause, at, raised.policy_version)
