"""Where streamed and recomputed sums differ. Pure."""

from collections.abc import Iterator, Mapping

from msgspec import Struct

from milepost.auditor.recount import Recount
from milepost.auditor.statements import DURATIONS, REASONS
from milepost.domain.kpis import COST_DIMENSIONS, KPIS, MINUTE_US
from milepost.domain.measures import HISTOGRAMS
from milepost.reading.question import Question
from milepost.reading.rows import quantiles
from milepost.reading.sums import Labels, Sums

QUANTILE_ERROR = 0.01
_ROUNDING = 1e-9


class Drift(Struct, frozen=True):
    """A number that the stream and the log do not agree on, for one combination of dimensions.

    ``measure`` is a measure's name, or a duration's with a quantile (in microseconds both); ``kpis`` read it.
    """

    measure: str
    kpis: tuple[str, ...]
    dimensions: dict[str, str]
    streamed: float
    recomputed: float

    @property
    def place(self) -> tuple[str, tuple[tuple[str, str], ...]]:
        """What two drifts of the same number have in common."""
        return self.measure, tuple(sorted(self.dimensions.items()))


def differences(
    question: Question, streamed: Mapping[Labels, Sums], recomputed: Mapping[Labels, Recount]
) -> tuple[int, list[Drift]]:
    """How many numbers were compared, and those that differ: counts and sums at all, quantiles beyond their error."""
    found: list[Drift] = []
    compared = 0
    # Beside costs that are split further, deliveries stand once for each part.
    split = bool(set(question.by) & set(COST_DIMENSIONS))
    names = {"cost"} if split else {name for kpi in question.kpis for name in kpi.measures}
    for labels in sorted(streamed.keys() | recomputed.keys()):
        one, other = streamed.get(labels, Sums()), recomputed.get(labels, Recount())
        dimensions = dict(zip(question.by, labels, strict=False))
        reasons = {name for name in one.measures.keys() | other.measures.keys() if name.startswith(f"{REASONS} ")}
        for name in sorted(names | reasons):
            compared += 1
            pair = one.measures.get(name, 0), other.measures.get(name, 0)
            if pair[0] != pair[1]:
                found.append(Drift(name, readers(name), dimensions, *pair))
        for name, left, right, error in _ranks(names, one, other):
            compared += 1
            if abs(left - right) > error * right + _ROUNDING:
                found.append(Drift(name, readers(name.split()[0]), dimensions, left, right))
    return compared, found


def readers(measure: str) -> tuple[str, ...]:
    """The KPIs that read ``measure``; none reads how often a reason was given."""
    return tuple(
        kpi.name if kpi.stage is None else f"{kpi.name} {kpi.stage}" for kpi in KPIS if measure in kpi.measures
    )


def _ranks(names: set[str], one: Sums, other: Recount) -> Iterator[tuple[str, float, float, float]]:
    """What histograms say and what the durations do: how many there are, exactly; if as many, their quantiles."""
    for name in names.intersection(DURATIONS):
        counts = one.histograms.get(HISTOGRAMS.index(name.removesuffix("_us")), {})
        held, timed = sum(counts.values()), other.measures.get(name.replace("_us", "_timed"), 0)
        yield f"{name} histogram", held, timed, 0.0
        if held == timed > 0:
            for quantile, minutes in quantiles(counts).items():
                yield (
                    f"{name} {quantile}",
                    (minutes or 0.0) * MINUTE_US,
                    other.quantiles[name][quantile],
                    QUANTILE_ERROR,
                )
