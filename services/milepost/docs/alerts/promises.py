"""`deploy/prometheus/rules/promises.yml`: what is told about promises and the other KPIs, made of objectives and bands.

Shares are sums divided once, by hub. Only what is known to have failed counts as failed.
"""

import re
from collections.abc import Iterator

from milepost.docs.alerts.rule import Alert, Record, group_file
from milepost.domain.kpis import KPIS, Kpi
from milepost.domain.sla.burn import BURNS, CHANCE, LOWEST_COVERAGE, Burn
from milepost.domain.sla.policy import Band, Objective, Policies

SURGE_SHARE = 0.3
SURGE_MINIMUM = 20
SURGE_HOLDS = "10m"
REGION_SHARE = 0.3
REGION_MINIMUM = 3
COVERAGE_WINDOW, COVERAGE_MINIMUM = "1d", 50

HUB = "/d/milepost-hub?var-hub={{ $labels.hub_id | urlquery }}"
_KPIS: dict[str, Kpi] = {kpi.name: kpi for kpi in KPIS if kpi.stage is None}
_UNITS = {
    "ratio": "{{ %s | humanizePercentage }}",
    "currency": "{{ printf `%%.2f` %s }}",
    "points": "{{ printf `%%.0f` %s }}",
}
HEAD = """
The promises as customers feel them, by hub. An objective's budget is what it lets fail; alerts tell how fast it burns.
What is missing (an exporter that cannot read) has no series: it neither fires anything nor ends it by itself.
"""


def render(policies: Policies) -> str:
    """The whole file."""
    return group_file(HEAD, "milepost-promises", _rules(policies))


def _rules(policies: Policies) -> Iterator[Alert | Record]:
    for objective in policies.objectives:
        yield from _sums(objective)
        for burn in BURNS:
            yield _burning(objective, burn)
    yield from _surge()
    yield from _trouble()
    yield _ticket()
    for band in policies.bands:
        yield _out_of_band(band)
    named = [objective.kpi for objective in policies.objectives] + [band.kpi for band in policies.bands]
    unsure = sorted({one for one in named if one in _KPIS and _KPIS[one].may_be_unknown})
    if unsure:
        yield _coverage(unsure)


def _sums(objective: Objective) -> Iterator[Record]:
    windows = "|".join(dict.fromkeys(window for burn in BURNS for window in (burn.short, burn.long)))
    which = f'kpi="{objective.kpi}", window=~"{windows}"'
    labels = {"objective": objective.name}
    yield Record("milepost:objective_due", f"sum by (window, hub_id) (milepost_kpi_denominator{{{which}}})", labels)
    yield Record(
        "milepost:objective_failed",
        f"{_failed(_KPIS[objective.kpi], which, 'window, hub_id')}",
        labels,
        "What is known to have failed: of an order of which it is not known, nothing is said.",
    )


def _failed(kpi: Kpi, which: str, by: str) -> str:
    """How many of the KPI's orders are known to have failed, by the labels ``by``."""
    known = f"sum by ({by}) (milepost_kpi_denominator{{{which}}})"
    if kpi.may_be_unknown:
        known = f"round(sum by ({by}) (milepost_kpi_denominator{{{which}}} * milepost_kpi_coverage{{{which}}}))"
    return f"{known}\n-\nsum by ({by}) (milepost_kpi_numerator{{{which}}})"


def _burning(objective: Objective, burn: Burn) -> Record:
    which = f'objective="{objective.name}", window="{burn.long}"'
    expr = "\n".join(
        [
            f"sum by (hub_id) (milepost:objective_failed{{{which}}} >= {objective.minimum_bad})",
            f"and on (hub_id) milepost:objective_due{{{which}}} >= {objective.minimum}",
            f"and on (hub_id) ({_over(objective, burn, burn.long)})",
            f"and on (hub_id) ({_over(objective, burn, burn.short)})",
            *([f"and on (hub_id) ({_beyond_chance(objective, burn.long)})"] if burn.severity == "page" else []),
        ]
    )
    share = f"{burn.factor:g} times the budget"
    if burn.threshold(objective.target) == burn.cap:
        share = f"capped at {burn.cap:.0%}"
    return Record(
        "milepost:burning",
        expr,
        {"objective": objective.name, "window": burn.long, "severity": burn.severity},
        f"{share} over {burn.long}, and still over {burn.short}; the value is how many have failed.",
    )


def _over(objective: Objective, burn: Burn, window: str) -> str:
    """Hubs whose share of failures over ``window`` is above the threshold, each by its own target."""
    which = f'objective="{objective.name}", window="{window}"'
    return "\n    or ".join(
        f"milepost:objective_failed{{{which}{hub}}} / milepost:objective_due{{{which}}} > {burn.threshold(target):g}"
        for hub, target in _targets(objective)
    )


def _beyond_chance(objective: Objective, window: str) -> str:
    """Hubs with more failures than a hub that meets the objective has by chance."""
    which = f'objective="{objective.name}", window="{window}"'
    return "\n    or ".join(
        f"milepost:objective_failed{{{which}{hub}}} - {round(1 - target, 6):g} * milepost:objective_due{{{which}}}"
        f" > {CHANCE:g} * sqrt(milepost:objective_failed{{{which}{hub}}})"
        for hub, target in _targets(objective)
    )


def _targets(objective: Objective) -> list[tuple[str, float]]:
    """Each target with the matcher of its hubs."""
    others = "|".join(map(re.escape, sorted(objective.hubs)))
    parts = [(f', hub_id!~"{_escaped(others)}"' if others else "", objective.target)]
    return parts + [(f', hub_id="{_escaped(hub)}"', target) for hub, target in sorted(objective.hubs.items())]


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _surge() -> Iterator[Record]:
    broken = 'milepost_sla_breached_orders{rule="promise"}'
    share = "milepost:hub_endangered_share"
    yield Record(
        "milepost:hub_endangered",
        f"sum by (hub_id) (milepost_at_risk_orders or {broken})",
        why="Open orders whose promise is broken or expected to break. Old orders of a backfill are not among them.",
    )
    yield Record(
        share,
        f"""
        milepost:hub_endangered
        / (
            sum by (hub_id) (milepost_open_orders)
          - clamp_min(
              sum by (hub_id) (milepost_overdue_orders)
            - (sum by (hub_id) ({broken}) or 0 * sum by (hub_id) (milepost_overdue_orders)), 0)
        )
        """,
        why="Of the open orders, without those long overdue that no breach was ever told of.",
    )
    yield Record(
        "milepost:surging",
        f"""
        milepost:hub_endangered >= {SURGE_MINIMUM}
        and on (hub_id) min_over_time({share}[{SURGE_HOLDS}]) > {SURGE_SHARE}
        and on (hub_id) ({share} offset {SURGE_HOLDS}) > {SURGE_SHARE}
        unless on (hub_id) milepost:hub_endangered < 2 * (milepost:hub_endangered offset 1w)
        """,
        why=f"""
        More than {SURGE_SHARE:.0%} for ten minutes without a break, and twice as many as a week ago: promises that are
        about to break, before any window has them. Where last week is not known, it excuses nothing.
        """,
    )


def _since(alert: str, *labels: str) -> str:
    """Since when the alert's condition holds, for its summary."""
    matchers = "".join(f", {label}=%q" for label in labels)
    values = "".join(f" $labels.{label}" for label in labels)
    query = f'printf `ALERTS_FOR_STATE{{alertname="{alert}"{matchers}}}`{values}' if labels else (
        f"""`ALERTS_FOR_STATE{{alertname="{alert}"}}`"""
    )  # fmt: skip
    return (
        f'{{{{ with {query} | query }}}} since {{{{ (. | first | value | toTime).Format "15:04" }}}} UTC{{{{ end }}}}'
    )


def _number(query: str, *labels: str, shown: str = "printf `%.0f`") -> str:
    """The value of a query in an annotation, 0 where it has none."""
    values = "".join(f" $labels.{label}" for label in labels)
    asked = f"printf `{query}`{values}" if labels else f"`{query}`"
    return f"{{{{ with {asked} | query }}}}{{{{ . | first | value | {shown} }}}}{{{{ else }}}}0{{{{ end }}}}"


_DUE = 'sum(milepost_kpi_denominator{kpi="promise_kept", window="%s", hub_id=%%q})'
_LATE = (
    'sum(milepost_kpi_denominator{kpi="promise_kept", window="%s", hub_id=%%q})'
    ' - sum(milepost_kpi_numerator{kpi="promise_kept", window="%s", hub_id=%%q})'
)


def _trouble() -> Iterator[Alert | Record]:
    yield Record(
        "milepost:hub_trouble",
        'max by (hub_id) (milepost:burning{severity="page"} or milepost:surging)',
        why="One trouble a hub, however it shows; the value is how many orders it is about.",
    )
    late = _number((_LATE % ("1h", "1h")), "hub_id", "hub_id")
    due = _number(_DUE % "1h", "hub_id")
    endangered = _number("milepost:hub_endangered{hub_id=%q}", "hub_id")
    yield Alert(
        "HubBreakingPromises",
        "milepost:hub_trouble",
        "page",
        "operations",
        f"Hub {{{{ $labels.hub_id }}}} is breaking its promises{_since('HubBreakingPromises', 'hub_id')}: "
        f"{late} of the {due} orders due in the last hour did not come in time, {endangered} open orders are late or about to be",
        "{{ $value }} customers are affected at hub {{ $labels.hub_id }}. Told because of: "
        '{{ range printf `milepost:burning{severity="page", hub_id=%q}` $labels.hub_id | query }}'
        "{{ .Value }} orders failed within {{ .Labels.window }} (objective {{ .Labels.objective }}); {{ end }}"
        "{{ range printf `milepost:surging{hub_id=%q}` $labels.hub_id | query }}"
        "{{ .Value }} open orders late or at risk, for ten minutes; {{ end }}"
        "an order that never comes counts as broken at its deadline.",
        HUB,
        "Nothing to wait for: the windows are as long as they need to be. One evaluation more outlasts a hiccup.",
        wait="15s",
        keep="5m",
    )
    count = "count(milepost:hub_trouble)"
    hubs = (
        'count(sum by (hub_id) (milepost_kpi_denominator{kpi="promise_kept", window="1d"}) > 0 or milepost:hub_trouble)'
    )
    yield Alert(
        "RegionBreakingPromises",
        f"{count} >= {REGION_MINIMUM}\nand\n{count} / {hubs} >= {REGION_SHARE}",
        "page",
        "operations",
        f"{{{{ $value }}}} of {_number(hubs)} hubs are breaking their promises at once"
        f"{_since('RegionBreakingPromises')}: "
        f"{_number('sum(milepost:hub_trouble)')} customers are affected",
        "So many hubs at once have a cause in common: weather, a system all of them use, a service of ours. The hubs: "
        "{{ range query `topk(10, milepost:hub_trouble)` }}{{ .Labels.hub_id }} ({{ .Value }} orders), {{ end }}"
        "the worst ten first. While this lasts, hubs do not page for themselves.",
        "/d/milepost-control-room",
        f"At least {REGION_SHARE:.0%} of the hubs that had orders due within a day.",
        wait="15s",
        keep="8m",
    )


def _ticket() -> Alert:
    return Alert(
        "ObjectiveBurning",
        'max by (objective, hub_id) (milepost:burning{severity="ticket"})',
        "ticket",
        "operations",
        "Hub {{ $labels.hub_id }} uses up what objective {{ $labels.objective }} lets fail"
        f"{_since('ObjectiveBurning', 'objective', 'hub_id')}: {{{{ $value }}}} orders failed",
        '{{ range printf `milepost:burning{severity="ticket", objective=%q, hub_id=%q}` $labels.objective $labels.hub_id | query }}'
        "{{ .Value }} orders failed within {{ .Labels.window }}; {{ end }}"
        "kept up, hub {{ $labels.hub_id }} misses the objective {{ $labels.objective }}. Nothing that cannot wait for the morning.",
        "/d/milepost-sla?var-hub={{ $labels.hub_id | urlquery }}",
        wait="30m",
        keep="1h",
    )


def _out_of_band(band: Band) -> Alert:
    kpi = _KPIS[band.kpi]
    which = f'kpi="{kpi.name}", window="{band.window}"'
    orders = f"sum by (hub_id) (milepost_kpi_denominator{{{which}}})"
    value = f"sum by (hub_id) (milepost_kpi_numerator{{{which}}})\n  / {orders}"
    if kpi.may_be_unknown:
        lost = _failed(kpi, which, "hub_id").replace("\n", " ")
        value = f"1 - ({lost})\n  / {orders}"
    if kpi.scale != 1:
        value = f"{kpi.scale} * {value}"
    low = f"({value}\n  < {band.at_least:g})" if band.at_least is not None else ""
    high = f"({value}\n  > {band.at_most:g})" if band.at_most is not None else ""
    outside = "\nor\n".join(filter(None, (low, high)))
    limits = [f"at least {_shown(kpi, band.at_least)}"] if band.at_least is not None else []
    limits += [f"at most {_shown(kpi, band.at_most)}"] if band.at_most is not None else []
    unknown = " What is not known counts as good here." if kpi.may_be_unknown else ""
    counted = _number(f"sum(milepost_kpi_denominator{{{which}, hub_id=%q}})", "hub_id")
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
