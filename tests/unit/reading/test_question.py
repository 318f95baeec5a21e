"""What people may ask, and what they are told where it cannot be understood."""

from datetime import UTC, datetime, timedelta

import pytest

from milepost.domain.kpis import KPI_NAMES
from milepost.reading.question import EARLIEST, Question, QuestionError, ask

NOW = datetime(2026, 3, 1, 12, 34, 56, tzinfo=UTC)
FLOOR = datetime(2026, 3, 1, 12, 34, tzinfo=UTC)


def test_the_last_day_up_to_the_last_whole_minute_is_asked_by_default() -> None:
    question = ask(NOW)
    assert (question.start, question.end) == (FLOOR - timedelta(days=1), FLOOR)
    assert {kpi.name for kpi in question.kpis} == set(KPI_NAMES)
    assert [gauge.name for gauge in question.gauges] == ["open_orders", "overdue_orders", "orphan_orders"]


def test_minutes_that_have_not_ended_are_left_out() -> None:
    question = ask(NOW, start="2026-03-01T12:00Z", end="2026-03-02T00:00Z")
    assert (question.start.hour, question.end) == (12, FLOOR)
    future = ask(NOW, start="2027-01-01T00:00Z", end="2027-01-02T00:00Z")
    assert future.start >= future.end


def test_a_moment_is_read_in_its_own_offset() -> None:
    question = ask(NOW, start="2026-02-28T01:00:00+01:00", end="2026-02-28T20:00:00-03:00")
    assert (question.start, question.end) == (
        datetime(2026, 2, 28, tzinfo=UTC),
        datetime(2026, 2, 28, 23, tzinfo=UTC),
    )


def test_all_time_begins_with_the_first_event_there_may_be() -> None:
    assert ask(NOW, window="all").start == EARLIEST
    assert ask(NOW, window="99999w").start == EARLIEST


def test_a_window_ends_where_the_question_does() -> None:
    question = ask(NOW, window="90m", end="2026-02-01T00:00Z")
    assert (question.start, question.end) == (
        datetime(2026, 1, 31, 22, 30, tzinfo=UTC),
        datetime(2026, 2, 1, tzinfo=UTC),
    )


def test_lists_come_with_commas_or_repeated_and_once_each() -> None:
    question = ask(NOW, by=["hub_id,zone_id", "hub_id"], kpis=["otif,nps"], where=["hub_id=a", "hub_id=b", "hub_id=a"])
    assert question.by == ("hub_id", "zone_id")
    assert [kpi.name for kpi in question.kpis] == ["otif", "nps"]
    assert question.where == (("hub_id", ("a", "b")),)
    assert question.gauges == ()


def test_a_value_may_hold_an_equals_sign_or_be_empty() -> None:
    assert ask(NOW, where=["zone_id=a=b", "merchant_id="]).where == (("zone_id", ("a=b",)), ("merchant_id", ("",)))


@pytest.mark.parametrize("asked", [{"by": ["component"]}, {"where": ["activity=return"]}])
def test_what_only_costs_have_asks_for_costs_alone(asked: dict[str, list[str]]) -> None:
    question = ask(NOW, **asked)  # type: ignore[arg-type]
    assert [kpi.name for kpi in question.kpis] == ["cost_per_delivery"]
    assert question.gauges == ()


@pytest.mark.parametrize(
    ("asked", "field", "told"),
    [
        ({"start": "2026-01-01T00:00"}, "from", "has no offset"),
        ({"end": "yesterday"}, "to", "is not a moment"),
        ({"start": "2026-01-01T00:00:30Z"}, "from", "whole minute"),
        ({"end": "2026-01-01T00:00:30Z"}, "to", "whole minute"),
        ({"start": "2026-01-02T00:00Z", "end": "2026-01-02T00:00Z"}, "to", "is not after from"),
        ({"start": "2026-01-02T00:00Z", "window": "1h"}, "window", "one of them"),
        ({"start": "0001-01-01T00:00+10:00"}, "from", "out of range"),
        ({"window": "0h"}, "window", "is not a window"),
        ({"window": "24"}, "window", "90m, 24h, 30d, or all"),
        ({"by": ["hub"]}, "by", "did you mean hub_id?"),
        ({"by": ["colour"]}, "by", "there are hub_id"),
        ({"kpis": ["on-time"]}, "kpi", "did you mean on_time?"),
        ({"where": ["hub_id"]}, "where", "is not dimension=value"),
        ({"where": ["hub=a"]}, "where", "did you mean hub_id?"),
        ({"by": ["component"], "kpis": ["otif"]}, "kpi", "only cost_per_delivery"),
    ],
)
def test_a_question_that_cannot_be_understood_is_named(asked: dict[str, str], field: str, told: str) -> None:
    with pytest.raises(QuestionError, match=told.replace("?", r"\?")) as caught:
        ask(NOW, **asked)  # type: ignore[arg-type]
    assert caught.value.field == field


def test_the_dimensions_used_are_those_asked_by_and_those_filtered() -> None:
    question = ask(NOW, by=["zone_id"], where=["courier_id=c"])
    assert isinstance(question, Question)
    assert question.used == {"zone_id", "courier_id"}
