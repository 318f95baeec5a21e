"""Whatever is wrong in a file of policies is told at its line, and all of it at once."""

from pathlib import Path

import pytest

from milepost.policies.faults import PolicyError
from milepost.policies.load import load_policies

WHOLE = """\
format: 1
policies:
  - name: default
    match: {}
    promise: {grace: 0m, risk_below: 0.5, eased_above: 0.75}
    stages: {transit: 2h, door: 20m}
    silence: 45m
  - name: express
    match: {service_level: express}
    stages: {transit: 45m}
objectives:
  - {name: kept, kpi: promise_kept, target: 0.97, window: 30d, minimum: 20, minimum_bad: 5, hubs: {hub-1: 0.9}}
bands:
  - {name: otif, kpi: otif, at_least: 0.9, window: 1d, minimum: 50}
"""

OTHER = "  - name: other\n    match: {hub_id: hub-1}\n    "
"""A third policy, before the objectives, in the lines 11 to 13."""


def faults_of(text: str | Path) -> list[str]:
    with pytest.raises(PolicyError) as caught:
        load_policies(text)
    return str(caught.value).splitlines()


def _and(line: str) -> tuple[str, str]:
    return "objectives:\n", f"{OTHER}{line}\nobjectives:\n"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("format: 1", "format: 2", "1:9: /format: format is 1, the one this version reads; here is 2"),
        ("format: 1\n", "", "1:1: /format: format is missing: every file of SLA policies has it"),
        ("format: 1", "format: 1\nobjektives: []", "2:1: /objektives: there is no key 'objektives'; did you mean obj"),
        ("- name: express", "- nam: express", "8:5: /policies/1/nam: there is no key 'nam'; did you mean name?"),
        ("- name: express\n   ", "-", "8:5: /policies/1/name: name is missing: every policy has it"),
        ("name: express", "name: Express", "8:11: /policies/1/name: Express is no name: it begins with a small let"),
        ("name: express", "name: default", "8:11: /policies/1/name: default is the name of another, in line 3"),
        ("name: express", "name: 7", "8:11: /policies/1/name: name begins with a small letter and has only small"),
        ("    match: {service_level: express}\n", "", "8:5: /policies/1/match: match is missing: every policy has"),
        (
            "service_level: e",
            "level: e",
            "9:13: /policies/1/match/level: there is no key 'level'; there are service_le",
        ),
        ("service_level: express", "courier_id: c", "9:13: /policies/1/match/courier_id: there is no key 'courier_id"),
        ("service_level: express", "hub_id: 012", "9:21: /policies/1/match/hub_id: hub_id has 1 to 128 characters "),
        ("service_level: express", "hub_id: a b", "9:21: /policies/1/match/hub_id: a b is no id: it has 1 to 128"),
        ("service_level: express", "hub_id: no", 'here is no, which is no text to YAML; write "no"'),
        ("service_level: express", "hub_id: 2026-01-02", "9:21: /policies/1/match/hub_id: 2026-01-02 is neither text"),
        ("{service_level: express}", "{}", "9:12: /policies/1/match: matches every order; only the policy named def"),
        ("match: {}", "match: {hub_id: h}", "4:12: /policies/0/match: must be empty: the policy named default match"),
        (*_and("match: {hub_id: h}"), "13:5: /policies/2/match: match is there twice; the first is in line 12"),
        ("service_level: express", "hub_id: a, hub_id: b", "9:24: /policies/1/match/hub_id: hub_id is there twice"),
        ("stages: {transit: 45m}", "silense: 5m", "10:5: /policies/1/silense: there is no key 'silense'; did you me"),
        ("    stages: {transit: 45m}\n", "", "8:5: /policies/1: says nothing: give it promise, stages or silence"),
        ("{transit: 45m}", "{transport: 45m}", "10:14: /policies/1/stages/transport: there is no key 'transport'; d"),
        ("{transit: 45m}", "{reattempt: 45m}", "10:14: /policies/1/stages/reattempt: there is no key 'reattempt'"),
        ("{transit: 45m}", "{transit: 45}", "10:23: /policies/1/stages/transit: transit is written like 90s, 45m, 2h"),
        ("{transit: 45m}", "{transit: 45min}", "10:23: /policies/1/stages/transit: 45min is no time limit: it is wr"),
        ("{transit: 45m}", '{transit: "45m\\n"}', "10:23: /policies/1/stages/transit: 45m"),
        ("{transit: 45m}", "{transit: -5m}", "10:23: /policies/1/stages/transit: -5m is no time limit"),
        ("{transit: 45m}", "{transit: 1.5h}", "10:23: /policies/1/stages/transit: 1.5h is no time limit"),
        ("{transit: 45m}", "{transit: 1:30}", "10:23: /policies/1/stages/transit: transit is written like 90s"),
        ("{transit: 45m}", "{transit: }", "10:22: /policies/1/stages/transit: transit is written like 90s"),
        ("{transit: 45m}", "{transit: 0m}", "10:23: /policies/1/stages/transit: 0m is no time at all; write none"),
        ("{transit: 45m}", "{transit: 31d}", "10:23: /policies/1/stages/transit: 31d is longer than 30d"),
        ("{transit: 45m}", "{transit: 721h}", "10:23: /policies/1/stages/transit: 721h is longer than 30d"),
        ("silence: 45m", "silence: 0s", "7:14: /policies/0/silence: 0s is no time at all; write none where there is"),
        ("silence: 45m", "silence: false", "7:14: /policies/0/silence: silence is written like 90s, 45m, 2h or 1d"),
        ("grace: 0m", "grace: none", "5:22: /policies/0/promise/grace: none is no duration: it is written like 90s"),
        ("grace: 0m", "grace: 31d", "5:22: /policies/0/promise/grace: 31d is longer than 30d, the most there may be"),
        (
            "promise: {grace: 0m, risk_below: 0.5, eased_above: 0.75}",
            "promise: often",
            "5:14: /policies/0/promise: promise is false where the promise is n",
        ),
        ("risk_below: 0.5", "risk_below: 0", "5:38: /policies/0/promise/risk_below: 0 is no share: it lies between"),
        ("eased_above: 0.75", "eased_above: 1", "5:56: /policies/0/promise/eased_above: 1 is no share: it lies betw"),
        ("eased_above: 0.75", "eased_above: 0.5", "5:56: /policies/0/promise/eased_above: at risk below 0.5 and eas"),
        ("target: 0.97", "target: 97", "12:45: /objectives/0/target: 97 is no share: it lies between 0 and 1, both"),
        ("target: 0.97", "target: 1", "12:45: /objectives/0/target: 1 is no share"),
        ("target: 0.97", "target: .nan", "12:45: /objectives/0/target: .nan is no number"),
        ("target: 0.97", "target: high", "12:45: /objectives/0/target: target lies between 0 and 1, both excluded;"),
        ("kpi: promise_kept", "kpi: promise_keep", "12:23: /objectives/0/kpi: there is no KPI 'promise_keep'; did you"),
        ("kpi: promise_kept", "kpi: cancellation_rate", "12:23: /objectives/0/kpi: there is no KPI 'cancellation_ra"),
        ("window: 30d", "window: 5d", "12:59: /objectives/0/window: there is no window '5d'; there are 5m, 15m, 30m"),
        ("minimum: 20", "minimum: 0", "12:73: /objectives/0/minimum: 0 is no count: it is a whole number from 1"),
        ("minimum: 20", "minimum: 2.5", "12:73: /objectives/0/minimum: minimum is a whole number from 1; here is 2."),
        ("minimum_bad: 5, ", "", "12:5: /objectives/0/minimum_bad: minimum_bad is missing: every objective has it"),
        ("hub-1: 0.9", "hub-1: 1.9", "12:107: /objectives/0/hubs/hub-1: 1.9 is no share"),
        ("hub-1: 0.9", "hub 1: 0.9", "12:100: /objectives/0/hubs/hub 1: 'hub 1' is no id: it has 1 to 128"),
        ("hub-1: 0.9", "7: 0.9", "12:100: /objectives/0/hubs/7: the key 7 is no text to YAML; put it in quotes"),
        ("at_least: 0.9, ", "", "14:5: /bands/0: has no edge: give it at_least or at_most"),
        ("at_least: 0.9", "at_least: 90", "14:39: /bands/0/at_least: 90 can never be: otif is between 0 and 1"),
        ("at_least: 0.9", "at_least: 0.9, at_most: 0.8", "14:53: /bands/0/at_most: must be more than at_least, which"),
        (
            "kpi: otif, at_least: 0.9",
            "kpi: stage_time, at_most: 9",
            "14:23: /bands/0/kpi: there is no KPI 'stage_time'",
        ),
        ("kpi: otif", "kpi: open_orders", "14:23: /bands/0/kpi: there is no KPI 'open_orders'"),
        (
            "kpi: otif, at_least: 0.9, window: 1d",
            "kpi: csat, at_least: 0.9, window: 1w",
            "14:52: /bands/0/window: there is no window '1w'",
        ),
        (
            "otif, at_least: 0.9, window: 1d",
            "cost_per_delivery, at_most: 9, window: 1h",
            "14:62: /bands/0/window: cost",
        ),
        (
            "bands:\n  - {name: otif, kpi: otif, at_least: 0.9, window: 1d, minimum: 50}",
            "bands: {}",
            "13:8: /bands: bands is a list",
        ),
        (
            "bands:\n",
            "bands: &b\n  - *b\n",
            "14:5: /bands/0: is an alias; write it out, so that each line says what it does",
        ),
        (
            "silence: 45m",
            "silence: &s 45m\n  - {name: z, match: {zone_id: z}, silence: *s}",
            "8:45: /policies/1/silence: is",
        ),
        ("match: {}", "match: {}\n    <<: {silence: 1h}", "5:5: /policies/0/<<: merges are not read here; write it"),
        ("match: {}", "match: {}\n    ? [a]\n    : 1", "5:7: /policies/0/: a key must be a text"),
        ("match: {}", "match: {", "6:5: /: is no YAML: while parsing a flow mapping, expected ',' or '}'"),
        ("match: {}", "match: {}\n\tx: 1", "5:1: /: is no YAML: while scanning for the next token, found character '"),
        ("match: {}", "match: {}  # \x07", "4:18: /: holds the character U+0007"),
        ("bands:", "---\nbands:", "13:1: /: is no YAML: expected a single document in the stream, but found another"),
    ],
)
def test_a_fault_has_its_place_and_reason(old: str, new: str, said: str) -> None:
    assert WHOLE.count(old) >= 1
    found = faults_of(WHOLE.replace(old, new, 1))
    assert [line for line in found if line.startswith(said) or said in line], found


def test_the_whole_file_has_no_fault() -> None:
    assert len(load_policies(WHOLE).policies) == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "1:1: /: is empty; it begins with `format: 1`"),
        ("# nothing\n", "1:1: /: is empty; it begins with `format: 1`"),
        ("policies", "1:1: /: the document is a mapping of format, policies, objectives and bands; here is policies"),
        ("[1]", "1:1: /: the document is a mapping of format, policies, objectives and bands; here is a list"),
        ("[" * 5000, "1:1: /: is nested too deeply"),
        ("a" * 300_000, "1:1: /: is longer than 262144 bytes"),
        ("format: 1\npolicies:\n", "2:10: /policies: policies is a list; here is nothing"),
        ("format: 1\npolicies: [x]\n", "2:12: /policies/0: policies says what holds for the orders it matches"),
    ],
    ids=["empty", "comment", "text", "list", "deep", "long", "null", "item"],
)
def test_what_is_no_file_of_policies(text: str, said: str) -> None:
    assert faults_of(text)[0].startswith(said)


def test_policies_that_match_the_same_are_refused_with_the_others_line() -> None:
    text = WHOLE.replace(
        "objectives:\n", OTHER.replace("hub_id: hub-1", "service_level: express") + "silence: 1h\nobjectives:\n"
    )
    assert faults_of(text) == ["12:12: /policies/2/match: is the same as that of the policy in line 8"]


def test_one_kpi_over_one_window_has_one_objective_and_one_band() -> None:
    text = WHOLE.replace(
        "bands:\n", "  - {name: k, kpi: promise_kept, target: 0.9, window: 30d, minimum: 9, minimum_bad: 9}\nbands:\n"
    )
    text += "  - {name: otif-2, kpi: otif, at_least: 0.8, window: 1d, minimum: 50}\n"
    assert faults_of(text) == [
        "13:20: /objectives/1/kpi: promise_kept over 30d is what line 12 is about already",
        "16:25: /bands/1/kpi: otif over 1d is what line 15 is about already",
    ]


@pytest.mark.parametrize(
    ("express", "hub", "line"),
    [
        ("{risk_below: 0.8}", None, "10:27"),  # over the default policy's 0.75
        ("{eased_above: 0.4}", None, "10:28"),
        ("{eased_above: 0.6}", "{risk_below: 0.65}", "13:27"),  # an express order of the hub would have both
        ("{risk_below: 0.6, eased_above: 0.7}", "{risk_below: 0.69}", None),
        ("{risk_below: 0.8, eased_above: 0.9}", "{eased_above: 0.78}", "13:28"),
    ],
)
def test_chances_must_fit_wherever_two_policies_hold_at_once(express: str, hub: str | None, line: str | None) -> None:
    text = WHOLE.replace("    stages: {transit: 45m}\n", f"    promise: {express}\n")
    text = text.replace("objectives:\n", f"{OTHER}promise: {hub}\nobjectives:\n" if hub else "objectives:\n")
    if line is None:
        load_policies(text)
        return
    (fault,) = faults_of(text)
    assert fault.startswith(line)
    assert fault.endswith("risk_below must be less than eased_above")


def test_chances_of_orders_that_can_never_be_the_same_need_not_fit() -> None:
    text = WHOLE.replace("    stages: {transit: 45m}\n", "    promise: {eased_above: 0.6}\n")
    other = OTHER.replace("hub_id: hub-1", "service_level: standard") + "promise: {risk_below: 0.65}\n"
    load_policies(text.replace("objectives:\n", other + "objectives:\n"))


def test_all_faults_are_told_at_once_by_line() -> None:
    text = WHOLE.replace("format: 1", "format: 3").replace("20m}", "20x}").replace("0.97", "97").replace("1d,", "2d,")
    found = faults_of(text)
    assert [line.split(": ")[1] for line in found] == [
        "/format",
        "/policies/0/stages/door",
        "/objectives/0/target",
        "/bands/0/window",
    ]


def test_what_faults_have_left_of_a_value_is_not_judged() -> None:
    """One fault is one line: a match whose only key is misspelt is not besides an empty one."""
    assert len(faults_of(WHOLE.replace("service_level: e", "service_levle: e"))) == 1
    assert len(faults_of(WHOLE.replace("stages: {transit: 45m}", "stages: {transit: 2 h}"))) == 1


def test_a_file_must_be_utf_8(tmp_path: Path) -> None:
    path = tmp_path / "policies.yml"
    path.write_bytes(b"format: 1\n# caf\xe9\n")
    assert faults_of(path) == ["2:6: /: is not UTF-8"]
    path.write_bytes(b"\xef\xbb\xbf" + WHOLE.encode())
    assert load_policies(path) == load_policies(WHOLE)
