"""Which limits hold for an order, and the policy each comes from."""

from dataclasses import dataclass

from milepost.domain.sla.policy import LIMITED_STAGES, MATCHED, Limits, Policies, limits_for
from milepost.policies.changes import said
from milepost.policies.spans import NONE, span_text


@dataclass(frozen=True)
class Holding:
    """A limit that holds, as the file writes it; ``policy`` is empty where no policy speaks of it."""

    limit: str
    value: str
    policy: str


def holdings(policies: Policies, place: dict[str, str]) -> list[Holding]:
    """Every limit of an order with the dimensions ``place``; those it does not name are unknown, and match nothing."""
    known = {name: place.get(name, "") for name in MATCHED}
    limits = limits_for(policies, **known)
    origins: dict[str, str] = {}
    for policy in sorted(policies.policies, key=lambda one: one.specificity):
        if all(known[name] == value for name, value in policy.match.items()):
            origins |= dict.fromkeys(said(policy), policy.name)
    return [Holding(name, value, origins.get(name, "")) for name, value in _values(limits).items()]


def _values(limits: Limits) -> dict[str, str]:
    return {
        "promise": "watched" if limits.promise else "not watched",
        "grace": span_text(limits.grace),
        "risk_below": f"{limits.risk_below:g}",
        "eased_above": f"{limits.eased_above:g}",
        **{
            f"stages.{stage}": span_text(limits.stages[stage]) if stage in limits.stages else NONE
            for stage in LIMITED_STAGES
        },
        "silence": span_text(limits.silence) if limits.silence else NONE,
    }
