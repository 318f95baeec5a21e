"""Which limits hold for an order: each from the most specific policy that sets it, whatever the order in the file."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from milepost.domain.sla.policy import LIMITED_STAGES, MATCHED, Limits, Policies, Policy, limits_for
from milepost.policies.changes import changes
from milepost.policies.holding import holdings
from milepost.policies.load import load_policies
from milepost.policies.schema import policies_schema
from milepost.policies.spans import parse_span, span_text

ROOT = Path(__file__).parents[3]
SHIPPED = ROOT / "deploy" / "sla" / "policies.yml"

_VALUES = st.sampled_from(("a", "b"))
_PLACES = st.fixed_dictionaries({name: st.sampled_from(("a", "b", "")) for name in MATCHED})
_SPANS = st.sampled_from((None, 60_000_000, 120_000_000))


@st.composite
def _policies(draw: st.DrawFn) -> Policies:
    matches = draw(
        st.lists(
            st.dictionaries(st.sampled_from(MATCHED), _VALUES),
            unique_by=lambda one: tuple(sorted(one.items())),
            max_size=8,
        )
    )
    return Policies(
        1,
        tuple(
            Policy(
                f"p{number}",
                match,
                draw(st.sampled_from((None, True, False))),
                draw(_SPANS),
                draw(st.sampled_from((None, 0.1, 0.2))),
                draw(st.sampled_from((None, 0.8, 0.9))),
                draw(st.dictionaries(st.sampled_from(LIMITED_STAGES), _SPANS, max_size=3)),
                draw(st.sampled_from((None, 0, 60_000_000))),
            )
            for number, match in enumerate(matches)
        ),
    )


def _by_definition(policies: Policies, place: Mapping[str, str], said: Any, default: Any) -> Any:
    """The most specific by the words of the guide: more dimensions win, then merchant over zone over hub over level."""
    best, found = None, default
    for policy in policies.policies:
        value = said(policy)
        if value is None or any(place[name] != wanted for name, wanted in policy.match.items()):
            continue
        rank = (len(policy.match), *(name in policy.match for name in ("merchant_id", "zone_id", "hub_id")))
        if best is None or rank > best:
            best, found = rank, value
    return found


@settings(max_examples=60, deadline=None)
@given(_policies(), _PLACES)
def test_each_limit_is_that_of_the_most_specific_policy_that_sets_it(policies: Policies, place: dict[str, str]) -> None:
    limits = limits_for.__wrapped__(policies, **place)
    off = object()

    def stage(name: str) -> Any:
        return lambda policy: (policy.stages[name] or off) if name in policy.stages else None

    for name, default in (("promise", True), ("grace", 0), ("risk_below", 0.5), ("eased_above", 0.75)):
        assert getattr(limits, name) == _by_definition(
            policies, place, lambda one, name=name: getattr(one, name), default
        )
    assert (limits.silence or 0) == _by_definition(policies, place, lambda one: one.silence, 0)
    for name in LIMITED_STAGES:
        wanted = _by_definition(policies, place, stage(name), off)
        assert limits.stages.get(name, off) == wanted


@settings(max_examples=60, deadline=None)
@given(_policies(), _PLACES, st.randoms(use_true_random=False))
def test_the_order_in_the_file_means_nothing(policies: Policies, place: dict[str, str], random: Any) -> None:
    mixed = list(policies.policies)
    random.shuffle(mixed)
    other = replace(policies, policies=tuple(mixed))
    assert limits_for.__wrapped__(policies, **place) == limits_for.__wrapped__(other, **place)


@settings(max_examples=60, deadline=None)
@given(_policies(), _PLACES)
def test_a_policy_that_does_not_match_changes_nothing(policies: Policies, place: dict[str, str]) -> None:
    meant = [one for one in policies.policies if all(place[name] == wanted for name, wanted in one.match.items())]
    alone = replace(policies, policies=tuple(meant))
    assert limits_for.__wrapped__(policies, **place) == limits_for.__wrapped__(alone, **place)


@settings(max_examples=60, deadline=None)
@given(_policies(), _PLACES)
def test_what_is_shown_as_holding_is_what_holds_and_its_policy_says_so(
    policies: Policies, place: dict[str, str]
) -> None:
    limits_for.cache_clear()
    by_name = {one.name: one for one in policies.policies}
    shown = {one.limit: one for one in holdings(policies, place)}
    limits = limits_for(policies, **place)
    assert shown["promise"].value == ("watched" if limits.promise else "not watched")
    assert shown["silence"].value == (span_text(limits.silence) if limits.silence else "none")
    for stage in LIMITED_STAGES:
        one = shown[f"stages.{stage}"]
        assert one.value == (span_text(limits.stages[stage]) if stage in limits.stages else "none")
        assert not one.policy or by_name[one.policy].stages[stage] == limits.stages.get(stage)
    assert all(not one.policy or by_name[one.policy].match.items() <= place.items() for one in shown.values())


def test_no_policies_watch_the_promise_alone() -> None:
    assert limits_for(Policies(0), "express", "h", "z", "m") == Limits()


def test_what_a_policy_takes_away_is_gone_and_what_watches_brings_the_promise_back() -> None:
    policies = load_policies(
        """
        format: 1
        policies:
          - {name: default, match: {}, promise: false, stages: {door: 20m, transit: 1h}, silence: 45m}
          - {name: hub, match: {hub_id: h}, promise: {grace: 5m}, stages: {door: none}, silence: none}
        """
    )
    assert limits_for(policies, "", "x", "", "") == Limits(
        0, False, stages={"door": parse_span("20m"), "transit": parse_span("1h")}, silence=parse_span("45m")
    )
    assert limits_for(policies, "", "h", "", "") == Limits(
        0, True, parse_span("5m"), stages={"transit": parse_span("1h")}, silence=None
    )


def test_what_comes_with_milepost_is_in_order_and_names_its_schema() -> None:
    policies = load_policies(SHIPPED, 3)
    assert policies.version == 3
    assert {band.kpi for band in policies.bands} >= {
        "otif",
        "first_attempt_success",
        "cost_per_delivery",
        "csat",
        "nps",
    }
    assert SHIPPED.read_text().startswith("# yaml-language-server: $schema=policies.schema.json\n")


def test_the_schema_speaks_of_everything_that_a_policy_can_match_or_limit() -> None:
    policy = policies_schema()["properties"]["policies"]["items"]["properties"]
    assert tuple(policy["match"]["properties"]) == MATCHED
    assert tuple(policy["stages"]["properties"]) == LIMITED_STAGES
    assert set(policy) == set(Policy.__dataclass_fields__) - {"grace", "risk_below", "eased_above"}


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 30 * 86_400).map(lambda seconds: seconds * 1_000_000))
def test_a_span_is_read_as_it_is_written(span: int) -> None:
    assert parse_span(span_text(span)) == span


def test_changes_are_told_by_policy_and_limit() -> None:
    before = load_policies(SHIPPED)
    assert changes(before, before) == []
    document = yaml.safe_load(SHIPPED.read_text())
    document["policies"][0]["stages"]["door"] = "none"
    del document["policies"][1]
    document["policies"].append({"name": "hub", "match": {"hub_id": "h"}, "silence": "1h"})
    document["objectives"][0]["hubs"] = {"h": 0.9}
    del document["bands"][4]
    assert changes(before, load_policies(yaml.safe_dump(document))) == [
        "~ policy default stages.door: 30m → none",
        "+ policy hub match: hub_id=h",
        "+ policy hub silence: 1h",
        "+ objective promise-kept hubs.h: 0.9",
        "- policy same-day match: service_level=same_day",
        "- policy same-day stages.prepare: 4h",
        "- band nps kpi: nps",
        "- band nps window: 7d",
        "- band nps minimum: 30",
        "- band nps at_least: 20",
    ]
