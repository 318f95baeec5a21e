"""Whether the policies make sense: what no schema can say."""

from collections.abc import Iterator
from itertools import product
from typing import Any, NamedTuple

from milepost.domain.sla.policy import Limits, Policy
from milepost.domain.windows import COST_WINDOWS
from milepost.policies.faults import Fault, Path
from milepost.policies.schema import DEFAULT, kpi_named
from milepost.policies.source import Source
from milepost.policies.spans import NONE, UNITS, parse_span
from milepost.reading.question import COST_KPI

LONGEST_DAYS = 30
"""No limit may be longer: an order of which nothing was heard for so long is abandoned."""

_BOUNDS_OF_UNITS = {
    "ratio": (0.0, 1.0),
    "points": (-100.0, 100.0),
    "minutes": (0.0, float("inf")),
    "currency": (0.0, float("inf")),
}

Items = list[tuple[Path, dict[str, Any]]]


def check_sense(document: Any, source: Source) -> list[Fault]:
    """What does not fit together, or can never hold. Values at fault are left out of ``document``, so not judged."""
    policies, objectives, bands = (_items(document, part) for part in ("policies", "objectives", "bands"))
    found: list[Fault] = []
    for items in (policies, objectives, bands):
        found += _names(items, source)
    for path, policy in policies:
        found += _policy(path, policy, source)
    found += _matches(policies, source)
    found += _chances(policies, source)
    for items in (objectives, bands):
        found += _same_kpi(items, source)
        for path, one in items:
            found += _cost_window(path, one, source)
    for path, band in bands:
        found += _band(path, band, source)
    return found


def _items(document: Any, part: str) -> Items:
    listed = document.get(part) if isinstance(document, dict) else None
    found = listed if isinstance(listed, list) else []
    return [((part, index), one) for index, one in enumerate(found) if isinstance(one, dict)]


def _whole(path: Path, value: dict[str, Any], source: Source) -> bool:
    """Whether ``value`` is all that is written at ``path``: what faults have left of something is not judged."""
    written = source.value
    for part in path:
        written = written[part]
    return path not in source.spoilt and bool(written.keys() == value.keys())


def _names(items: Items, source: Source) -> Iterator[Fault]:
    first: dict[str, Path] = {}
    for path, one in items:
        name = one.get("name")
        if name is not None and first.setdefault(name, path) != path:
            line = source.places[first[name]][0]
            yield source.fault((*path, "name"), f"{name} is the name of another, in line {line}")


def _policy(path: Path, policy: dict[str, Any], source: Source) -> Iterator[Fault]:
    for where, text in _limits(path, policy):
        span = 0 if text == NONE else parse_span(text)
        if text != NONE and span == 0 and where[-1] != "grace":
            yield source.fault(where, f"{text} is no time at all; write {NONE} where there is to be no limit")
        if span > LONGEST_DAYS * UNITS["d"]:
            yield source.fault(where, f"{text} is longer than {LONGEST_DAYS}d, the most there may be")
    name, match = policy.get("name"), policy.get("match")
    if not set(policy) - {"name", "match"} and _whole(path, policy, source):
        yield source.fault(path, "says nothing: give it promise, stages or silence, or leave it out")
    if name is None or match is None or not _whole((*path, "match"), match, source):
        return
    if not match and name != DEFAULT:
        yield source.fault((*path, "match"), f"matches every order; only the policy named {DEFAULT} may")
    if match and name == DEFAULT:
        yield source.fault((*path, "match"), f"must be empty: the policy named {DEFAULT} matches every order")


def _limits(path: Path, policy: dict[str, Any]) -> Iterator[tuple[Path, str]]:
    promise = policy.get("promise")
    if isinstance(promise, dict) and "grace" in promise:
        yield (*path, "promise", "grace"), promise["grace"]
    for stage, text in policy.get("stages", {}).items():
        yield (*path, "stages", stage), text
    if "silence" in policy:
        yield (*path, "silence"), policy["silence"]


def _matches(policies: Items, source: Source) -> Iterator[Fault]:
    first: dict[tuple[tuple[str, str], ...], Path] = {}
    for path, policy in policies:
        match = policy.get("match")
        # Two that match every order are told of by their names.
        if not match or not _whole((*path, "match"), match, source):
            continue
        key = tuple(sorted(match.items()))
        if first.setdefault(key, path) != path:
            line = source.places[first[key]][0]
            yield source.fault((*path, "match"), f"is the same as that of the policy in line {line}")


def _chances(policies: Items, source: Source) -> Iterator[Fault]:
    """Wherever two policies may hold at once, an order must be at risk below a lower chance than it is eased above."""
    risks, eases = _setters(policies, "risk_below"), _setters(policies, "eased_above")
    for risk, ease in product(risks, eases):
        if risk.value < ease.value or any(ease.match.get(name, value) != value for name, value in risk.match.items()):
            continue
        # Where both match, and nothing that need not: if here a third takes precedence, it does so everywhere.
        place = risk.match | ease.match
        if _of(risks, place) is risk and _of(eases, place) is ease:
            earlier, later = sorted((risk.path, ease.path), key=lambda at: source.places[at] if at else (0, 0))
            said = f"in line {source.places[earlier][0]}" if earlier else "by default"
            yield source.fault(
                later,
                f"at risk below {risk.value:g} and eased above {ease.value:g} (the other is set {said}) hold for one "
                "order: risk_below must be less than eased_above",
            )


class _Setter(NamedTuple):
    """A policy that sets a chance; without a path it is what holds where none does."""

    path: Path
    match: dict[str, str]
    value: float


def _setters(policies: Items, name: str) -> list[_Setter]:
    """Those that set the chance ``name``, the least specific first."""
    found = []
    for path, policy in policies:
        promise, match = policy.get("promise"), policy.get("match")
        if isinstance(promise, dict) and name in promise and match is not None:
            found.append(_Setter((*path, "promise", name), match, promise[name]))
    found.sort(key=lambda one: Policy("", one.match).specificity)
    return [_Setter((), {}, getattr(Limits, name)), *found]


def _of(setters: list[_Setter], place: dict[str, str]) -> _Setter:
    return next(one for one in reversed(setters) if one.match.items() <= place.items())


def _same_kpi(items: Items, source: Source) -> Iterator[Fault]:
    first: dict[tuple[str, str], Path] = {}
    for path, one in items:
        key = one.get("kpi"), one.get("window")
        if None not in key and first.setdefault(key, path) != path:  # type: ignore[arg-type]
            line = source.places[first[key]][0]  # type: ignore[index]
            yield source.fault((*path, "kpi"), f"{key[0]} over {key[1]} is what line {line} is about already")


def _cost_window(path: Path, one: dict[str, Any], source: Source) -> Iterator[Fault]:
    if one.get("kpi") == COST_KPI and one.get("window") not in (None, *COST_WINDOWS):
        yield source.fault(
            (*path, "window"), f"{COST_KPI} is not served over {one['window']}; there are {', '.join(COST_WINDOWS)}"
        )


def _band(path: Path, band: dict[str, Any], source: Source) -> Iterator[Fault]:
    given = {key: band[key] for key in ("at_least", "at_most") if key in band}
    if not {"at_least", "at_most"} & set(band) and _whole(path, band, source):
        yield source.fault(path, "has no edge: give it at_least or at_most")
    if "kpi" in band:
        kpi = kpi_named(band["kpi"])
        low, high = _BOUNDS_OF_UNITS[kpi.unit]
        for key, value in given.items():
            if not low <= value <= high:
                within = f"is between {low:g} and {high:g}" if high < float("inf") else f"is never less than {low:g}"
                yield source.fault((*path, key), f"{value:g} can never be: {kpi.name} {within}")
    if len(given) == 2 and given["at_least"] >= given["at_most"]:
        yield source.fault((*path, "at_most"), f"must be more than at_least, which is {given['at_least']:g}")
