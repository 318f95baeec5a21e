"""Histogram buckets and the quantiles read from them."""

from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from milepost.contracts.reasons import DOOR_REASONS, NEVER_REACHED_REASONS, RESPONSIBLE, NeverReachedReason
from milepost.domain.contributions import HISTOGRAM_SLOT
from milepost.domain.kpis import KPIS
from milepost.domain.measures import (
    BOUNDARIES,
    BUCKETS_PER_HISTOGRAM,
    HISTOGRAMS,
    MEASURES,
    bucket_key,
    bucket_middle,
    quantile,
)

LONGEST = 20 * 366 * 86_400_000_000
durations = st.one_of(
    st.integers(0, 1000), st.integers(0, LONGEST), st.floats(0, 48).map(lambda power: min(LONGEST, int(2**power)))
)


@given(durations)
def test_a_buckets_middle_is_within_one_percent_of_all_in_it(value: int) -> None:
    middle = bucket_middle(bucket_key(0, value))
    assert abs(middle - value) <= 0.01 * value


def test_so_it_is_at_every_boundary() -> None:
    for bound in BOUNDARIES:
        for value in (bound - 1, bound, bound + 1):
            assert abs(bucket_middle(bucket_key(0, value)) - value) <= 0.01 * value


@given(durations, durations)
def test_longer_durations_never_have_a_lower_bucket(one: int, other: int) -> None:
    assert (bucket_key(0, one) <= bucket_key(0, other)) or one > other


def test_keys_of_two_histograms_never_meet_and_fit_the_column() -> None:
    highest = bucket_key(len(HISTOGRAMS) - 1, 1 << 62)
    assert highest < 1 << 16
    for number in range(1, len(HISTOGRAMS)):
        assert bucket_key(number - 1, 1 << 62) < bucket_key(number, 0) == number * BUCKETS_PER_HISTOGRAM


def test_nothing_is_longer_than_the_last_bucket_but_can_be_counted() -> None:
    assert bucket_middle(bucket_key(0, 1 << 62)) == pytest.approx(BOUNDARIES[-1], rel=0.01)


@given(st.lists(durations, min_size=1, max_size=60), st.sampled_from([0.0, 0.25, 0.5, 0.9, 0.95, 0.99, 1.0]))
def test_a_quantile_is_within_one_percent_of_the_exact_one(values: list[int], q: float) -> None:
    counts: dict[int, int] = {}
    for value in values:
        key = bucket_key(3, value)
        counts[key] = counts.get(key, 0) + 1
    exact = float(np.quantile(np.array(values, dtype=np.float64), q))
    found = quantile(counts, q)
    assert found is not None
    assert found == pytest.approx(exact, rel=0.01, abs=1e-6)


def test_two_far_ranks_are_interpolated() -> None:
    counts = {bucket_key(0, 60_000_000): 1, bucket_key(0, 6_000_000_000): 1}
    assert quantile(counts, 0.5) == pytest.approx(3_030_000_000, rel=0.01)


def test_an_empty_histogram_has_no_quantile() -> None:
    assert quantile({}, 0.5) is None
    assert quantile({7: 0}, 0.5) is None


def test_the_catalogue_reads_measures_that_exist() -> None:
    assert {name for kpi in KPIS for name in kpi.measures} <= set(MEASURES)
    assert len(set(MEASURES)) == len(MEASURES) == HISTOGRAM_SLOT


def test_every_reason_is_from_the_door_or_never_reached_it_and_somebodys() -> None:
    assert not DOOR_REASONS & NEVER_REACHED_REASONS
    assert set(RESPONSIBLE) == DOOR_REASONS | NEVER_REACHED_REASONS
    assert set(RESPONSIBLE.values()) <= {"customer", "merchant", "carrier", "nobody"}
    assert set(get_args(NeverReachedReason)) == NEVER_REACHED_REASONS
