"""KPI answers from the real engine equal the plain sum over all entries, over any window and by any dimensions."""

import json
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from subprocess import CompletedProcess
from typing import Any

import pytest

from milepost.domain.kpis import KPIS
from milepost.domain.measures import BUCKETS_PER_HISTOGRAM, quantile
from milepost.reading.kpis import answer
from milepost.reading.question import Question, ask
from milepost.reading.rows import KpiRow
from milepost.settings import Settings
from milepost.store.client import reader

pytestmark = pytest.mark.needs_platform
Command = Callable[..., CompletedProcess[str]]


def rows(settings: Settings, question: Question) -> list[KpiRow]:
    with reader(settings) as store:
        return answer(store, question, datetime.now(UTC)).rows


def equal(row: KpiRow, sums: dict[str, int]) -> None:
    """Assert that a row is what ``sums`` make it."""
    stage = row.dimensions.get("stage")
    kpi = next(kpi for kpi in KPIS if kpi.name == row.kpi and kpi.stage == stage)
    numerator = sum(sign * sums.get(name, 0) for name, sign in kpi.numerator)
    denominator = sums.get(kpi.denominator, 0)
    assert row.denominator == denominator
    assert row.numerator == pytest.approx(numerator / kpi.unit_size, abs=1e-9)
    if row.value is not None:
        assert row.value == pytest.approx(kpi.scale * numerator / kpi.unit_size / denominator, rel=1e-12)
    if kpi.histogram is not None:
        first = kpi.histogram * BUCKETS_PER_HISTOGRAM
        counts = {
            key: sums[f"bucket {key}"] for key in range(first, first + BUCKETS_PER_HISTOGRAM) if f"bucket {key}" in sums
        }
        median = quantile(counts, 0.5)
        assert row.p50 == (None if median is None else pytest.approx(median / 60e6, rel=1e-9))


QUESTIONS: tuple[tuple[tuple[str, ...], dict[str, tuple[str, ...]]], ...] = (
    ((), {}),
    (("hub_id",), {}),
    (("zone_id",), {}),
    (("courier_id",), {}),
    (("merchant_id", "service_level"), {}),
    (("zone_id", "courier_id"), {"hub_id": ("BER-1", "HAM-1")}),
    (("hub_id",), {"courier_id": ("c1", "")}),
    ((), {"hub_id": ("MUC-1",)}),
    ((), {"zone_id": ("",)}),
)


@pytest.mark.parametrize(("by", "where"), QUESTIONS)
def test_any_window_is_a_sum_of_its_minutes(
    installation: Settings, minutes: Any, by: tuple[str, ...], where: dict[str, tuple[str, ...]]
) -> None:
    chosen = random.Random(str(by))
    span = int((minutes.last - minutes.first).total_seconds()) // 60
    cuts = sorted(chosen.sample(range(span + 1), 2))
    windows = [(minutes.first, minutes.last), tuple(minutes.first + timedelta(minutes=cut) for cut in cuts)]
    for start, end in windows:
        question = ask(
            datetime.now(UTC),
            start=start.isoformat(),
            end=end.isoformat(),
            by=by,
            where=[f"{name}={value}" for name, values in where.items() for value in values],
        )
        expected = minutes.sums(start, end, by, where)
        found = [row for row in rows(installation, question) if row.denominator is not None]
        assert {tuple(row.dimensions[name] for name in by) for row in found} == (set(expected) if by else {()})
        for row in found:
            equal(row, expected.get(tuple(row.dimensions[name] for name in by), {}))


def test_costs_are_split_and_their_deliveries_are_not(installation: Settings, minutes: Any) -> None:
    question = ask(datetime.now(UTC), window="30d", by=["hub_id", "component"])
    costs = minutes.sums(minutes.first, minutes.last, ("hub_id", "component"))
    deliveries = minutes.sums(minutes.first, minutes.last, ("hub_id",))
    found = rows(installation, question)
    assert {row.kpi for row in found} == {"cost_per_delivery"}
    assert len(found) == 6
    for row in found:
        hub, component = row.dimensions["hub_id"], row.dimensions["component"]
        assert row.numerator == costs[hub, component]["cost"] / 10_000
        assert row.denominator == deliveries[hub,]["delivered"]
    only = rows(installation, ask(datetime.now(UTC), window="30d", where=["component=fuel", "activity=return"]))
    fuel = minutes.sums(minutes.first, minutes.last, (), {"component": ("fuel",), "activity": ("return",)})
    assert [row.numerator for row in only] == [fuel[()]["cost"] / 10_000]
    assert only[0].denominator == sum(one["delivered"] for one in deliveries.values())


def test_the_command_gives_the_same_answer(installation: Settings, minutes: Any, milepost: Command) -> None:
    asked = (
        "--from",
        minutes.first.isoformat(),
        "--to",
        minutes.last.isoformat(),
        "--by",
        "hub_id",
        "--kpi",
        "otif,nps",
    )
    told = json.loads(milepost(installation, "kpi", *asked, "--json").stdout)
    assert list(told) == ["as_of", "watermark", "from", "to", "currency", "rows"]
    assert (told["watermark"], told["currency"]) == (None, "EUR")
    expected = minutes.sums(minutes.first, minutes.last, ("hub_id",))
    assert [(row["kpi"], row["dimensions"]["hub_id"]) for row in told["rows"]] == [
        (kpi, hub) for kpi in ("otif", "nps") for hub in sorted(hub for (hub,) in expected)
    ]
    for row in told["rows"][:3]:
        assert (row["numerator"], row["denominator"]) == (
            expected[row["dimensions"]["hub_id"],]["otif"],
            expected[row["dimensions"]["hub_id"],]["due"],
        )
        assert set(row) == {
            "kpi", "version", "unit", "dimensions", "value", "numerator", "denominator", "coverage", "high",
        }  # fmt: skip
    table = milepost(installation, "kpi", *asked).stdout
    assert "BER-1" in table
    assert "nothing has been processed yet" in table


def test_the_command_says_what_it_does_not_understand(installation: Settings, milepost: Command) -> None:
    wrong = milepost(installation, "kpi", "--by", "hub", check=False)
    assert wrong.returncode == 2
    assert "hub_id" in wrong.stderr
    gone = milepost(installation.model_copy(update={"clickhouse": "http://127.0.0.1:9"}), "kpi", check=False)
    assert gone.returncode == 1
    assert "cannot be reached" in gone.stderr


def test_one_kpi_reads_its_own_histogram_alone(installation: Settings, minutes: Any) -> None:
    question = ask(datetime.now(UTC), window="30d", by=["zone_id"], kpis=["delivery_time"])
    expected = minutes.sums(minutes.first, minutes.last, ("zone_id",))
    found = rows(installation, question)
    assert len(found) == len({labels for labels in expected if expected[labels]})
    for row in found:
        equal(row, expected[row.dimensions["zone_id"],])
    stages = ask(datetime.now(UTC), window="30d", kpis=["stage_time"])
    for row in rows(installation, stages):
        equal(row, minutes.sums(minutes.first, minutes.last)[()])
