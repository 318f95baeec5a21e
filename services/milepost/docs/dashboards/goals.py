"""The targets that numbers are held against on the dashboards: taken from the SLA policies, never typed again."""

from collections.abc import Iterator
from dataclasses import dataclass

from milepost.domain.kpis import Kpi, Unit
from milepost.domain.sla.policy import Objective, Policies


@dataclass(frozen=True)
class Goal:
    """A limit for a KPI's value, and which side of it is good."""

    limit: float
    higher_is_better: bool
    text: str


class Goals:
    """The goals of one installation's policies."""

    def __init__(self, policies: Policies) -> None:
        """Take the limits out of ``policies``."""
        self.policies = policies

    @property
    def objectives(self) -> tuple[Objective, ...]:
        """The objectives, which have an error budget."""
        return self.policies.objectives

    def of(self, kpi: Kpi) -> Goal | None:
        """The KPI's goal; the objective where there is a band as well, None where nothing is promised."""
        return next(self._goals(kpi), None)

    def _goals(self, kpi: Kpi) -> Iterator[Goal]:
        if kpi.stage is not None:
            return
        for objective in self.policies.objectives:
            if objective.kpi == kpi.name:
                yield Goal(
                    objective.target,
                    True,
                    f"Objective: at least {written(objective.target, kpi.unit)} over {objective.window}.",
                )
        for band in self.policies.bands:
            if band.kpi != kpi.name:
                continue
            if band.at_least is not None:
                text = f"Band: at least {written(band.at_least, kpi.unit)} over {band.window}."
                yield Goal(band.at_least, True, text)
            if band.at_most is not None:
                yield Goal(band.at_most, False, f"Band: at most {written(band.at_most, kpi.unit)} over {band.window}.")


def written(value: float, unit: Unit) -> str:
    """A limit as people read it."""
    return f"{100 * value:g} %" if unit == "ratio" else f"{value:g}{' min' if unit == 'minutes' else ''}"
