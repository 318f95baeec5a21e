"""The alerts on KPIs that leave their band, and on those of which too little is known."""

from collections.abc import Iterator

from milepost.docs.alerts.annotations import number
from milepost.docs.alerts.rule import Alert
from milepost.domain.kpis import KPIS, Kpi
from milepost.domain.sla.burn import LOWEST_COVERAGE
from milepost.domain.sla.policy import Band, Policies

COVERAGE_WINDOW, COVERAGE_MINIMUM = "1d", 50
HUB = "/d/milepost-hub?var-hub={{ $labels.hub_id | urlquery }}"
"""The dashboard of an alert's hub."""
KPI: dict[str, Kpi] = {kpi.name: kpi for kpi in KPIS if kpi.stage is None}
"""What objectives and bands may be about, by name."""
_UNITS = {
    "ratio": "{{ %s | humanizePercentage }}",
    "currency": "{{ printf `%%.2f` %s }}",
    "points": "{{ printf `%%.0f` %s }}",
    "minutes": "{{ printf `%%.0f` %s }} minutes",
}


def rules(policies: Policies) -> Iterator[Alert]:
    """A ticket for each band; one on coverage where something of an objective's or a band's KPI may be unknown."""
    for band in policies.bands:
        yield _out_of_band(band)
    named = [objective.kpi for objective in policies.objectives] + [band.kpi for band in policies.bands]
    if unsure := sorted({name for name in named if KPI[name].may_be_unknown}):
        yield _coverage(unsure)


def failed(kpi: Kpi, which: str, by: str) -> str:
    """How many of the KPI's orders are known to have failed, by the labels ``by``."""
    known = f"sum by ({by}) (milepost_kpi_denominator{{{which}}})"
    if kpi.may_be_unknown:
        known = f"round(sum by ({by}) (milepost_kpi_denominator{{{which}}} * milepost_kpi_coverage{{{which}}}))"
    return f"{known}\n-\nsum by ({by}) (milepost_kpi_numerator{{{which}}})"


def _out_of_band(band: Band) -> Alert:
    kpi = KPI[band.kpi]
    which = f'kpi="{kpi.name}", window="{band.window}"'
    orders = f"sum by (hub_id) (milepost_kpi_denominator{{{which}}})"
    value = f"sum by (hub_id) (milepost_kpi_numerator{{{which}}})\n  / {orders}"
    if kpi.may_be_unknown:
        lost = failed(kpi, which, "hub_id").replace("\n", " ")
        value = f"1 - ({lost})\n  / {orders}"
    if kpi.scale != 1:
        value = f"{kpi.scale} * {value}"
    low = f"({value}\n  < {band.at_least:g})" if band.at_least is not None else ""
    high = f"({value}\n  > {band.at_most:g})" if band.at_most is not None else ""
    outside = "\nor\n".join(filter(None, (low, high)))
    limits = [f"at least {_shown(kpi, band.at_least)}"] if band.at_least is not None else []
    limits += [f"at most {_shown(kpi, band.at_most)}"] if band.at_most is not None else []
    unknown = " What is not known counts as good here." if kpi.may_be_unknown else ""
    counted = number(f"sum(milepost_kpi_denominator{{{which}, hub_id=%q}})", "hub_id")
    return Alert(
        "KpiOutOfBand",
        f"({outside})\nand on (hub_id) {orders} >= {band.minimum}",
        "ticket",
        "operations",
        f"{_title(kpi)} of hub {{{{ $labels.hub_id }}}} is {_UNITS[kpi.unit] % '$value'} over {band.window}; "
        f"it should be {' and '.join(limits)}",
        f"{kpi.text.split('. ')[0].rstrip('.')}.{unknown} Over {band.window}: {_UNITS[kpi.unit] % '$value'} of {counted} ({kpi.denominator_text}).",
        HUB,
        wait="30m",
        keep="1h",
        labels={"kpi": kpi.name, "band": band.name},
    )


def _title(kpi: Kpi) -> str:
    """The KPI's name as people say it."""
    words = {"otif": "On time in full", "csat": "Customer satisfaction (CSAT)", "nps": "Net promoter score"}
    return words.get(kpi.name, kpi.name.replace("_", " ").capitalize())


def _shown(kpi: Kpi, value: float) -> str:
    return f"{value:.4g}" if kpi.unit != "ratio" else f"{100 * value:.4g} %"


def _coverage(kpis: list[str]) -> Alert:
    which = f'kpi=~"{"|".join(kpis)}", window="{COVERAGE_WINDOW}"'
    return Alert(
        "CoverageLow",
        f"min by (kpi, hub_id) (milepost_kpi_coverage{{{which}}}) < {LOWEST_COVERAGE}\n"
        f"and on (kpi, hub_id) sum by (kpi, hub_id) (milepost_kpi_denominator{{{which}}}) >= {COVERAGE_MINIMUM}",
        "ticket",
        "platform",
        "{{ $labels.kpi }} of hub {{ $labels.hub_id }} is known of only {{ $value | humanizePercentage }} of its orders",
        "Over the last day {{ $labels.kpi }} is known of {{ $value | humanizePercentage }} of the orders of hub "
        "{{ $labels.hub_id }}: its senders leave out what it takes. Alerts on it count only what is known to have failed, "
        "so they are blind to the rest.",
        "/d/milepost-accuracy?var-hub={{ $labels.hub_id | urlquery }}",
        wait="30m",
        keep="1h",
    )
