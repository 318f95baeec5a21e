"""Costs of routes, couriers and hubs: the latest record of a cost counts, retracted ones never."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from milepost.domain import facts as f
from milepost.processor.state.ledger import Account


def _cost(offset: int, at: int, amount: int, cost_id: str = "k1", event: str = "") -> f.CostRecorded:
    return f.CostRecorded(
        offset, at, "/s", event or f"e{offset}", offset, cost_id, "h1", "", "fuel", "delivery", amount
    )


def _retraction(offset: int, of: str) -> f.Retracted:
    return f.Retracted(offset, 1, "/s", f"r{offset}", offset, ("/s", of))


def _account(*facts: f.AnyFact) -> Account:
    account = Account()
    for fact in facts:
        account.add(fact)
    return account


def _amount(account: Account, cost_id: str = "k1") -> int | None:
    current = account.current(cost_id)
    return None if current is None else current.amount


def test_the_latest_record_of_a_cost_counts_whatever_came_last() -> None:
    assert _amount(_account(_cost(0, 20, 5), _cost(1, 10, 7))) == 5


def test_at_the_same_moment_the_higher_id_is_the_latest() -> None:
    assert _amount(_account(_cost(0, 20, 5, event="b"), _cost(1, 20, 7, event="a"))) == 5


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (2, 1, 0), (1, 2, 0)])
def test_a_retracted_record_gives_way_to_the_one_before(order: tuple[int, ...]) -> None:
    facts: list[f.AnyFact] = [_cost(0, 10, 5), _cost(1, 20, 7), _retraction(2, "e1")]
    assert _amount(_account(*(facts[number] for number in order))) == 5


def test_a_cost_that_never_was() -> None:
    account = _account(_cost(0, 10, 5), _retraction(1, "e0"))
    assert _amount(account) is None
    assert account.cost_ids() == ["k1"]


def test_a_retraction_touches_its_cost_only_where_that_is_known() -> None:
    account = _account(_cost(0, 10, 5))
    assert account.costs_touched_by(_retraction(1, "e0")) == {"", "k1"}
    assert account.costs_touched_by(_retraction(1, "unheard")) == {""}
    assert account.costs_touched_by(_cost(2, 10, 5, "k2")) == {"k2"}


def test_a_retraction_of_a_retraction_changes_nothing() -> None:
    assert _amount(_account(_cost(0, 10, 5), _retraction(1, "e0"), _retraction(2, "r1"))) is None


def test_an_identity_is_known_by_its_digest() -> None:
    account = _account(_cost(3, 10, 5))
    assert account.digest_of(("/s", "e3")) == 3
    assert account.digest_of(("/other", "e3")) is None


ledger_facts = st.lists(
    st.tuples(st.booleans(), st.integers(0, 4), st.integers(-9, 9), st.sampled_from(["k1", "k2"])), max_size=12
)


@given(ledger_facts, st.randoms(use_true_random=False))
def test_what_counts_does_not_depend_on_the_order_of_arrival(drawn: list[Any], chance: Any) -> None:
    facts: list[f.AnyFact] = [
        _cost(number, at, amount, cost_id) if is_cost else _retraction(number, f"e{at}")
        for number, (is_cost, at, amount, cost_id) in enumerate(drawn)
    ]
    other = list(facts)
    chance.shuffle(other)
    one, two = _account(*facts), _account(*other)
    assert [one.current(cost_id) for cost_id in ("k1", "k2")] == [two.current(cost_id) for cost_id in ("k1", "k2")]
