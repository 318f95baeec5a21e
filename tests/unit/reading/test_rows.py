"""From sums to values: what is known, what is not, and quantiles."""

import random
from datetime import UTC, datetime

import pytest
from msgspec import UNSET

from milepost.domain.kpis import GAUGES, KPIS
from milepost.domain.measures import BUCKETS_PER_HISTOGRAM, bucket_key, quantile
from milepost.reading.question import Question, ask
from milepost.reading.rows import KpiRow, gauge_row, kpi_row, kpi_rows, quantiles
from milepost.reading.sums import Sums

NOW = datetime(2026, 3, 1, tzinfo=UTC)
BY_NAME = {kpi.name: kpi for kpi in KPIS if kpi.stage is None}


def row(name: str, **measures: int) -> KpiRow:
    return kpi_row(BY_NAME[name], {}, Sums(measures))


def test_a_share_is_the_sums_divided_once() -> None:
    found = row("promise_kept", kept=3, due=4)
    assert (found.value, found.numerator, found.denominator, found.coverage) == (0.75, 3, 4, 1.0)
    assert (found.mean, found.p50, found.high) == (UNSET, UNSET, UNSET)


def test_nothing_counted_is_null_not_zero() -> None:
    found = row("promise_kept")
    assert (found.value, found.numerator, found.denominator, found.coverage) == (None, 0, 0, None)


def test_minutes_come_from_microseconds_exactly() -> None:
    found = row("delivery_time", delivery_us=90_000_001, delivery_timed=2, delivered=4)
    assert found.numerator == pytest.approx(1.5 + 1 / 60_000_000, abs=1e-12)
    assert found.value == found.mean == pytest.approx(0.75, abs=1e-6)
    assert found.coverage == 0.5


def test_costs_come_from_ten_thousandths() -> None:
    found = row("cost_per_delivery", cost=864_412_100, delivered=2557)
    assert found.numerator == 86441.21
    assert found.value == pytest.approx(33.80571372702386, rel=1e-12)


def test_where_nothing_is_known_there_is_no_value() -> None:
    found = row("in_full", delivered=7)
    assert (found.value, found.coverage, found.denominator) == (None, 0.0, 7)


def test_otif_counts_the_unknown_as_not_good_and_says_what_it_might_be() -> None:
    found = row("otif", otif=2, otif_unknown=3, due=10)
    assert (found.value, found.coverage, found.high) == (0.2, 0.7, 0.5)


def test_net_promoters_go_from_minus_to_plus_a_hundred() -> None:
    found = row("nps", promoters=1, detractors=3, nps_answered=4)
    assert (found.value, found.numerator) == (-50.0, -2)


def test_satisfaction_has_its_mean_score_beside_it() -> None:
    found = row("csat", satisfied=1, scored=2, score_sum=7)
    assert (found.value, found.mean) == (0.5, 3.5)
    assert row("csat").mean is None


def test_quantiles_are_the_domains_own() -> None:
    chosen = random.Random(1)
    for size in (1, 2, 3, 50):
        counts: dict[int, int] = {}
        for _ in range(size):
            key = bucket_key(2, int(60e6 * chosen.lognormvariate(3, 1)))
            counts[key] = counts.get(key, 0) + chosen.randrange(1, 4)
        found = quantiles(counts)
        for name, q in (("p50", 0.5), ("p90", 0.9), ("p95", 0.95)):
            expected = quantile(counts, q)
            assert expected is not None
            assert found[name] == pytest.approx(expected / 60e6, rel=1e-12)
    assert quantiles({}) == {"p50": None, "p90": None, "p95": None}


def test_a_stage_reads_its_own_histogram() -> None:
    stage = next(kpi for kpi in KPIS if kpi.stage == "door")
    assert stage.histogram is not None
    key = stage.histogram * BUCKETS_PER_HISTOGRAM + 5
    found = kpi_row(
        stage, {"hub_id": "a"}, Sums({"door_timed": 1, "door_us": 5}, {0: {1: 9}, stage.histogram: {key: 1}})
    )
    assert found.dimensions == {"hub_id": "a", "stage": "door"}
    assert found.p50 == pytest.approx(5 / 60e6, rel=0.3)


def test_every_kpi_has_its_row_for_every_combination() -> None:
    question: Question = ask(NOW, by=["hub_id"], kpis=["otif,early"])
    found = list(kpi_rows(question, {("b",): Sums({"due": 1}), ("a",): Sums({"windowed": 1})}))
    assert [(one.kpi, one.dimensions["hub_id"]) for one in found] == [
        ("early", "a"), ("early", "b"), ("otif", "a"), ("otif", "b"),
    ]  # fmt: skip


def test_without_dimensions_there_are_rows_even_of_nothing() -> None:
    assert len(list(kpi_rows(ask(NOW), {}))) == len(KPIS)


def test_a_gauge_is_a_number_about_now() -> None:
    found = gauge_row(GAUGES[0], {}, 5)
    assert (found.kpi, found.value, found.numerator, found.denominator, found.unit) == (
        "open_orders",
        5.0,
        5,
        None,
        "orders",
    )
