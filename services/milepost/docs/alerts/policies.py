"""The policies that the committed rules are generated from."""

from milepost.domain.sla.policy import Band, Objective, Policies

DEFAULT = Policies(
    version=1,
    objectives=(Objective("promise-kept", "promise_kept", 0.97, "30d", minimum=20, minimum_bad=5),),
    bands=(
        Band("otif", "otif", "1d", 50, at_least=0.90),
        Band("first_attempt_success", "first_attempt_success", "1d", 50, at_least=0.85),
        Band("cost_per_delivery", "cost_per_delivery", "7d", 50, at_most=12),
        Band("csat", "csat", "7d", 30, at_least=0.80),
        Band("nps", "nps", "7d", 30, at_least=20),
    ),
)


def committed() -> Policies:
    """The policies whose rules belong into the repository."""
    return DEFAULT
