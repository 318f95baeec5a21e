"""What one set of policies says that another does not, in lines that people read."""

from collections.abc import Iterable, Iterator
from dataclasses import asdict

from milepost.domain.sla.policy import Band, Objective, Policies, Policy
from milepost.policies.spans import NONE, span_text


def changes(before: Policies, after: Policies) -> list[str]:
    """A line for each thing said anew (+), no more (-), or otherwise (~); none where both say the same."""
    old, new = _said(before), _said(after)
    lines = []
    for key in [*new, *(key for key in old if key not in new)]:
        if key not in old:
            lines.append(f"+ {key}: {new[key]}")
        elif key not in new:
            lines.append(f"- {key}: {old[key]}")
        elif old[key] != new[key]:
            lines.append(f"~ {key}: {old[key]} → {new[key]}")
    return lines


def said(policy: Policy) -> dict[str, str]:
    """Everything that a policy says of its orders' limits, by the limit's name, as the file has it."""
    found: dict[str, str] = {}
    if policy.promise is not None:
        found["promise"] = "watched" if policy.promise else "not watched"
    if policy.grace is not None:
        found["grace"] = span_text(policy.grace)
    for name in ("risk_below", "eased_above"):
        chance = getattr(policy, name)
        if chance is not None:
            found[name] = f"{chance:g}"
    found |= {f"stages.{stage}": span_text(limit) if limit else NONE for stage, limit in policy.stages.items()}
    if policy.silence is not None:
        found["silence"] = span_text(policy.silence) if policy.silence else NONE
    return found


def _said(policies: Policies) -> dict[str, str]:
    found: dict[str, str] = {}
    for policy in policies.policies:
        name = f"policy {policy.name}"
        found[f"{name} match"] = ", ".join(f"{key}={value}" for key, value in policy.match.items()) or "every order"
        found |= {f"{name} {limit}": text for limit, text in said(policy).items()}
    found |= _fields("objective", policies.objectives)
    found |= _fields("band", policies.bands)
    return found


def _fields(kind: str, items: Iterable[Objective | Band]) -> dict[str, str]:
    return {f"{kind} {one.name} {name}": text for one in items for name, text in _values(one)}


def _values(one: Objective | Band) -> Iterator[tuple[str, str]]:
    for name, value in asdict(one).items():
        if isinstance(value, dict):
            yield from ((f"{name}.{key}", f"{share:g}") for key, share in value.items())
        elif value is not None and name != "name":
            yield name, f"{value:g}" if isinstance(value, float) else str(value)
