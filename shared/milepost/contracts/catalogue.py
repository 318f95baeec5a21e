"""The catalogue of event types: the one definition of each, from which schemas and documents are generated."""

from dataclasses import dataclass, field
from typing import Any

from milepost.contracts import costs, deliveries, dispatch, feedback, orders, retractions
from milepost.contracts.fields import EventBody


@dataclass(frozen=True)
class EventType:
    """A type of event: who owns it, what its ``data`` is, and examples that are run through every consumer.

    ``personal`` names the fields of ``data`` that are personal: kept apart and erasable. ``subjects`` names
    the fields of ``data`` whose first present one is the event's ``subject``; empty for a retraction, whose
    subject is that of the event it retracts.
    """

    owner: str
    fact: str
    body: type[EventBody]
    examples: tuple[dict[str, Any], ...]
    personal: tuple[str, ...] = ("ext",)
    subjects: tuple[str, ...] = ("order_id",)
    version: int = 1
    name: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", f"milepost.{self.owner}.{self.fact}.v{self.version}")

    @property
    def description(self) -> str:
        """What the event says, in a line."""
        return (self.body.__doc__ or "").strip()


PLACED = EventType(
    "order",
    "placed",
    orders.Placed,
    personal=("ext", "customer_ref", "dropoff"),
    examples=(
        {
            "order_id": "order-1001",
            "hub_id": "hub-north",
            "promised_until": "2026-03-02T12:00:00Z",
            "lines": [{"sku": "milk-1l", "quantity": 2}],
        },
        {
            "order_id": "order-1002",
            "hub_id": "hub-north",
            "promised_from": "2026-03-02T11:00:00+01:00",
            "promised_until": "2026-03-02T13:00:00+01:00",
            "lines": [{"sku": "milk-1l", "quantity": 2}, {"sku": "bread", "quantity": 1}],
            "zone_id": "zone-7",
            "merchant_id": "merchant-3",
            "merchant_order_ref": "A-55012",
            "service_level": "same_day",
            "parcels": [{"parcel_id": "p1"}, {"parcel_id": "p2"}],
            "delivery_fee": {"amount": "4.90", "currency": "EUR"},
            "goods_value": {"amount": "31.50", "currency": "EUR"},
            "dropoff": {"lat": 52.52, "lon": 13.405},
            "customer_ref": "customer-88",
            "ext": {"channel": "app"},
        },
    ),
)
PROMISE_CHANGED = EventType(
    "order",
    "promise_changed",
    orders.PromiseChanged,
    examples=(
        {
            "order_id": "order-1001",
            "promised_from": "2026-03-02T13:00:00Z",
            "promised_until": "2026-03-02T15:00:00Z",
            "requested_by": "customer",
            "reason": "not at home before one",
        },
    ),
)
CANCELLED = EventType(
    "order",
    "cancelled",
    orders.Cancelled,
    examples=({"order_id": "order-1001", "requested_by": "merchant", "reason": "out of stock"},),
)
READY = EventType("dispatch", "ready", dispatch.Ready, examples=({"order_id": "order-1001"},))
ASSIGNED = EventType(
    "dispatch",
    "assigned",
    dispatch.Assigned,
    examples=(
        {
            "order_id": "order-1001",
            "courier_id": "courier-12",
            "vehicle_id": "van-4",
            "route_id": "route-20260302-7",
            "stop_sequence": 3,
            "planned_arrival": "2026-03-02T11:20:00Z",
        },
    ),
)
UNASSIGNED = EventType(
    "dispatch", "unassigned", dispatch.Unassigned, examples=({"order_id": "order-1001", "reason": "shift ended"},)
)
DEPARTED = EventType(
    "dispatch", "departed", dispatch.Departed, examples=({"order_id": "order-1001", "route_id": "route-20260302-7"},)
)
PICKED_UP = EventType(
    "delivery",
    "picked_up",
    deliveries.PickedUp,
    examples=({"order_id": "order-1001", "courier_id": "courier-12"}, {"order_id": "order-1002", "parcel_ids": ["p1"]}),
)
ETA_UPDATED = EventType(
    "delivery",
    "eta_updated",
    deliveries.EtaUpdated,
    examples=(
        {
            "order_id": "order-1001",
            "eta": "2026-03-02T11:35:00Z",
            "earliest": "2026-03-02T11:25:00Z",
            "latest": "2026-03-02T11:50:00Z",
        },
    ),
)
ARRIVED = EventType(
    "delivery",
    "arrived",
    deliveries.Arrived,
    personal=("ext", "position"),
    examples=({"order_id": "order-1001", "courier_id": "courier-12", "position": {"lat": 52.5201, "lon": 13.4049}},),
)
ATTEMPT_FAILED = EventType(
    "delivery",
    "attempt_failed",
    deliveries.AttemptFailed,
    personal=("ext", "note"),
    examples=(
        {"order_id": "order-1001", "reason_code": "not_home", "courier_id": "courier-12", "note": "no answer"},
        {"order_id": "order-1001", "reason_code": "no_time"},
    ),
)
DELIVERED = EventType(
    "delivery",
    "delivered",
    deliveries.Delivered,
    personal=("ext", "proof"),
    examples=(
        {
            "order_id": "order-1001",
            "lines": [{"sku": "milk-1l", "quantity": 2, "damaged": False}],
            "courier_id": "courier-12",
            "proof": {"kind": "photo", "ref": "proofs/order-1001.jpg"},
        },
        {"order_id": "order-1002", "parcel_ids": ["p1"]},
    ),
)
RETURNED = EventType(
    "delivery",
    "returned",
    deliveries.Returned,
    examples=({"order_id": "order-1001", "disposition": "to_sender", "reason_code": "refused"},),
)
LOST = EventType("delivery", "lost", deliveries.Lost, examples=({"order_id": "order-1001", "reason_code": "other"},))
FEEDBACK_REQUESTED = EventType(
    "feedback", "requested", feedback.FeedbackRequested, examples=({"order_id": "order-1001", "channel": "sms"},)
)
FEEDBACK_SUBMITTED = EventType(
    "feedback",
    "submitted",
    feedback.FeedbackSubmitted,
    personal=("ext", "comment"),
    examples=(
        {"order_id": "order-1001", "score": 5, "nps": 9, "reasons": ["friendly"], "comment": "Very kind."},
        {"order_id": "order-1001", "nps": 3},
    ),
)
COST_RECORDED = EventType(
    "cost",
    "recorded",
    costs.CostRecorded,
    subjects=("order_id", "route_id", "courier_id", "hub_id"),
    examples=(
        {
            "cost_id": "fuel-77",
            "hub_id": "hub-north",
            "component": "fuel",
            "amount": "12.40",
            "currency": "EUR",
            "route_id": "route-20260302-7",
        },
        {
            "cost_id": "redelivery-1001",
            "hub_id": "hub-north",
            "component": "labour",
            "activity": "redelivery",
            "amount": 3.5,
            "currency": "EUR",
            "order_id": "order-1001",
            "courier_id": "courier-12",
        },
    ),
)
EVENT_RETRACTED = EventType(
    "event",
    "retracted",
    retractions.EventRetracted,
    subjects=(),
    examples=({"retracts": {"source": "/courier-app", "id": "delivered-1001"}, "reason": "did_not_occur"},),
)

EVENT_TYPES: dict[str, EventType] = {
    kind.name: kind
    for kind in (
        PLACED,
        PROMISE_CHANGED,
        CANCELLED,
        READY,
        ASSIGNED,
        UNASSIGNED,
        DEPARTED,
        PICKED_UP,
        ETA_UPDATED,
        ARRIVED,
        ATTEMPT_FAILED,
        DELIVERED,
        RETURNED,
        LOST,
        FEEDBACK_REQUESTED,
        FEEDBACK_SUBMITTED,
        COST_RECORDED,
        EVENT_RETRACTED,
    )
}
"""Every event type by its full name, in the order of an order's life."""

RESERVED_OWNERS = frozenset({"fleet", "stock", "parcel", "sla"})


def example_events() -> list[dict[str, Any]]:
    """A complete CloudEvent for each example of each type, in the order of an order's life."""
    events = []
    for kind in EVENT_TYPES.values():
        for number, data in enumerate(kind.examples, start=1):
            subject = next((data[name] for name in kind.subjects if name in data), "order-1001")
            events.append(
                {
                    "specversion": "1.0",
                    "id": f"{kind.fact}-{number}",
                    "source": "/examples",
                    "type": kind.name,
                    "time": "2026-03-02T09:30:00Z",
                    "subject": subject,
                    "datacontenttype": "application/json",
                    "data": data,
                }
            )
    return events
