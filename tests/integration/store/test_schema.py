"""The live schema is the declared one: tables, and the views people query."""

import re

import pytest

from milepost.domain.measures import BUCKETS_PER_HISTOGRAM, HISTOGRAMS, MEASURES
from milepost.settings import Settings
from milepost.store.client import reader
from milepost.store.migration_files import available
from milepost.store.tables import KPIS, WRITTEN_TABLES, Table

pytestmark = pytest.mark.needs_platform

KEPT_FROM_VIEWS = {
    "events_store": {"precedence"},
    "personal_store": {"precedence"},
    "orders_store": {"measures", "facts"},
    "ledger_store": {"counted", "facts"},
    "rebuilds_store": {"complete_from"},
}
"""Columns that are for the pipeline, not for people."""
ROLL_UPS = {
    "kpi_minutes": {"grain"},
    "kpi_hours": {"grain", "zone_id", "service_level", "merchant_id", "courier_id"},
    "kpi_days": {"grain", "courier_id"},
    "kpi_courier_days": {"grain"},
}


def columns(settings: Settings, table: str) -> dict[str, str]:
    with reader(settings) as store:
        rows = store.query(
            "SELECT name, type FROM system.columns WHERE database = currentDatabase() AND table = {table:String} "
            "AND default_kind != 'MATERIALIZED' ORDER BY position",
            {"table": table},
        )
    return dict(rows)  # type: ignore[arg-type]


@pytest.mark.parametrize("table", WRITTEN_TABLES, ids=lambda table: table.name)
def test_tables_are_as_declared(installation: Settings, table: Table) -> None:
    assert list(columns(installation, table.name).items()) == list(table.columns.items())


@pytest.mark.parametrize(
    "table", [table for table in WRITTEN_TABLES if table is not KPIS], ids=lambda table: table.name
)
def test_views_have_the_tables_columns(installation: Settings, table: Table) -> None:
    expected = [name for name in table.columns if name not in KEPT_FROM_VIEWS.get(table.name, set())]
    found = columns(installation, table.name.removesuffix("_store"))
    assert [name for name in found if name not in ("version",)] == [name for name in expected if name != "version"]


@pytest.mark.parametrize("view", ROLL_UPS)
def test_each_grain_has_a_view_with_its_dimensions(installation: Settings, view: str) -> None:
    assert list(columns(installation, view)) == [name for name in KPIS.columns if name not in ROLL_UPS[view]]


def test_the_deliveries_histogram_is_the_first_of_all() -> None:
    made = next(one for one in available() if one.name == "delivery_histograms").sql
    assert HISTOGRAMS[0] == "delivery"
    assert set(re.findall(r"key < (\d+)", made)) == {str(BUCKETS_PER_HISTOGRAM)}


def test_the_dashboards_view_has_every_measure(installation: Settings) -> None:
    assert list(columns(installation, "kpi_hub_hours")) == ["hour", "hub_id", "component", "activity", *MEASURES]


def test_nothing_is_there_that_nobody_declared(installation: Settings) -> None:
    with reader(installation) as store:
        found = {name for (name,) in store.query("SELECT name FROM system.tables WHERE database = currentDatabase()")}
    declared = {table.name for table in WRITTEN_TABLES} | {"installation", "schema_migrations"}
    views = {name.removesuffix("_store") for name in declared if name.endswith("_store")} - {"kpi"}
    assert found == declared | views | set(ROLL_UPS) | {"kpi_hub_hours", "kpi_delivery_histograms", "sla_now"}
