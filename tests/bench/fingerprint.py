"""What the KPI rows of a database say, so that two engines can be compared: same rows, same sums, or no comparison."""

from typing import NamedTuple

from milepost.domain.measures import MEASURES
from milepost.settings import Settings
from milepost.store.client import writer

KEYS = ("grain", "minute", "hub_id", "zone_id", "service_level", "merchant_id", "courier_id", "component", "activity")
SUMS = "kpi_sums"
"""Table of the peers that write sums to be added up, instead of absolute values."""

_SQL = """
SELECT count(), sum(cityHash64({keys}, {measures}, buckets)), {totals}
FROM (
    SELECT {keys}, {sums}, sumMap({bucket}, {count}) AS buckets
    FROM {table} WHERE grain != 'cut' GROUP BY {keys}
    HAVING {nonzero} OR notEmpty(buckets.1)
)
"""


class Fingerprint(NamedTuple):
    """Rows over all grains, a hash of everything they say, and each measure's total."""

    rows: int
    digest: int
    totals: dict[str, int]


def of_cells(settings: Settings) -> Fingerprint:
    """Of a database whose ``kpi_store`` holds absolute values per partition."""
    return _read(settings, "kpi_store FINAL", "hist_bucket", "hist_count")


def of_sums(settings: Settings) -> Fingerprint:
    """Of a database that holds sums to be added up."""
    return _read(settings, SUMS, "`histMap.bucket`", "`histMap.count`")


def _read(settings: Settings, table: str, bucket: str, count: str) -> Fingerprint:
    sql = _SQL.format(
        keys=", ".join(KEYS),
        measures=", ".join(f"s_{name}" for name in MEASURES),
        sums=", ".join(f"sum({name}) AS s_{name}" for name in MEASURES),
        totals=", ".join(f"sum(s_{name})" for name in MEASURES),
        nonzero=" OR ".join(f"s_{name} != 0" for name in MEASURES),
        table=table,
        bucket=bucket,
        count=count,
    )
    with writer(settings) as store:
        ((rows, digest, *totals),) = store.query(sql)
    return Fingerprint(int(rows), int(digest), dict(zip(MEASURES, map(int, totals), strict=True)))
