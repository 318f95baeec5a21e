"""What Milepost itself tells of SLAs, as CloudEvents on their own topic: for whoever acts on them."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

SOURCE = "/milepost/processor"
"""The source of these events; with their ``id`` what makes two copies the same."""


class SlaChange(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An SLA of an order has reached a state; ``time`` of the event is the moment it speaks of."""

    order_id: str
    rule: Annotated[str, Meta(description="`promise`, a stage (`prepare`, `assign`, …), or `silence`.")]
    state: Annotated[str, Meta(description="`at_risk`, `eased`, `breached`, `resolved` or `withdrawn`.")]
    cause: Annotated[str, Meta(description="Why: `late` or `silent` of a breach; how it ended, of an end.")]
    due: Annotated[datetime, Meta(description="When it is, or was, over its limit.")]
    hub_id: str = ""
    zone_id: str = ""
    service_level: str = ""
    merchant_id: str = ""
    courier_id: str = ""
    policy_version: Annotated[int, Meta(description="Version of the SLA policies it was decided by.")] = 0
    chance: Annotated[float | None, Meta(description="Of `at_risk` and `eased`: to be kept, 0 to 1.")] = None


def event_type(state: str) -> str:
    """The type of the events of a state."""
    return f"milepost.sla.{state}.v1"


def event_schema() -> dict[str, Any]:
    """The JSON Schema of the ``data`` of these events."""
    _, generated = msgspec.json.schema_components([SlaChange])
    return dict(generated["SlaChange"])
