"""What is written for Prometheus is what Prometheus's own parser reads."""

from prometheus_client.parser import text_string_to_metric_families

from milepost.domain.sla.words import RULES
from milepost.exporter.exposition import Family
from milepost.exporter.refresher import REFRESH_SECONDS, STALE_SECONDS, pause
from milepost.exporter.snapshot import gauge_families, kpi_families, sla_families
from milepost.metrics import Metric
from milepost.reading.sums import Sums


def samples(*families: Family) -> dict[tuple[str, ...], float]:
    text = b"".join(family.rendered() for family in families).decode()
    return {
        (sample.name, *(f"{name}={value}" for name, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_any_label_value_survives() -> None:
    family = Family(Metric("milepost_x", "What it says.", ("a", "b")))
    for value in ("plain", 'a "quoted" one', "back\\slash", "two\nlines", "zoë"):
        family.add((value, ""), 0.1 + 0.2)
    assert samples(family) == {
        ("milepost_x", f"a={value}"): 0.1 + 0.2
        for value in ("plain", 'a "quoted" one', "back\\slash", "two\nlines", "zoë")
    }


def test_a_hub_keeps_its_series_over_windows_in_which_nothing_counted() -> None:
    longest = {"A": Sums({"due": 4, "kept": 3}), "B": Sums({"closed": 1})}
    found = samples(*kpi_families({"1h": {}, "1d": longest}))
    assert found["milepost_kpi_denominator", "hub_id=A", "kpi=promise_kept", "window=1h"] == 0
    assert ("milepost_kpi_value", "hub_id=A", "kpi=promise_kept", "window=1h") not in found
    assert found["milepost_kpi_value", "hub_id=A", "kpi=promise_kept", "window=1d"] == 0.75
    # What never counted at a hub has no series there.
    assert ("milepost_kpi_denominator", "hub_id=B", "kpi=promise_kept", "window=1d") not in found
    assert found["milepost_kpi_value", "hub_id=B", "kpi=cancellation_rate", "window=1d"] == 0


def test_costs_have_no_series_over_less_than_a_day() -> None:
    spent = {"A": Sums({"cost": 10_000, "delivered": 2})}
    found = samples(*kpi_families({"6h": spent, "1d": spent}))
    assert {key[-1] for key in found if "kpi=cost_per_delivery" in key} == {"window=1d"}
    assert found["milepost_kpi_value", "hub_id=A", "kpi=cost_per_delivery", "window=1d"] == 0.5


def test_coverage_is_told_of_kpis_that_may_be_unknown() -> None:
    found = samples(*kpi_families({"1h": {}, "1d": {"A": Sums({"due": 4, "kept": 3, "otif": 2, "otif_unknown": 1})}}))
    coverage = {key: value for key, value in found.items() if key[0] == "milepost_kpi_coverage"}
    # Not of promise_kept, of which everything is known, and not over an hour in which nobody was due.
    assert coverage == {("milepost_kpi_coverage", "hub_id=A", "kpi=otif", "window=1d"): 0.75}


def test_stages_differ_by_their_label() -> None:
    found = samples(*kpi_families({"1d": {"A": Sums({"door_timed": 1, "door_us": 60_000_000})}}))
    assert found["milepost_kpi_value", "hub_id=A", "kpi=stage_time", "stage=door", "window=1d"] == 1.0


def test_orphans_have_no_hub() -> None:
    counts = {"": {"open_orders": 0, "overdue_orders": 0, "orphan_orders": 3},
              "A": {"open_orders": 2, "overdue_orders": 1, "orphan_orders": 0}}  # fmt: skip
    found = samples(*gauge_families(counts))
    assert found == {
        ("milepost_open_orders", "hub_id=A"): 2,
        ("milepost_overdue_orders", "hub_id=A"): 1,
        ("milepost_orphan_orders",): 3,
    }


def test_a_hub_with_open_orders_has_zeros_for_what_is_not_at_risk_or_broken() -> None:
    found = samples(*sla_families(["", "A", "B"], {"A": 2}, {("silence", "B"): 1, ("promise", "C"): 4}))
    assert {key[1:]: value for key, value in found.items() if key[0] == "milepost_at_risk_orders"} == {
        ("hub_id=A",): 2,
        ("hub_id=B",): 0,
        ("hub_id=C",): 0,
    }
    breached = {key[1:]: value for key, value in found.items() if key[0] == "milepost_sla_breached_orders"}
    assert set(breached) == {(f"hub_id={hub}", f"rule={rule}") for hub in "ABC" for rule in RULES}
    assert {key: value for key, value in breached.items() if value} == {
        ("hub_id=B", "rule=silence"): 1,
        ("hub_id=C", "rule=promise"): 4,
    }


def test_a_slow_store_is_asked_less_often_but_before_its_numbers_are_stale() -> None:
    assert pause(0.1) == REFRESH_SECONDS - 0.1
    assert pause(5.0) == 20.0
    assert pause(60.0) == STALE_SECONDS / 2
