"""When an objective's budget burns: windows, thresholds, and what could never be told. Pure.

An objective of 97 % leaves a budget of 3 % that may fail. A burn of 6 means that six times as many fail as the budget
allows: kept up, a month's budget is gone in five days. The pairs of windows are those of the Google SRE workbook
("Alerting on SLOs", 6): the long one says that it is worth waking somebody, the short one that it still goes on.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from milepost.domain.kpis import KPIS, Kpi
from milepost.domain.sla.policy import Band, Objective, Policies
from milepost.domain.windows import windows_of


@dataclass(frozen=True)
class Burn:
    """One rule: the share that fails over ``long`` and over ``short`` is above ``factor`` budgets, or above ``cap``.

    ``cap`` is a share that can occur: of an objective of 90 %, 14.4 budgets would be more than everything.
    """

    factor: float
    long: str
    short: str
    severity: Literal["page", "ticket"]
    cap: float

    def threshold(self, target: float) -> float:
        """The share of failures (0 to 1) above which it burns, for an objective of ``target``."""
        return round(min(self.factor * (1 - target), self.cap), 6)


BURNS = (
    Burn(14.4, "1h", "5m", "page", 0.5),
    Burn(6, "6h", "30m", "page", 0.35),
    Burn(3, "1d", "2h", "ticket", 0.35),
    Burn(1, "3d", "6h", "ticket", 1),
)
"""Every burn rule, the fastest first."""

CHANCE = 2.5
"""A page needs more failures than this many standard deviations above the budget, by the square root of the failures.

At the objective, a hub with four orders due an hour has five failures (20 %) within some six hours of every sixth
month, by mere chance. Where many are due, the thresholds ask for more than this anyway.
"""

LOWEST_COVERAGE = 0.9
"""Where less of a KPI's population is known, that itself is told."""

_BY_NAME = {kpi.name: kpi for kpi in KPIS if kpi.stage is None}
_ENDS = {"ratio": (0.0, 1.0), "points": (-100.0, 100.0)}
"""The least and the most a KPI of a unit can be."""


def unfireable(policies: Policies) -> list[str]:
    """What is wrong with objectives and bands whose alert could never fire, or would always: a sentence each."""
    found: list[str] = []
    for objective in policies.objectives:
        found += [f"objective {objective.name}: {fault}" for fault in _objective_faults(objective)]
    for band in policies.bands:
        found += [f"band {band.name}: {fault}" for fault in _band_faults(band)]
    return found


def _objective_faults(objective: Objective) -> Iterator[str]:
    kpi = _BY_NAME.get(objective.kpi)
    if kpi is None or kpi.unit != "ratio" or kpi.direction != "higher":
        yield f"{objective.kpi} is not a share of which more is better, so nothing of it can fail"
        return
    if objective.window not in windows_of(objective.kpi):
        yield _not_served(objective.kpi, objective.window)
    if objective.minimum < 1:
        yield f"the minimum of {objective.minimum} orders can be met by none; give at least 1"
    if objective.minimum_bad < 1:
        yield f"the minimum of {objective.minimum_bad} failures can be met by none; give at least 1"
    for where, target in (("", objective.target), *((f" of hub {hub}", own) for hub, own in objective.hubs.items())):
        yield from (f"the target{where} {fault}" for fault in _target_faults(target))


def _target_faults(target: float) -> Iterator[str]:
    if target >= 1:
        yield f"of {target:.0%} leaves no budget, so no burn of it can be told; give less than 100 %"
    elif target <= 0:
        yield f"of {target:.0%} lets everything fail, so nothing can burn; give more than 0 %"
    else:
        for burn in BURNS:
            threshold = burn.threshold(target)
            if threshold >= 1:
                yield f"of {target:.1%} can never burn {burn.factor:g} times too fast: more than all would have to fail"
            if threshold < round(1 - target, 6):
                yield (
                    f"of {target:.1%} lets more fail than the {threshold:.0%} at which a {burn.severity} over "
                    f"{burn.long} is due: it would come while the objective is met; give at least {1 - burn.cap:.0%}"
                )


def _band_faults(band: Band) -> Iterator[str]:
    kpi = _BY_NAME.get(band.kpi)
    if kpi is None:
        yield f"there is no KPI {band.kpi}"
        return
    if band.window not in windows_of(band.kpi):
        yield _not_served(band.kpi, band.window)
    if band.at_least is None and band.at_most is None:
        yield "neither at_least nor at_most is given, so nothing is outside of it"
    low, high = _ends(kpi)
    if band.at_least is not None and band.at_least <= low:
        yield f"{band.kpi} is never under {band.at_least:g}"
    if band.at_most is not None and band.at_most >= high:
        yield f"{band.kpi} is never over {band.at_most:g}"


def _not_served(kpi: str, window: str) -> str:
    return f"{kpi} is not served over {window}; over {', '.join(windows_of(kpi))} it is"


def _ends(kpi: Kpi) -> tuple[float, float]:
    return _ENDS.get(kpi.unit, (0.0, float("inf")))
