"""When too much of a partition fails."""

from dataclasses import dataclass
from typing import Any

import pytest

from milepost.processor.arrival.failures import COUNTED, Failures
from milepost.processor.arrival.intake import Rejected


@dataclass
class At:
    offset: int


def rejected(*offsets: int, reason: str = "invalid") -> list[Rejected]:
    records: list[Any] = [At(offset) for offset in offsets]
    return [Rejected(record, reason, "") for record in records]


def test_a_run_speaks_up_however_it_comes_in_pieces() -> None:
    whole, pieces, backwards = Failures(run=5), Failures(run=5), Failures(run=5)
    assert whole.add(rejected(*range(10, 15))) == "5 records in a row failed, up to offset 14"
    assert pieces.add(rejected(10, 11)) is None
    assert pieces.add(rejected(12, 13)) is None
    assert pieces.add(rejected(14)) is not None
    assert backwards.add(rejected(12, 13, 14)) is None
    assert backwards.add(rejected(10, 11)) is not None


def test_a_good_record_ends_a_run() -> None:
    failures = Failures(run=5)
    for start in range(0, 600, 6):
        assert failures.add(rejected(*range(start, start + 4))) is None


def test_more_than_a_share_of_the_window_speaks_up_exactly_that_is_borne() -> None:
    failures = Failures(share=0.5, window=10, run=100)
    assert failures.add(rejected(*range(0, 1_000, 2))) is None
    assert failures.add(rejected(1_000, 1_001)) == "6 of 10 records failed, up to offset 1001"


def test_the_window_moves_on() -> None:
    failures = Failures(share=0.5, window=10, run=100)
    for start in range(0, 1_000, 11):
        assert failures.add(rejected(*range(start, start + 5))) is None


def test_what_comes_late_counts_where_it_stands_and_once() -> None:
    failures = Failures(share=0.5, window=10, run=100)
    assert failures.add(rejected(0, 2, 4, 6, 8)) is None
    assert failures.add(rejected(0, 2, 4, 6, 8)) is None
    failures.forget(9)
    assert failures.add(rejected(3)) is not None


def test_what_is_forgotten_is_only_what_no_window_reaches() -> None:
    failures = Failures(share=0.5, window=10, run=12)
    assert failures.add(rejected(*range(100, 105))) is None
    failures.forget(112)
    assert failures.add(rejected(105)) is not None
    failures.clear()
    assert failures.add(rejected(106)) is None


@pytest.mark.parametrize("reason", ["conflict", "expired"])
def test_one_events_business_is_not_counted(reason: str) -> None:
    assert reason not in COUNTED
    assert Failures(run=5).add(rejected(*range(100), reason=reason)) is None
