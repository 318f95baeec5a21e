"""What burns, and which objectives and bands nobody would ever be told of."""

from dataclasses import replace

import pytest

from milepost.docs.alerts import promises
from milepost.docs.committed import committed
from milepost.domain.sla.burn import BURNS, unfireable
from milepost.domain.sla.policy import Band, Objective, Policies
from milepost.domain.windows import WINDOWS

OBJECTIVE = Objective("kept", "promise_kept", 0.97, "30d", 20, 5)
BAND = Band("satisfied", "csat", "7d", 30, at_least=0.8)


def test_the_thresholds_of_97_percent() -> None:
    assert [burn.threshold(0.97) for burn in BURNS] == [0.432, 0.18, 0.09, 0.03]


def test_a_low_objective_is_told_by_a_share_that_can_occur() -> None:
    assert [burn.threshold(0.9) for burn in BURNS] == [0.5, 0.35, 0.3, 0.1]


def test_the_windows_of_burns_are_served() -> None:
    assert {window for burn in BURNS for window in (burn.long, burn.short)} <= set(WINDOWS)


def test_the_committed_policies_can_all_be_told_of() -> None:
    assert unfireable(committed()) == []


@pytest.mark.parametrize(
    ("objective", "said"),
    [
        (replace(OBJECTIVE, target=1.0), "objective kept: the target of 100% leaves no budget"),
        (replace(OBJECTIVE, target=0.0), "objective kept: the target of 0% lets everything fail"),
        (replace(OBJECTIVE, target=0.6), "would come while the objective is met; give at least 65%"),
        (replace(OBJECTIVE, hubs={"BER-1": 1.0}), "objective kept: the target of hub BER-1 of 100% leaves no budget"),
        (replace(OBJECTIVE, kpi="cost_per_delivery"), "is not a share of which more is better"),
        (replace(OBJECTIVE, kpi="cancellation_rate"), "is not a share of which more is better"),
        (replace(OBJECTIVE, kpi="kept"), "is not a share of which more is better"),
        (replace(OBJECTIVE, window="28d"), "promise_kept is not served over 28d; over 5m, "),
        (replace(OBJECTIVE, minimum=0), "minimum of 0 orders"),
        (replace(OBJECTIVE, minimum_bad=0), "minimum of 0 failures"),
    ],
)
def test_an_objective_that_cannot_be_told_of(objective: Objective, said: str) -> None:
    assert any(said in sentence for sentence in unfireable(Policies(1, objectives=(objective,))))


@pytest.mark.parametrize(
    ("band", "said"),
    [
        (replace(BAND, at_least=None), "band satisfied: neither at_least nor at_most"),
        (replace(BAND, at_least=0.0), "csat is never under 0"),
        (replace(BAND, at_most=1.0), "csat is never over 1"),
        (replace(BAND, kpi="nps", at_least=-100), "nps is never under -100"),
        (replace(BAND, kpi="cost_per_delivery", window="1h", at_most=12), "cost_per_delivery is not served over 1h"),
        (replace(BAND, kpi="happiness"), "there is no KPI happiness"),
    ],
)
def test_a_band_that_cannot_be_left(band: Band, said: str) -> None:
    assert any(said in sentence for sentence in unfireable(Policies(1, bands=(band,))))


def test_no_rules_are_made_of_policies_that_cannot_be_told_of() -> None:
    with pytest.raises(ValueError, match="objective kept: the target of 100% leaves no budget"):
        promises.render(Policies(1, objectives=(replace(OBJECTIVE, target=1.0),)))


def test_a_hub_with_a_target_of_its_own_has_thresholds_of_its_own() -> None:
    policies = Policies(1, objectives=(replace(OBJECTIVE, hubs={'B"1.x': 0.9}),))
    text = promises.render(policies)
    assert r'hub_id!~"B\"1\\.x"} / milepost:objective_due{objective="kept", window="1h"} > 0.432' in text
    assert r'hub_id="B\"1.x"} / milepost:objective_due{objective="kept", window="1h"} > 0.5' in text


def test_an_objective_of_which_something_may_be_unknown_burns_by_what_is_known() -> None:
    text = promises.render(Policies(1, objectives=(replace(OBJECTIVE, kpi="otif"),)))
    assert "milepost_kpi_coverage" in text
    assert "CoverageLow" in text
    assert "CoverageLow" not in promises.render(Policies(1, objectives=(OBJECTIVE,)))
