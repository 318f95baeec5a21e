"""`deploy/prometheus/rules/promises.yml`: what is told about promises and the other KPIs, made of objectives and bands.

Shares are sums divided once, by hub. Only what is known to have failed counts as failed.
"""

import re
from collections.abc import Iterator

from milepost.docs.alerts import bands
from milepost.docs.alerts.annotations import number, since
from milepost.docs.alerts.rule import Alert, Record, group_file
from milepost.domain.sla.burn import BURNS, CHANCE, Burn, unfireable
from milepost.domain.sla.policy import Objective, Policies

SURGE_SHARE = 0.3
SURGE_MINIMUM = 20
SURGE_HOLDS = "10m"
REGION_SHARE = 0.3
REGION_MINIMUM = 3

HEAD = """
The promises as customers feel them, by hub. An objective's budget is what it lets fail; alerts tell how fast it burns.
What is missing (an exporter that cannot read) has no series: it neither fires anything nor ends it by itself.
"""


def render(policies: Policies) -> str:
    """The whole file.

    Raises:
        ValueError: an alert of these policies could never fire, or always would.
    """
    if faults := unfireable(policies):
        raise ValueError("; ".join(faults))
    return group_file(HEAD, "milepost-promises", _rules(policies))


def _rules(policies: Policies) -> Iterator[Alert | Record]:
    for objective in policies.objectives:
        yield from _sums(objective)
        for burn in BURNS:
            yield _burning(objective, burn)
    yield from _surge()
    yield from _trouble()
    yield _ticket()
    yield from bands.rules(policies)


def _sums(objective: Objective) -> Iterator[Record]:
    windows = "|".join(dict.fromkeys(window for burn in BURNS for window in (burn.short, burn.long)))
    which = f'kpi="{objective.kpi}", window=~"{windows}"'
    labels = {"objective": objective.name}
    yield Record("milepost:objective_due", f"sum by (window, hub_id) (milepost_kpi_denominator{{{which}}})", labels)
    yield Record(
        "milepost:objective_failed",
        bands.failed(bands.KPI[objective.kpi], which, "window, hub_id"),
        labels,
        "What is known to have failed: of an order of which it is not known, nothing is said.",
    )


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
    late = number((_LATE % ("1h", "1h")), "hub_id", "hub_id")
    due = number(_DUE % "1h", "hub_id")
    endangered = number("milepost:hub_endangered{hub_id=%q}", "hub_id")
    yield Alert(
        "HubBreakingPromises",
        "milepost:hub_trouble",
        "page",
        "operations",
        f"Hub {{{{ $labels.hub_id }}}} is breaking its promises{since('HubBreakingPromises', 'hub_id')}: "
        f"{late} of the {due} orders due in the last hour did not come in time, {endangered} open orders are late or about to be",
        "{{ $value }} customers are affected at hub {{ $labels.hub_id }}. Told because of: "
        '{{ range printf `milepost:burning{severity="page", hub_id=%q}` $labels.hub_id | query }}'
        "{{ .Value }} orders failed within {{ .Labels.window }} (objective {{ .Labels.objective }}); {{ end }}"
        "{{ range printf `milepost:surging{hub_id=%q}` $labels.hub_id | query }}"
        "{{ .Value }} open orders late or at risk, for ten minutes; {{ end }}"
        "an order that never comes counts as broken at its deadline.",
        bands.HUB,
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
        f"{{{{ $value }}}} of {number(hubs)} hubs are breaking their promises at once"
        f"{since('RegionBreakingPromises')}: "
        f"{number('sum(milepost:hub_trouble)')} customers are affected",
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
        f"{since('ObjectiveBurning', 'objective', 'hub_id')}: {{{{ $value }}}} orders failed",
        '{{ range printf `milepost:burning{severity="ticket", objective=%q, hub_id=%q}` $labels.objective $labels.hub_id | query }}'
        "{{ .Value }} orders failed within {{ .Labels.window }}; {{ end }}"
        "kept up, hub {{ $labels.hub_id }} misses the objective {{ $labels.objective }}. Nothing that cannot wait for the morning.",
        "/d/milepost-sla?var-hub={{ $labels.hub_id | urlquery }}",
        wait="30m",
        keep="1h",
    )
