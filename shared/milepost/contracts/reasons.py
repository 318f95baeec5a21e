"""Reason codes of failed attempts: which of them came from the door, and whose each is."""

from typing import Literal, get_args

DoorReason = Literal[
    "not_home",
    "refused",
    "address",
    "access",
    "closed",
    "payment",
    "id_check",
    "damaged",
    "missing_parcel",
    "reschedule",
    "other",
]
"""The courier stood at the door: a failed attempt."""

NeverReachedReason = Literal["no_time", "vehicle", "weather"]
"""The courier never reached the door: no attempt."""

DOOR_REASONS: frozenset[str] = frozenset(get_args(DoorReason))
NEVER_REACHED_REASONS: frozenset[str] = frozenset(get_args(NeverReachedReason))

RESPONSIBLE: dict[str, str] = {
    "not_home": "customer",
    "refused": "customer",
    "address": "customer",
    "access": "customer",
    "closed": "customer",
    "payment": "customer",
    "id_check": "customer",
    "damaged": "carrier",
    "missing_parcel": "merchant",
    "reschedule": "customer",
    "other": "nobody",
    "no_time": "carrier",
    "vehicle": "carrier",
    "weather": "nobody",
}
"""Whose each code is: customer, merchant, carrier or nobody."""
