"""The KPI catalogue: every KPI defined once. The API, the metrics, the documents and the panels take it from here."""

from dataclasses import dataclass
from typing import Literal

from milepost.domain.measures import HISTOGRAMS, STAGES

Unit = Literal["minutes", "ratio", "currency", "points", "orders"]
Direction = Literal["higher", "lower", "neither"]

DIMENSIONS = ("hub_id", "zone_id", "service_level", "merchant_id", "courier_id")
"""What every KPI can be asked by."""
COST_DIMENSIONS = ("component", "activity")
"""What a cost can be asked by besides."""
FAILED_ATTEMPT, FEEDBACK = "failed_attempt", "feedback"
REASONS_OF = (FAILED_ATTEMPT, FEEDBACK)
"""What reasons are counted of. They stand where a cost has its component, and the reason where it has its activity."""

MINUTE_US = 60_000_000
DAY_US = 1440 * MINUTE_US
"""Microseconds in a minute."""


@dataclass(frozen=True)
class Kpi:
    """A key performance indicator as sums of measures.

    ``value = scale × Σ numerator / Σ denominator``; ``numerator`` names measures with their sign, ``unit_size``
    turns the numerator's integer into its unit (microseconds into minutes, ten-thousandths into currency).
    ``coverage = 1 − Σ unknown / Σ population`` (or ``Σ known / Σ population``); where it is 0 the value is null.
    ``mean`` is a further sum over the denominator, ``high`` what the value would be were the unknown good.
    """

    name: str
    version: int
    unit: Unit
    direction: Direction
    numerator: tuple[tuple[str, int], ...]
    denominator: str
    numerator_text: str
    denominator_text: str
    moment: str
    text: str
    scale: int = 1
    unit_size: int = 1
    known: str | None = None
    unknown: str | None = None
    population: str | None = None
    mean: str | None = None
    high: bool = False
    histogram: int | None = None
    stage: str | None = None

    @property
    def measures(self) -> tuple[str, ...]:
        """Every measure the KPI reads."""
        names = [name for name, _ in self.numerator]
        names += [
            name
            for name in (self.denominator, self.known, self.unknown, self.population, self.mean)
            if name is not None
        ]
        return tuple(dict.fromkeys(names))

    @property
    def may_be_unknown(self) -> bool:
        """Whether there may be orders of its population of which it is not known."""
        return self.known is not None or self.unknown is not None


def _share(
    name: str,
    good: str,
    of: str,
    numerator_text: str,
    denominator_text: str,
    moment: str,
    text: str,
    direction: Direction = "higher",
    **more: str | bool | None,
) -> Kpi:
    return Kpi(
        name,
        1,
        "ratio",
        direction,
        ((good, 1),),
        of,
        numerator_text,
        denominator_text,
        moment,
        text,
        **more,  # type: ignore[arg-type]
    )


_STAGE_TEXTS = {
    "prepare": "placed → ready",
    "assign": "ready → first assigned, 0 where it was assigned before it was ready",
    "collect": "the later of ready and first assigned → out (the earlier of picked up and departed)",
    "transit": "out → first arrived",
    "reattempt": "first failed attempt → last arrived",
    "door": "last arrived at or before delivered → delivered",
}

KPIS: tuple[Kpi, ...] = (
    Kpi(
        "delivery_time",
        1,
        "minutes",
        "lower",
        (("delivery_us", 1),),
        "delivery_timed",
        "Σ (delivered − placed)",
        "delivered orders, delivered not before placed",
        "delivered",
        "How long customers wait. An order delivered before it was placed has no known delivery time.",
        unit_size=MINUTE_US,
        known="delivery_timed",
        population="delivered",
        histogram=HISTOGRAMS.index("delivery"),
    ),
    _share(
        "on_time",
        "on_time",
        "delivered",
        "delivered with delivered ≤ deadline",
        "delivered",
        "delivered",
        "Of what was delivered, the share that kept the promise in force. Blind to what never came: see promise_kept.",
    ),
    _share(
        "early",
        "early",
        "windowed",
        "delivered before promised_from",
        "delivered that have a promised_from",
        "delivered",
        "Of what was delivered with a window, the share that came before it opened.",
        "lower",
    ),
    _share(
        "in_full",
        "in_full",
        "delivered",
        "every ordered SKU's quantity reached and nothing damaged",
        "delivered",
        "delivered",
        "Whether customers got all they ordered, undamaged. A delivered event without lines is unknown, not good.",
        known="in_full_known",
        population="delivered",
    ),
    _share(
        "promise_kept",
        "kept",
        "due",
        "delivered ≤ deadline",
        "due",
        "deadline",
        "Of what was due, the share that came in time, by the promise in force. What never came counts as broken.",
    ),
    _share(
        "promise_kept_original",
        "kept_original",
        "due_original",
        "delivered ≤ original deadline",
        "due by the original promise",
        "original deadline",
        "The same by the promise first made, whatever was agreed later.",
    ),
    _share(
        "repromised",
        "repromised",
        "due",
        "due orders whose promise had moved",
        "due",
        "deadline",
        "How often customers or merchants were given another promise.",
        "lower",
    ),
    _share(
        "otif",
        "otif",
        "due",
        "delivered ≤ deadline and in full",
        "due",
        "deadline",
        "On time and in full. Unknown only where it was in time and in full is unknown; high counts those as good.",
        unknown="otif_unknown",
        population="due",
        high=True,
    ),
    _share(
        "first_attempt_success",
        "first_success",
        "attempted",
        "first attempt was a delivery",
        "orders attempted",
        "first attempt",
        "How often the first knock is the last. An attempt is a delivery, or a failure at the door.",
    ),
    _share(
        "not_attempted",
        "not_attempted",
        "tried",
        "orders with a failure that never reached the door",
        "orders that have that or an attempt",
        "the first of them",
        "How often a planned stop never happened: no time, vehicle, weather.",
        "lower",
    ),
    Kpi(
        "cost_per_delivery",
        1,
        "currency",
        "lower",
        (("cost", 1),),
        "delivered",
        "Σ amounts, the latest of a subject's cost_id",
        "delivered orders",
        "cost time; delivered",
        "What a delivery costs, all components and activities; by component and by activity on request.",
        unit_size=10_000,
    ),
    Kpi(
        "fee_per_delivery",
        1,
        "currency",
        "neither",
        (("fee", 1),),
        "priced",
        "Σ delivery fees",
        "delivered orders that name their delivery_fee",
        "delivered",
        "What a delivery earns: the fee its order was placed with. What it leaves is this less cost_per_delivery.",
        unit_size=10_000,
        known="priced",
        population="delivered",
    ),
    Kpi(
        "csat",
        1,
        "ratio",
        "higher",
        (("satisfied", 1),),
        "scored",
        "responses with score ≥ 4",
        "responses with a score, the latest per order",
        "submitted",
        "Share of satisfied customers among those who gave a score from 1 to 5; mean is the mean score.",
        mean="score_sum",
    ),
    Kpi(
        "nps",
        1,
        "points",
        "higher",
        (("promoters", 1), ("detractors", -1)),
        "nps_answered",
        "promoters (9–10) − detractors (0–6)",
        "responses with nps, the latest per order",
        "submitted",
        "Net promoter score, −100 to 100.",
        scale=100,
    ),
    _share(
        "response_rate",
        "responded",
        "delivered",
        "delivered orders with a response",
        "delivered",
        "delivered",
        "Share of delivered orders whose customer answered.",
    ),
    _share(
        "cancellation_rate",
        "cancelled",
        "closed",
        "cancelled",
        "closed orders",
        "closed",
        "Share of closed orders that were called off.",
        "lower",
    ),
    _share(
        "return_rate",
        "returned",
        "closed",
        "orders returned to their sender, or after delivery",
        "closed",
        "closed",
        "Share of closed orders that went back.",
        "lower",
    ),
    *(
        Kpi(
            "stage_time",
            1,
            "minutes",
            "lower",
            ((f"{stage}_us", 1),),
            f"{stage}_timed",
            f"Σ time of the stage: {_STAGE_TEXTS[stage]}",
            "orders of which both ends are known and not reversed",
            "the stage's end",
            f"Where the minutes go, stage {stage}: {_STAGE_TEXTS[stage]}.",
            unit_size=MINUTE_US,
            histogram=HISTOGRAMS.index(stage),
            stage=stage,
        )
        for stage in STAGES
    ),
)
"""Every KPI that is a ratio of sums over a window, one entry a stage for ``stage_time``."""


@dataclass(frozen=True)
class Gauge:
    """A number that is about now, not about a window."""

    name: str
    version: int
    text: str
    unit: Unit = "orders"
    direction: Direction = "lower"


ABANDONED_AFTER_DAYS = 30
"""An order not closed, past its deadline, of which nothing was heard for so long, is abandoned."""

GAUGES: tuple[Gauge, ...] = (
    Gauge("open_orders", 1, "Placed, neither closed nor abandoned.", direction="neither"),
    Gauge(
        "overdue_orders",
        1,
        "Open orders past the latest promise agreed with customer or merchant, even one agreed after a miss.",
    ),
    Gauge("orphan_orders", 1, "Orders heard of but not placed: their events wait, and count in full once it comes."),
)


@dataclass(frozen=True)
class Foresight:
    """How good the warnings of broken promises were, told from the lives of SLAs. Asked only by name.

    ``value`` is the recall; ``precision`` and ``lead_p50`` (minutes) stand beside it.
    """

    name: str
    version: int
    numerator_text: str
    denominator_text: str
    moment: str
    text: str
    unit: Unit = "ratio"
    direction: Direction = "higher"


FORESIGHTS: tuple[Foresight, ...] = (
    Foresight(
        "breach_warning",
        1,
        "promises broken that had been at risk before they were due",
        "promises broken: breached, and not withdrawn",
        "due: the deadline and the grace of its policy",
        "Whether breaches are seen before they happen. `precision` is the share of the promises at risk that broke, of "
        "those that broke or were kept; `lead_p50` by how many minutes the median warning of a broken promise came "
        "before it was due. Cancelled before, moved and retracted promises count nowhere.",
    ),
)
"""Told on request alone: every other question is answered from the KPI minutes and orders."""

KPI_NAMES: tuple[str, ...] = tuple(dict.fromkeys(kpi.name for kpi in KPIS))
"""Names of the windowed KPIs, in the catalogue's order."""
