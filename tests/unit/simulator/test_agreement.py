"""The order state agrees with the city about every order: two accounts of the same week, written apart."""

from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from milepost.contracts.event import decode
from milepost.domain.contributions import HISTOGRAM_SLOT, contributions
from milepost.domain.facts import AnyFact, fact_of
from milepost.domain.kpis import DIMENSIONS
from milepost.domain.measures import MEASURES
from milepost.domain.order import fold
from milepost.simulator import truth

TAKEN = datetime(2026, 11, 1, tzinfo=UTC)

COUNTS = {
    "on_time": ("on_time", "delivered"),
    "early": ("early", "windowed"),
    "in_full": ("in_full", "delivered"),
    "promise_kept": ("kept", "due"),
    "promise_kept_original": ("kept_original", "due_original"),
    "repromised": ("repromised", "due"),
    "otif": ("otif", "due"),
    "first_attempt_success": ("first_success", "attempted"),
    "not_attempted": ("not_attempted", "tried"),
    "csat": ("satisfied", "scored"),
    "response_rate": ("responded", "delivered"),
    "cancellation_rate": ("cancelled", "closed"),
    "return_rate": ("returned", "closed"),
}


def _sums(lines: list[bytes]) -> dict[tuple[str, str], dict[str, int]]:
    """Sums of all measures by (dimension, value), from events alone; the first copy of an identity counts."""
    subjects: dict[str, dict[tuple[str, str], AnyFact]] = defaultdict(dict)
    for offset, line in enumerate(lines):
        event = decode(line, "EUR", TAKEN)
        if not event.testmode:
            subjects[event.subject].setdefault((event.source, event.id), fact_of(event, offset, offset))
    sums: dict[tuple[str, str], dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for facts in subjects.values():
        for cell, slots in contributions(fold(list(facts.values()))).items():
            for slot, value in slots:
                if slot < HISTOGRAM_SLOT:
                    name = getattr(MEASURES[slot], "name", MEASURES[slot])
                    for dimension, value_of in zip(DIMENSIONS, cell[1:], strict=False):
                        sums[dimension, value_of][name] += value
    return sums


def test_both_count_the_same_for_every_hub_zone_level_merchant_and_courier(week: Any) -> None:
    sums = _sums(week.lines)
    rows = [(dimension, row) for dimension, rows in week.truth["by"].items() for row in rows]
    assert {(dimension, row["dimensions"][dimension]) for dimension, row in rows} == set(sums)
    compared = 0
    for dimension, row in rows:
        found = sums[dimension, row["dimensions"][dimension]]
        if row["kpi"] in COUNTS:
            good, of = COUNTS[row["kpi"]]
            expected: tuple[float, int] = (found[good], found[of])
        elif row["kpi"] == "nps":
            expected = (found["promoters"] - found["detractors"], found["nps_answered"])
        elif row["kpi"] == "cost_per_delivery":
            expected = (found["cost"] / 10_000, found["delivered"])
        elif row["kpi"] == "fee_per_delivery":
            expected = (found["fee"] / 10_000, found["priced"])
        else:
            name = row["dimensions"].get("stage", "delivery")
            expected = (found[f"{name}_us"] / 60_000_000, found[f"{name}_timed"])
        assert (row["numerator"], row["denominator"]) == expected, row
        compared += 1
    assert compared > 1_000


def test_the_simulator_shares_no_code_with_what_it_checks() -> None:
    sources = list(Path(truth.__file__).parent.glob("*.py"))
    assert len(sources) > 10
    assert [path.name for path in sources if "milepost.domain" in path.read_text()] == []
