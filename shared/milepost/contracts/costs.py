"""The event the costs service owns: money spent on an order, a route, a courier or a hub."""

from typing import Literal

from milepost.contracts.fields import Amount, Currency, EventBody, Identifier

Component = Literal["labour", "fuel", "vehicle", "toll", "packaging", "third_party", "other"]
Activity = Literal["delivery", "redelivery", "return", "linehaul"]


class CostRecorded(EventBody, frozen=True, kw_only=True):
    """A cost, or a credit where negative; recorded again under its ``cost_id``, the latest counts."""

    cost_id: Identifier
    hub_id: Identifier
    component: Component
    amount: Amount
    currency: Currency
    activity: Activity = "delivery"
    order_id: Identifier | None = None
    route_id: Identifier | None = None
    courier_id: Identifier | None = None
