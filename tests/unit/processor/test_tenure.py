"""Who has written a partition, and whether its KPI rows can be believed."""

import pytest

from milepost.processor.upkeep import tenure
from milepost.processor.upkeep.tenure import UNSURE, Claim, Tenure, digest


def test_a_first_owner_finds_nothing_to_mend() -> None:
    begun = Tenure.begin({})
    assert not begun.disturbed
    assert begun.claim.turn == 1
    assert begun.claim.seen == digest({})


def test_an_heir_of_one_who_has_stopped_finds_nothing_to_mend() -> None:
    first = Tenure.begin({}).claim
    heir = Tenure.begin({first: 40}, 40)
    assert not heir.disturbed
    assert heir.claim.turn == 2
    assert not Tenure.begin({first: 40, heir.claim: 60}, 60).disturbed


def test_one_who_writes_after_another_took_over_is_noticed_by_every_heir_until_that_is_mended() -> None:
    first = Tenure.begin({}).claim
    heir = Tenure.begin({first: 40}, 40)
    late = {first: 55, heir.claim: 60}
    assert Tenure.begin(late, 60).disturbed
    assert Tenure.begin(late, 60).claim.seen == UNSURE
    heir.look(late)
    assert heir.disturbed
    heir.mended(late, {first: 55})
    assert not heir.disturbed
    assert not Tenure.begin({**late, heir.claim: 70}, 70).disturbed


def test_one_who_writes_while_that_is_mended_is_noticed_too() -> None:
    first = Tenure.begin({}).claim
    heir = Tenure.begin({first: 40}, 40)
    heir.look({first: 55, heir.claim: 60})
    heir.mended({first: 58, heir.claim: 60}, {first: 55})
    assert heir.disturbed


def test_two_who_took_over_at_once_are_noticed() -> None:
    first = Tenure.begin({}).claim
    one, other = (Tenure.begin({first: 40}, 40).claim for _ in range(2))
    assert Tenure.begin({first: 40, one: 50, other: 45}, 50).disturbed


def test_rows_of_a_release_that_named_no_writers_are_counted_anew() -> None:
    assert Tenure.begin({}, 40).disturbed
    assert Tenure.begin({Claim("old", digest({}), 1): 30}, 40).disturbed


def test_rows_counted_by_other_rules_are_counted_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    first = Tenure.begin({}).claim
    monkeypatch.setattr(tenure, "COUNTING", tenure.COUNTING + 1)
    assert Tenure.begin({first: 40}, 40).disturbed
