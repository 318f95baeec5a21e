"""Lives made by hand: an order's facts, with times in minutes, and what they count for."""

from collections.abc import Sequence
from typing import Any, Self

from milepost.domain import facts as f
from milepost.domain.contributions import HISTOGRAM_SLOT, Contributions, contributions
from milepost.domain.measures import MEASURES
from milepost.domain.order import Order, fold

START = 1_772_409_600_000_000
"""2026-03-02T00:00:00Z in microseconds: minute 0 of every life."""
MINUTE = 60_000_000

Parcels = Sequence[str] | None


def moment(minutes: float | None) -> int:
    """Microseconds of a minute of the life; None is unknown (0)."""
    return 0 if minutes is None else START + round(minutes * MINUTE)


class Life:
    """An order's facts; every method adds one at a minute and returns the life. Events are e1, e2, … of source /s."""

    def __init__(self) -> None:
        self.facts: list[f.AnyFact] = []

    def add(self, kind: type[Any], at: float, *fields: Any, source: str = "/s", id: str = "") -> Self:  # noqa: A002
        """Any fact."""
        offset = len(self.facts)
        self.facts.append(kind(offset, moment(at), source, id or f"e{offset + 1}", offset, *fields))
        return self

    def placed(
        self,
        at: float = 0,
        until: float = 120,
        since: float | None = None,
        lines: Sequence[tuple[str, int]] = (("milk", 2),),
        parcels: Sequence[str] = (),
        hub: str = "h1",
        fee: int | None = None,
        **identity: str,
    ) -> Self:
        """Zone z1, level l1, merchant m1."""
        fields = (hub, "z1", "l1", "m1", "", moment(since), moment(until), list(lines), list(parcels), fee)
        return self.add(f.Placed, at, *fields, **identity)

    def promised(self, at: float, until: float, by: str = "customer", since: float | None = None, **id_: str) -> Self:
        return self.add(f.PromiseChanged, at, moment(since), moment(until), by, **id_)

    def cancelled(self, at: float, by: str = "customer", **identity: str) -> Self:
        return self.add(f.Cancelled, at, by, **identity)

    def ready(self, at: float) -> Self:
        return self.add(f.Ready, at)

    def assigned(self, at: float, courier: str = "c1", **identity: str) -> Self:
        return self.add(f.Assigned, at, courier, **identity)

    def unassigned(self, at: float) -> Self:
        return self.add(f.Unassigned, at)

    def departed(self, at: float) -> Self:
        return self.add(f.Departed, at)

    def picked_up(self, at: float, courier: str = "") -> Self:
        return self.add(f.PickedUp, at, courier)

    def eta(self, at: float, eta: float, **identity: str) -> Self:
        return self.add(f.EtaUpdated, at, moment(eta), **identity)

    def arrived(self, at: float, courier: str = "") -> Self:
        return self.add(f.Arrived, at, courier)

    def failed(self, at: float, reason: str = "not_home", courier: str = "", **identity: str) -> Self:
        return self.add(f.AttemptFailed, at, courier, reason, **identity)

    def delivered(
        self,
        at: float,
        lines: Sequence[tuple[str, int, bool]] | None = (("milk", 2, False),),
        parcels: Parcels = None,
        courier: str = "",
        **identity: str,
    ) -> Self:
        named = None if parcels is None else list(parcels)
        return self.add(f.Delivered, at, courier, None if lines is None else list(lines), named, **identity)

    def returned(self, at: float, disposition: str = "to_sender", parcels: Parcels = None) -> Self:
        return self.add(f.Returned, at, disposition, None if parcels is None else list(parcels))

    def lost(self, at: float, parcels: Parcels = None) -> Self:
        return self.add(f.Lost, at, None if parcels is None else list(parcels))

    def asked(self, at: float) -> Self:
        return self.add(f.FeedbackRequested, at)

    def answered(self, at: float, score: int = -1, nps: int = -1, reasons: Sequence[str] = (), **identity: str) -> Self:
        return self.add(f.FeedbackSubmitted, at, score, nps, list(reasons), **identity)

    def cost(
        self,
        at: float,
        amount: int,
        cost_id: str = "k1",
        hub: str = "h1",
        courier: str = "",
        component: str = "labour",
        activity: str = "delivery",
        **identity: str,
    ) -> Self:
        return self.add(f.CostRecorded, at, cost_id, hub, courier, component, activity, amount, **identity)

    def retracted(self, at: float, event: str, source: str = "/s", **identity: str) -> Self:
        return self.add(f.Retracted, at, (source, event), **identity)

    @property
    def order(self) -> Order:
        """The state."""
        return fold(self.facts)

    @property
    def cells(self) -> Contributions:
        """What it counts for."""
        return contributions(self.order)

    @property
    def counted(self) -> dict[str, int]:
        """Sums of the measures over all cells, without those that are 0."""
        sums: dict[str, int] = {}
        for slots in self.cells.values():
            for slot, value in slots:
                if slot < HISTOGRAM_SLOT:
                    sums[MEASURES[slot]] = sums.get(MEASURES[slot], 0) + value
        return {name: value for name, value in sums.items() if value}

    def minutes(self, measure: str) -> list[float]:
        """The minutes of the life in which ``measure`` counts, once for each time it does."""
        return sorted(self._places(measure, 0))

    def couriers(self, measure: str) -> list[str]:
        """The couriers for whom ``measure`` counts."""
        return sorted(self._places(measure, 5))

    def _places(self, measure: str, position: int) -> list[Any]:
        number = MEASURES.index(measure)
        return [
            key[0] - START // MINUTE if position == 0 else key[position]
            for key, slots in self.cells.items()
            for slot, _ in slots
            if slot == number
        ]
