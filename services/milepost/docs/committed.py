"""The policies that the committed rules and dashboards are generated from: the file in the repository."""

from functools import lru_cache
from pathlib import Path

from milepost.domain.sla.policy import Policies
from milepost.policies.load import load_policies

FILE = Path(__file__).resolve().parents[3] / "deploy" / "sla" / "policies.yml"


@lru_cache
def committed() -> Policies:
    """The policies whose rules and targets belong into the repository. Raises ``PolicyError``."""
    return load_policies(FILE)
