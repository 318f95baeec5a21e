"""PromQL of the panels, composed of the metrics' definitions."""

from collections.abc import Iterable

from milepost import metrics
from milepost.metrics import Metric

HUBS = 'hub_id=~"${hub}"'
"""The chosen hubs. Without a format of ours: Prometheus's datasource makes a pattern of it, and escapes it twice."""
FIRING = 'ALERTS{alertstate="firing"}'


def gauge(metric: Metric) -> str:
    """The metric of the chosen hubs."""
    return f"{metric.name}{{{HUBS}}}"


def kpi_sum(metric: Metric, kpi: str, window: str, by: str = "", only: str = "") -> str:
    """Numerators or denominators of a KPI over one of the exporter's windows, summed over the chosen hubs.

    ``only`` are further matchers.
    """
    grouped = f" by ({by})" if by else ""
    matchers = ", ".join(part for part in (f'kpi="{kpi}", window="{window}", {HUBS}', only) if part)
    return f"sum{grouped} ({metric.name}{{{matchers}}})"


def bad_share(kpi: str, window: str, by: str = "", only: str = "") -> str:
    """The share of orders that were not good over a window; nothing where nothing counted."""
    counted = (metrics.KPI_NUMERATOR, metrics.KPI_DENOMINATOR)
    good, whole = (kpi_sum(metric, kpi, window, by, only) for metric in counted)
    return f"(1 - {good} / ({whole} > 0))"


def among(hubs: Iterable[str], *, these: bool) -> str:
    """The matcher of these hubs, or of all others; nothing where there are none to tell apart."""
    pattern = "|".join(sorted(hub.replace(".", "[.]") for hub in hubs))
    return f'hub_id{"=~" if these else "!~"}"{pattern}"' if pattern else ""


def quantile(rank: float, metric: Metric, by: str = "") -> str:
    """A quantile of a Prometheus histogram over the last minutes."""
    grouped = f"le, {by}" if by else "le"
    return f"histogram_quantile({rank}, sum by ({grouped}) (rate({metric.name}_bucket[$__rate_interval])))"


def rate(metric: Metric, by: str = "") -> str:
    """A counter's rate a second, summed."""
    grouped = f" by ({by})" if by else ""
    return f"sum{grouped} (rate({metric.name}[$__rate_interval]))"
