"""The windows over which KPIs are served to Prometheus, the shortest first; what alerts and bands may be about."""

WINDOWS = ("5m", "15m", "30m", "1h", "2h", "6h", "1d", "3d", "7d", "30d")
COST_WINDOWS = ("1d", "3d", "7d", "30d")
"""Costs are booked late and in lumps: over less than a day they say nothing."""
COSTLY = "cost_per_delivery"
"""The KPI that is served over ``COST_WINDOWS`` only."""


def windows_of(kpi: str) -> tuple[str, ...]:
    """The windows a KPI is served over."""
    return COST_WINDOWS if kpi == COSTLY else WINDOWS
