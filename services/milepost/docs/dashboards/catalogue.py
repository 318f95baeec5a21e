"""Every dashboard there is, and its JSON."""

import json
from collections.abc import Callable

from milepost.docs.committed import committed
from milepost.docs.dashboards import (
    accuracy,
    control_room,
    cost,
    courier,
    customers,
    delivery_time,
    hub,
    order,
    platform,
    sla,
)
from milepost.docs.dashboards.frame import Dashboard
from milepost.docs.dashboards.goals import Goals
from milepost.docs.dashboards.parts import Json
from milepost.domain.sla.policy import Policies

BUILDERS: dict[str, Callable[[Goals], Dashboard]] = {
    "milepost-control-room": control_room.build,
    "milepost-delivery-time": delivery_time.build,
    "milepost-accuracy": accuracy.build,
    "milepost-cost": cost.build,
    "milepost-customers": customers.build,
    "milepost-hub": hub.build,
    "milepost-courier": courier.build,
    "milepost-order": order.build,
    "milepost-sla": sla.build,
    "milepost-platform": platform.build,
}
"""By uid, in the order people go through them."""


def documents(policies: Policies | None = None) -> dict[str, Json]:
    """Every dashboard as Grafana keeps it, by uid, judged by ``policies``, the committed ones if None."""
    goals = Goals(policies or committed())
    return {uid: build(goals).document() for uid, build in BUILDERS.items()}


def written(document: Json) -> str:
    """A dashboard as the text of a file, the same for the same dashboard."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def render(uid: str) -> str:
    """The file of the dashboard ``uid``."""
    return written(BUILDERS[uid](Goals(committed())).document())
