from datetime import UTC, datetime, timedelta

import pytest

from milepost.simulator.files import parse_moment, show_moment
from milepost.simulator.stamps import Stamps

NOON = parse_moment("2026-03-02T12:00:00Z")


@pytest.mark.parametrize(
    ("after", "shown"),
    [
        (0, "2026-03-02T12:00:00Z"),
        (1_500_000, "2026-03-02T12:00:01.500Z"),
        (59_000_001, "2026-03-02T12:00:59.000001Z"),
        (-1, "2026-03-02T11:59:59.999999Z"),
    ],
)
def test_moments_are_written_exactly(after: int, shown: str) -> None:
    assert Stamps().utc(NOON + after) == shown
    moment = datetime.fromisoformat(shown) - datetime(1970, 1, 1, tzinfo=UTC)
    assert moment // timedelta(microseconds=1) == NOON + after


def test_local_clocks_show_the_same_moment_with_their_offset() -> None:
    shown = Stamps().local(NOON)
    assert shown == "2026-03-02T14:00:00+02:00"
    assert datetime.fromisoformat(shown) == datetime.fromisoformat(Stamps().utc(NOON))


def test_a_faster_city_packs_its_hours_into_minutes() -> None:
    stamps = Stamps(NOON, NOON, 60.0)
    assert stamps.utc(NOON + 3_600_000_000) == "2026-03-02T12:01:00Z"


def test_a_moment_without_offset_is_not_accepted() -> None:
    with pytest.raises(ValueError, match="no offset"):
        parse_moment("2026-03-02T00:00:00")


def test_moments_survive_reading_and_showing() -> None:
    assert show_moment(parse_moment("2026-03-02T02:00:00+02:00")) == "2026-03-02T00:00:00Z"
    assert parse_moment("2026-03-02T00:00:00.000007Z") % 1_000_000 == 7
