"""An installation made ready without a process for each command."""

from milepost.bus import topics
from milepost.settings import Settings
from milepost.store import migrations


def install(settings: Settings) -> None:
    """As ``milepost topics apply`` and ``milepost migrate apply`` do it."""
    states = topics.apply(settings)
    assert all(state.in_order for state in states), states
    migrations.apply(settings)
