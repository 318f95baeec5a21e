"""What an operation promises: limits for orders (most specific wins), objectives for hubs. Checked values, pure.

All durations are microseconds.
"""

from dataclasses import dataclass, field
from functools import cached_property, lru_cache

from milepost.domain.measures import STAGES

MATCHED = ("service_level", "hub_id", "zone_id", "merchant_id")
"""What a policy may match, the least specific first: of two policies that match as many, the later key wins."""

LIMITED_STAGES = tuple(stage for stage in STAGES if stage != "reattempt")
"""Stages that may have a limit."""


@dataclass(frozen=True)
class Limits:
    """What holds for one order: None where nothing is promised. ``version`` is the policies' version it comes from.

    ``grace`` is added to the deadline before the promise counts as breached; ``risk_below`` and ``eased_above`` are
    chances (0 to 1) to keep the promise: at risk below the one, no more above the other.
    """

    version: int = 0
    promise: bool = True
    grace: int = 0
    risk_below: float = 0.5
    eased_above: float = 0.75
    stages: dict[str, int] = field(default_factory=dict)
    silence: int | None = None

    @cached_property
    def longest(self) -> int:
        """The longest time after an event, or after a deadline, at which a limit may still be broken."""
        return max(self.grace, self.silence or 0, *self.stages.values(), 0)


@dataclass(frozen=True)
class Policy:
    """One policy: what it matches (all of it, by equality), and what it says; None where it says nothing.

    ``stages`` values are None where the policy takes a limit away; ``silence`` 0 does the same for silence.
    """

    name: str
    match: dict[str, str]
    promise: bool | None = None
    grace: int | None = None
    risk_below: float | None = None
    eased_above: float | None = None
    stages: dict[str, int | None] = field(default_factory=dict)
    silence: int | None = None

    @property
    def specificity(self) -> tuple[int, int]:
        """How specific it is: by the number of what it matches, then by the most specific of these."""
        return len(self.match), sum(1 << MATCHED.index(name) for name in self.match)


@dataclass(frozen=True)
class Objective:
    """A share of orders that is to be good over ``window`` (as ``milepost_kpi_*`` has it, such as ``30d``).

    Burn alerts need at least ``minimum`` orders due in a rule's long window and ``minimum_bad`` broken promises.
    ``hubs`` are targets of their own for single hubs.
    """

    name: str
    kpi: str
    target: float
    window: str
    minimum: int
    minimum_bad: int
    hubs: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Band:
    """Where a KPI should be over ``window``: not under ``at_least``, not over ``at_most``; else a ticket.

    ``minimum`` is how many orders or answers must be behind the value.
    """

    name: str
    kpi: str
    window: str
    minimum: int
    at_least: float | None = None
    at_most: float | None = None


@dataclass(frozen=True)
class Policies:
    """All of an installation's policies in one version."""

    version: int
    policies: tuple[Policy, ...] = ()
    objectives: tuple[Objective, ...] = ()
    bands: tuple[Band, ...] = ()

    def __hash__(self) -> int:
        return hash(self.version)


@lru_cache(maxsize=65_536)
def limits_for(policies: Policies, service_level: str, hub_id: str, zone_id: str, merchant_id: str) -> Limits:
    """What holds for an order with these dimensions: each limit from the most specific policy that sets it."""
    place = {"service_level": service_level, "hub_id": hub_id, "zone_id": zone_id, "merchant_id": merchant_id}
    promise, grace, risk_below, eased_above, silence = True, 0, Limits.risk_below, Limits.eased_above, 0
    stages: dict[str, int | None] = {}
    for policy in sorted(policies.policies, key=lambda one: one.specificity):
        if all(place[name] == value for name, value in policy.match.items()):
            promise = promise if policy.promise is None else policy.promise
            grace = grace if policy.grace is None else policy.grace
            risk_below = risk_below if policy.risk_below is None else policy.risk_below
            eased_above = eased_above if policy.eased_above is None else policy.eased_above
            silence = silence if policy.silence is None else policy.silence
            stages |= policy.stages
    return Limits(
        policies.version,
        promise,
        grace,
        risk_below,
        eased_above,
        {stage: limit for stage, limit in stages.items() if limit is not None},
        silence or None,
    )
