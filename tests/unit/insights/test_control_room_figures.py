"""The control room's words, charts and ranking: pure, so tried on plain values."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from milepost.domain.kpis import KPIS
from milepost.insights.control_room import charts, figures, looks, ranking, words
from milepost.insights.control_room.looks import Overview, Pace, StepRows
from milepost.reading.rows import KpiRow, gauge_row, kpi_row
from milepost.reading.series import Step
from milepost.reading.sums import Sums

NOW = datetime(2026, 3, 5, 14, 30, tzinfo=UTC)
BY_NAME = {kpi.name: kpi for kpi in KPIS if kpi.stage is None}


def row(name: str, **measures: int) -> KpiRow:
    return kpi_row(BY_NAME[name], {}, Sums(measures))


def hub(kept: int, due: int) -> dict[str, KpiRow]:
    return {"promise_kept": row("promise_kept", kept=kept, due=due)}


@pytest.mark.parametrize(
    ("value", "said"),
    [(None, "–"), (0.0, "0 %"), (1.0, "100 %"), (0.99999, "99.9 %"), (0.00001, "0.1 %"), (0.8734, "87.3 %")],
)
def test_a_share_is_never_rounded_to_perfection(value: float | None, said: str) -> None:
    assert words.share(value) == said


@pytest.mark.parametrize(
    ("value", "said"), [(None, "–"), (0.25, "15 s"), (2.0, "2.0 min"), (130.0, "2.2 h"), (4000.0, "2.8 d")]
)
def test_minutes_come_in_a_unit_people_read(value: float | None, said: str) -> None:
    assert words.minutes(value) == said


def test_moments_stand_in_the_zone_of_the_page_with_the_day_where_it_is_another() -> None:
    clock = words.Clock(ZoneInfo("Europe/Berlin"), NOW)
    assert clock.name == "Europe/Berlin (UTC+01:00)"
    assert clock.minute(NOW) == "15:30"
    assert clock.minute(NOW - timedelta(days=1)) == "Wed 15:30"
    assert clock.minute(NOW - timedelta(days=30)) == "2026-02-03 15:30"
    assert words.Clock(ZoneInfo("UTC"), NOW).name == "UTC"
    assert words.Clock(ZoneInfo("America/St_Johns"), NOW).name == "America/St_Johns (UTC-03:30)"


def test_few_orders_do_not_put_a_hub_first() -> None:
    found = ranking.worst_first({"unlucky": hub(0, 1), "bad": hub(60, 100), "good": hub(99, 100), "idle": hub(0, 0)})
    assert [one.hub_id for one in found] == ["bad", "unlucky", "good", "idle"]
    assert found[-1].likely is None


def test_the_interval_is_wilsons() -> None:
    found = ranking.likely(8, 10)
    assert found is not None
    # Reckoned by hand: E. B. Wilson's score interval at z = 1.96.
    assert (found.low, found.high) == (pytest.approx(0.4902, abs=1e-4), pytest.approx(0.9433, abs=1e-4))
    assert ranking.likely(0, 0) is None


def test_bars_of_hubs_share_a_scale_and_the_idle_one_has_none() -> None:
    lines = figures.hub_lines(ranking.worst_first({"bad": hub(85, 100), "good": hub(95, 100), "idle": hub(0, 0)}))
    assert [(line.hub_id, line.top, line.broken) for line in lines] == [
        ("bad", 0.4, 37.5), ("good", 0.4, 12.5), ("idle", 0.4, None),
    ]  # fmt: skip
    assert all(line.reach[0] <= line.broken <= line.reach[1] for line in lines if line.broken is not None)


def test_what_became_of_the_orders_due_adds_up_to_them() -> None:
    rows = {
        "promise_kept": row("promise_kept", kept=90, due=100),
        "otif": row("otif", otif=70, otif_unknown=15, due=100),
    }
    parts = figures.outcome(rows)
    assert [(part.key, part.number) for part in parts] == [("good", 70), ("unknown", 15), ("short", 5), ("late", 10)]
    assert parts[-1].x + parts[-1].width == pytest.approx(100)
    nothing = {"promise_kept": row("promise_kept"), "otif": row("otif")}
    assert figures.outcome(nothing) == []


def test_a_ratio_comes_with_its_orders_and_what_is_not_known_of_them() -> None:
    tile = figures.ratio_tile(row("otif", otif=70, otif_unknown=15, due=100))
    assert (tile.value, tile.exact, tile.of) == ("70.0 %", 0.7, "70 of 100 due")
    assert tile.beside == ("known for 85.0 %", "85.0 % were the unknown good")
    unknown = figures.ratio_tile(row("otif", otif_unknown=3, due=3))
    assert (unknown.value, unknown.exact) == ("–", None)
    assert figures.ratio_tile(row("otif")).of == "none due"


def test_overdue_orders_call_for_attention_and_none_do_not() -> None:
    def states(number: int) -> list[str]:
        gauge = words.DEFINITIONS["overdue_orders"]
        return [tile.state for tile in figures.now_tiles({"overdue_orders": gauge_row(gauge, {}, number)})]  # type: ignore[arg-type]

    assert (states(0), states(3)) == ([""], ["attention"])


@pytest.mark.parametrize(
    ("pace", "said"),
    [
        (Pace(90, 100), "100 in the same hour last week (−10 %)"),
        (Pace(5, 0), "none in the same hour last week"),
        (Pace(5, None), "nothing on record a week before"),
    ],
)
def test_the_pace_is_held_against_last_week(pace: Pace, said: str) -> None:
    found = Overview(NOW, NOW, NOW, NOW, {}, {}, pace, (), ())
    assert figures.pace_tile(found).beside == (said,)


def test_a_chart_breaks_where_nothing_is_known_and_a_lone_value_is_a_dot() -> None:
    assert charts.line_through([0.5, None, 1.0, 0.0], 1.0).line == "M12.5 50.0h0M62.5 0.0h0L87.5 100.0"
    chart = charts.columns_and_line([0, 40, None], [80, None, 20])
    assert chart.top == 80
    assert [(column.number, column.height) for column in chart.columns] == [(0, 0.0), (1, 50.0)]
    assert chart.line == "M0.0 0.0H33.33M66.67 75.0H100.0"
    assert charts.columns_and_line([0, 0]).top == 1


@pytest.mark.parametrize(("value", "top"), [(0, 1), (1, 1), (3, 4), (41, 50), (0.131, 0.2), (100, 100), (81, 100)])
def test_tops_are_round_and_not_below(value: float, top: float) -> None:
    assert charts.round_top(value) == pytest.approx(top)


def test_the_last_step_says_that_it_is_not_over() -> None:
    view = looks.VIEWS["24h"]
    starts = [NOW.replace(minute=0) - timedelta(hours=23 - number) for number in range(24)]
    steps = []
    for start in starts:
        rows = {name: row(name, delivered=4, kept=1, due=2, on_time=3) for name in looks.STEP_KPIS}
        steps.append(StepRows(Step(start, min(start + view.step, NOW), Sums()), rows, 4, 2))
    deliveries, kept, _ = figures.all_series(steps, view, words.Clock(ZoneInfo("UTC"), NOW))
    assert [point.partial for point in deliveries.points] == [False] * 23 + [True]
    assert deliveries.points[0].said == ("4", "2")
    assert kept.points[0].said == ("50.0 %", "2")
    assert deliveries.labels == ("15:00", "21:00", "03:00", "09:00")
