"""The storage tables as declared: columns in insert order. Migrations make them; a test holds the two together.

Moments are Int64 microseconds since 1970-01-01 UTC (0: unknown); the views people query turn them into DateTime64.
"""

from dataclasses import dataclass

from milepost.domain.measures import MEASURES

GRAINS = {"cut": 0, "minute": 1, "hour": 2, "day": 3, "courier_day": 4}
"""Rows of ``kpi_store``: the minutes, their roll-ups, and per partition the ``cut``, which says up to which offset
all its other rows are complete. ``day`` leaves the courier out, ``hour`` all dimensions but the hub; what a cost is for
stays in all."""


@dataclass(frozen=True)
class Table:
    """A storage table: name, and its columns with their ClickHouse types, in the order rows are written."""

    name: str
    columns: dict[str, str]

    @property
    def header(self) -> int:
        """Length in bytes of the MessagePack array header in front of a row of this table."""
        return 1 if len(self.columns) < 16 else 3


_LABEL = "LowCardinality(String)"

EVENTS = Table(
    "events_store",
    {
        "subject": "String",
        "source": _LABEL,
        "id": "String",
        "type": _LABEL,
        "time": "Int64",
        "recorded": "Int64",
        "appended": "Int64",
        "partition": "UInt16",
        "offset": "UInt64",
        "precedence": "UInt64",
        "testmode": "UInt8",
        "digest": "UInt64",
        "data": "String",
    },
)
PERSONAL = Table(
    "personal_store",
    {
        "subject": "String",
        "source": _LABEL,
        "id": "String",
        "customer_ref": "String",
        "fields": "String",
        "appended": "Int64",
        "precedence": "UInt64",
    },
)
ORDERS = Table(
    "orders_store",
    {
        "order_id": "String",
        "partition": "UInt16",
        "version": "UInt64",
        "state": _LABEL,
        "hub_id": _LABEL,
        "zone_id": _LABEL,
        "service_level": _LABEL,
        "merchant_id": _LABEL,
        "merchant_order_ref": "String",
        "courier_id": _LABEL,
        "placed_at": "Int64",
        "promised_from": "Int64",
        "promised_until": "Int64",
        "deadline_from": "Int64",
        "deadline": "Int64",
        "agreed_until": "Int64",
        "carrier_until": "Int64",
        "promise_changes": "UInt16",
        "ready_at": "Int64",
        "assigned_at": "Int64",
        "out_at": "Int64",
        "eta": "Int64",
        "first_arrived_at": "Int64",
        "last_arrived_at": "Int64",
        "first_attempt_at": "Int64",
        "failed_attempts": "UInt16",
        "delivered_at": "Int64",
        "cancelled_at": "Int64",
        "cancelled_by": _LABEL,
        "closed_at": "Int64",
        "returned": "UInt8",
        "parcels": "UInt16",
        "due": "UInt8",
        "kept": "UInt8",
        "in_full": "Int8",
        "score": "Int8",
        "nps": "Int8",
        "cost": "Int64",
        "last_event_at": "Int64",
        "events": "UInt32",
        "measures": "Array(Int64)",
        "facts": "String",
    },
)
LEDGER = Table(
    "ledger_store",
    {
        "subject": "String",
        "cost_id": "String",
        "partition": "UInt16",
        "version": "UInt64",
        "hub_id": _LABEL,
        "courier_id": _LABEL,
        "component": _LABEL,
        "activity": _LABEL,
        "time": "Int64",
        "amount": "Int64",
        "counted": "UInt8",
        "facts": "String",
    },
)
KPIS = Table(
    "kpi_store",
    {
        "grain": "Enum8('cut' = 0, 'minute' = 1, 'hour' = 2, 'day' = 3, 'courier_day' = 4)",
        "minute": "DateTime('UTC')",
        "hub_id": _LABEL,
        "zone_id": _LABEL,
        "service_level": _LABEL,
        "merchant_id": _LABEL,
        "courier_id": _LABEL,
        "component": _LABEL,
        "activity": _LABEL,
        "partition": "UInt16",
        "version": "UInt64",
        **dict.fromkeys(MEASURES, "Int64"),
        "hist_bucket": "Array(UInt16)",
        "hist_count": "Array(Int64)",
    },
)
DEAD_LETTERS = Table(
    "dead_letters_store",
    {
        "topic": _LABEL,
        "partition": "UInt16",
        "offset": "UInt64",
        "appended": "Int64",
        "reason": _LABEL,
        "detail": "String",
        "subject": "String",
        "source": "String",
        "id": "String",
        "record_key": "String",
        "record_value": "String",
        "first_seen": "Int64",
        "last_seen": "Int64",
        "attempts": "UInt32",
        "version": "UInt64",
        "state": _LABEL,
        "note": "String",
    },
)
PAUSES = Table(
    "pauses_store",
    {
        "partition": "UInt16",
        "offset": "UInt64",
        "reason": "String",
        "paused_at": "Int64",
        "resumed_at": "Int64",
        "version": "UInt64",
    },
)
REBUILDS = Table(
    "rebuilds_store",
    {
        "partition": "UInt16",
        "requested_at": "Int64",
        "complete_from": "UInt64",
        "finished_at": "Int64",
        "orders": "UInt64",
        "orders_changed": "UInt64",
        "orders_unlogged": "UInt64",
        "minutes_changed": "UInt64",
        "version": "UInt64",
    },
)
SLA_EVENTS = Table(
    "sla_events_store",
    {
        "id": "String",
        "order_id": "String",
        "rule": _LABEL,
        "base": "Int64",
        "due": "Int64",
        "state": _LABEL,
        "rank": "UInt8",
        "cause": _LABEL,
        "at": "Int64",
        "detected": "Int64",
        "chance": "Float64",
        "hub_id": _LABEL,
        "zone_id": _LABEL,
        "service_level": _LABEL,
        "merchant_id": _LABEL,
        "courier_id": _LABEL,
        "policy_version": "UInt32",
        "detail": "String",
        "partition": "UInt16",
        "version": "UInt64",
    },
)
SLA_POLICIES = Table(
    "sla_policies_store",
    {
        "version": "UInt32",
        "applied_at": "Int64",
        "applied_by": "String",
        "digest": "String",
        "comment": "String",
        "document": "String",
    },
)
SLA_ACKS = Table(
    "sla_acks_store",
    {
        "order_id": "String",
        "rule": _LABEL,
        "base": "Int64",
        "state": _LABEL,
        "acknowledged_at": "Int64",
        "acknowledged_by": "String",
        "note": "String",
    },
)
ERASURES = Table("erasures_store", {"subject": "String", "erased_at": "Int64"})
PROGRESS = Table(
    "progress_store",
    {
        "partition": "UInt16",
        "next_offset": "UInt64",
        "end_offset": "UInt64",
        "applied_until": "Int64",
        "event_time": "Int64",
        "checked_at": "Int64",
    },
)

WRITTEN_TABLES: tuple[Table, ...] = (
    EVENTS,
    PERSONAL,
    ORDERS,
    LEDGER,
    KPIS,
    DEAD_LETTERS,
    PROGRESS,
    PAUSES,
    REBUILDS,
    ERASURES,
    SLA_EVENTS,
    SLA_POLICIES,
    SLA_ACKS,
)
