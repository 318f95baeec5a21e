"""Whatever the facts: the state is a function of their set, and what is put in can be taken out again."""

from collections import Counter
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from milepost.contracts.reasons import DOOR_REASONS, NEVER_REACHED_REASONS
from milepost.domain import facts as f
from milepost.domain.contributions import HISTOGRAM_SLOT, Contributions, contributions, cost_contributions, totals
from milepost.domain.measures import BUCKETS_PER_HISTOGRAM, HISTOGRAMS, MEASURES
from milepost.domain.order import fold

START = 1_772_409_600_000_000
# Few values, so that they meet: equal moments, deadlines hit exactly, retractions that find their target.
moments = st.integers(0, 12).map(lambda number: START + number * 30_000_000)
couriers = st.sampled_from(["", "c1", "c2"])
skus = st.sampled_from(["milk", "bread"])
parcels = st.none() | st.lists(st.sampled_from(["a", "b", "x"]), min_size=1, max_size=3)
identities = st.tuples(st.sampled_from(["/a", "/b"]), st.integers(0, 30).map(str))
parties = st.sampled_from(["customer", "merchant", "carrier"])


def _kind(kind: type[Any], *fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.tuples(moments, identities, *fields).map(lambda drawn: kind(0, drawn[0], *drawn[1], 0, *drawn[2:]))


facts = st.one_of(
    _kind(
        f.Placed,
        st.sampled_from(["h1", "h2"]),
        *[st.sampled_from(["", "v"])] * 3,
        st.just(""),
        st.just(0) | moments,
        moments,
        st.lists(st.tuples(skus, st.integers(1, 3)), min_size=1, max_size=3),
        st.lists(st.sampled_from(["a", "b"]), max_size=2, unique=True),
    ),
    _kind(f.PromiseChanged, st.just(0) | moments, moments, parties),
    _kind(f.Cancelled, parties),
    _kind(f.Ready),
    _kind(f.Assigned, st.sampled_from(["c1", "c2"])),
    _kind(f.Unassigned),
    _kind(f.Departed),
    _kind(f.PickedUp, couriers),
    _kind(f.EtaUpdated, moments),
    _kind(f.Arrived, couriers),
    _kind(f.AttemptFailed, couriers, st.sampled_from(sorted(DOOR_REASONS | NEVER_REACHED_REASONS))),
    _kind(
        f.Delivered,
        couriers,
        st.none() | st.lists(st.tuples(skus, st.integers(0, 3), st.booleans()), max_size=3),
        parcels,
    ),
    _kind(f.Returned, st.sampled_from(["back_to_hub", "to_sender", "after_delivery"]), parcels),
    _kind(f.Lost, parcels),
    _kind(f.FeedbackRequested),
    _kind(f.FeedbackSubmitted, st.sampled_from([-1, 1, 4, 5]), st.sampled_from([-1, 0, 7, 10])),
    _kind(
        f.CostRecorded,
        st.sampled_from(["k1", "k2"]),
        st.sampled_from(["h1", "h9"]),
        couriers,
        st.sampled_from(["labour", "fuel"]),
        st.just("delivery"),
        st.integers(-50_000, 50_000),
    ),
    _kind(f.Retracted, identities),
)
placed = facts.filter(lambda fact: isinstance(fact, f.Placed))
"""A life has an identity once: the first copy in the log is the event."""
lives = st.builds(
    lambda first, rest: list({fact.identity: fact for fact in [*rest, *first]}.values()),
    st.lists(placed, max_size=2),
    st.lists(facts, max_size=20),
)

Sums = Counter[tuple[Any, int]]


def _sums(cells: Contributions, sign: int = 1) -> Sums:
    found: Sums = Counter()
    for key, slots in cells.items():
        for slot, value in slots:
            found[key, slot] += sign * value
    return found


@settings(max_examples=100)
@given(lives, st.randoms(use_true_random=False))
def test_the_state_does_not_depend_on_the_order_of_arrival(life: list[f.AnyFact], chance: Any) -> None:
    other = list(life)
    chance.shuffle(other)
    assert fold(other) == fold(life)
    assert contributions(fold(other)) == contributions(fold(life))


@settings(max_examples=60)
@given(lives, st.data())
def test_a_repetition_of_facts_changes_no_number(life: list[f.AnyFact], data: st.DataObject) -> None:
    repeated = data.draw(st.lists(st.sampled_from(life), max_size=5)) if life else []
    once, twice = fold(life), fold(life + repeated)
    assert _sums(contributions(twice)) == _sums(contributions(once))


@settings(max_examples=60)
@given(lives)
def test_facts_survive_their_bytes(life: list[f.AnyFact]) -> None:
    assert f.decode(f.encode(life)) == life


@settings(max_examples=60)
@given(lives)
def test_taking_out_the_old_and_putting_in_the_new_leaves_nothing_behind(life: list[f.AnyFact]) -> None:
    running: Sums = Counter()
    for count in range(len(life)):
        running.update(_sums(contributions(fold(life[:count])), -1))
        running.update(_sums(contributions(fold(life[: count + 1]))))
    assert {cell: value for cell, value in running.items() if value} == {
        cell: value for cell, value in _sums(contributions(fold(life))).items() if value
    }


@settings(max_examples=100)
@given(lives)
def test_what_an_order_counts_for_is_consistent(life: list[f.AnyFact]) -> None:
    order = fold(life)
    counted = dict(zip(MEASURES, totals(contributions(order)), strict=True))
    for part, whole in (
        ("delivery_timed", "delivered"),
        ("on_time", "delivered"),
        ("windowed", "delivered"),
        ("early", "windowed"),
        ("in_full_known", "delivered"),
        ("in_full", "in_full_known"),
        ("responded", "delivered"),
        ("kept", "due"),
        ("repromised", "due"),
        ("kept_original", "due_original"),
        ("first_success", "attempted"),
        ("attempted", "tried"),
        ("not_attempted", "tried"),
        ("satisfied", "scored"),
        ("cancelled", "closed"),
        ("delivered", "closed"),
        ("returned", "closed"),
    ):
        assert 0 <= counted[part] <= counted[whole] <= 1, (part, whole)
    assert counted["otif"] + counted["otif_unknown"] <= counted["kept"]
    assert counted["promoters"] + counted["detractors"] <= counted["nps_answered"]
    assert not (counted["delivered"] and counted["cancelled"])
    assert counted["on_time"] == counted["kept"], "kept and on_time are the same orders, in different minutes"
    buckets = Counter(
        (slot - HISTOGRAM_SLOT) // BUCKETS_PER_HISTOGRAM
        for slots in contributions(order).values()
        for slot, _ in slots
        if slot >= HISTOGRAM_SLOT
    )
    assert {HISTOGRAMS[number]: count for number, count in buckets.items()} == {
        name: counted[f"{name}_timed"] for name in HISTOGRAMS if counted[f"{name}_timed"]
    }
    if order.placed is None:
        assert set(totals(contributions(order))) <= {0, counted["cost"]}


@given(facts)
def test_a_cost_of_no_order_stands_under_its_hub_and_courier_alone(fact: f.AnyFact) -> None:
    assert cost_contributions(None) == {}
    if isinstance(fact, f.CostRecorded):
        minute = fact.time // 60_000_000
        key = (minute, fact.hub_id, "", "", "", fact.courier_id, fact.component, fact.activity)
        assert cost_contributions(fact) == {key: [(MEASURES.index("cost"), fact.amount)]}
