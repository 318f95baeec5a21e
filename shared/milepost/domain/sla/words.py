"""The words of an SLA's life: its rules, its states, and how it may end."""

from enum import StrEnum

from milepost.domain.sla.policy import LIMITED_STAGES

PROMISE, SILENCE = "promise", "silence"
RULES = (PROMISE, *LIMITED_STAGES, SILENCE)
"""What an order is watched for: the promise, each stage's time limit, the courier's silence."""


class State(StrEnum):
    """Where an SLA stands, in the order it may be gone through; ``pending`` is never written."""

    PENDING = "pending"
    AT_RISK = "at_risk"
    EASED = "eased"
    BREACHED = "breached"
    RESOLVED = "resolved"
    WITHDRAWN = "withdrawn"


RANKS = {state: rank for rank, state in enumerate(State)}
"""An SLA stands in the state of the highest rank it has reached."""
ENDED = (State.RESOLVED, State.WITHDRAWN)


class Cause(StrEnum):
    """Why: of a breach whether nothing was heard or it is known to be late, of an end how it ended."""

    NONE = ""
    PREDICTED = "predicted"
    LATE = "late"
    SILENT = "silent"
    MET = "met"
    MET_LATE = "met_late"
    CANCELLED = "cancelled"
    RETURNED = "returned"
    LOST = "lost"
    HEARD = "heard"
    MOVED = "moved"
    RETRACTED = "retracted"
