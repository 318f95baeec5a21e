"""Windows are covered by rows without gap and overlap, by as few as may be."""

import random
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from milepost.reading.spans import DAY, HOUR, Span, condition, spans

START = datetime(2026, 3, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
LENGTH = {"minute": MINUTE, "hour": HOUR, "day": DAY, "courier_day": DAY}


def test_hours_serve_the_hub_and_minutes_the_edges() -> None:
    found = spans(START + 90 * MINUTE, START + 4 * HOUR + MINUTE, {"hub_id"})
    assert found == (
        Span("minute", START + 90 * MINUTE, START + 2 * HOUR),
        Span("hour", START + 2 * HOUR, START + 4 * HOUR),
        Span("minute", START + 4 * HOUR, START + 4 * HOUR + MINUTE),
    )


@pytest.mark.parametrize(
    ("used", "grain"),
    [
        (set(), "hour"),
        ({"hub_id"}, "hour"),
        ({"component", "activity"}, "hour"),
        ({"zone_id"}, "day"),
        ({"hub_id", "merchant_id"}, "day"),
        ({"courier_id"}, "courier_day"),
        ({"hub_id", "courier_id"}, "courier_day"),
    ],
)
def test_only_rows_that_carry_the_dimensions_are_read(used: set[str], grain: str) -> None:
    assert spans(START, START + 3 * DAY, used) == (Span(grain, START, START + 3 * DAY),)


def test_a_window_within_an_hour_is_minutes() -> None:
    assert spans(START + MINUTE, START + 50 * MINUTE, set()) == (Span("minute", START + MINUTE, START + 50 * MINUTE),)


def test_an_empty_window_has_no_rows() -> None:
    assert spans(START, START, set()) == ()
    assert condition(()) == "0"


def test_any_window_is_covered_exactly_once() -> None:
    chosen = random.Random(3)
    for _ in range(500):
        first = START + chosen.randrange(5 * 1440) * MINUTE
        last = first + (1 + chosen.randrange(5 * 1440)) * MINUTE
        used = chosen.choice([set(), {"hub_id"}, {"zone_id"}, {"courier_id"}])
        found = spans(first, last, used)
        assert found[0].start == first
        assert found[-1].end == last
        assert all(before.end == after.start for before, after in pairwise(found))
        for span in found:
            assert (span.start - START) % LENGTH[span.grain] == timedelta(0)
            assert (span.end - START) % LENGTH[span.grain] == timedelta(0)
