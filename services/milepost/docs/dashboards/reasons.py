"""Reasons by how often they were given, the most frequent first."""

from milepost.docs.dashboards import sql
from milepost.docs.dashboards.parts import COUNT, SHARE
from milepost.docs.dashboards.tables import Column

MOST_SHOWN = 50


def by_reason(of: str, *more: str) -> str:
    """SQL: the reasons ``of`` something, each with its count, share and running share, and ``more`` columns of it."""
    columns = ", ".join(("reason", *more))
    return (
        f"SELECT {columns}, given, given / sum(given) OVER () AS share, "
        "sum(given) OVER (ORDER BY given DESC, reason) / sum(given) OVER () AS cumulative FROM "
        f"(SELECT activity AS reason, sum(k.reasons) AS given FROM {sql.reasons(of)} GROUP BY reason HAVING given > 0) "
        f"ORDER BY given DESC, reason LIMIT {MOST_SHOWN}"
    )


def reason_columns(counted: str) -> list[Column]:
    """The columns of the numbers; ``counted`` is what a reason is given for."""
    return [
        Column("given", counted, COUNT),
        Column("share", "Share", SHARE, "Of all reasons given.", decimals=1, gauge=True),
        Column("cumulative", "Cumulative", SHARE, "Of all reasons given, up to this row.", 1),
    ]
