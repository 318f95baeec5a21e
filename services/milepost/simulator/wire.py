"""Facts as CloudEvents: what the shop, the warehouse, the dispatcher, the couriers' phones and the ledger report."""

from collections.abc import Callable
from typing import Any

from milepost.contracts import catalogue
from milepost.simulator.draws import Draws
from milepost.simulator.life import (
    Arrived,
    Assigned,
    AttemptFailed,
    Cancelled,
    Cost,
    Delivered,
    Departed,
    EtaUpdated,
    Fact,
    FeedbackRequested,
    Lost,
    PickedUp,
    Placed,
    PromiseChanged,
    Ready,
    Response,
    Returned,
    Unassigned,
)
from milepost.simulator.stamps import Stamps

Fields = dict[str, Any]

TYPES: dict[type[Fact], tuple[str, str]] = {
    Placed: (catalogue.PLACED.name, "/shop/orders"),
    PromiseChanged: (catalogue.PROMISE_CHANGED.name, "/shop/orders"),
    Cancelled: (catalogue.CANCELLED.name, "/shop/orders"),
    Ready: (catalogue.READY.name, "/wms"),
    Assigned: (catalogue.ASSIGNED.name, "/dispatch"),
    Unassigned: (catalogue.UNASSIGNED.name, "/dispatch"),
    Departed: (catalogue.DEPARTED.name, "/dispatch"),
    PickedUp: (catalogue.PICKED_UP.name, "/courier-app"),
    EtaUpdated: (catalogue.ETA_UPDATED.name, "/dispatch/eta"),
    Arrived: (catalogue.ARRIVED.name, "/courier-app"),
    AttemptFailed: (catalogue.ATTEMPT_FAILED.name, "/courier-app"),
    Delivered: (catalogue.DELIVERED.name, "/courier-app"),
    Returned: (catalogue.RETURNED.name, "/wms"),
    Lost: (catalogue.LOST.name, "/wms"),
    FeedbackRequested: (catalogue.FEEDBACK_REQUESTED.name, "/survey"),
    Response: (catalogue.FEEDBACK_SUBMITTED.name, "/survey"),
    Cost: (catalogue.COST_RECORDED.name, "/ledger"),
}
"""The event type of each kind of fact, and the system that reports it."""

RETRACTED = catalogue.EVENT_RETRACTED.name
ON_LOCAL_CLOCKS = frozenset({"/dispatch", "/dispatch/eta", "/courier-app"})

PROOFS = ("photo", "signature", "code", "scan")


class Wire:
    """Writes facts as events, with what else such systems say (fees, positions, notes, proofs)."""

    def __init__(self, draws: Draws, stamps: Stamps, currency: str) -> None:
        """Report amounts in ``currency`` and moments as ``stamps`` shows them."""
        self._draws = draws
        self._stamps = stamps
        self._currency = currency
        self._render: dict[type[Fact], Callable[[Any, Fields], None]] = {
            Placed: self._placed,
            PromiseChanged: self._promise_changed,
            Cancelled: self._cancelled,
            Ready: self._parcels,
            Assigned: self._assigned,
            Unassigned: self._unassigned,
            Departed: self._departed,
            PickedUp: self._by_courier,
            EtaUpdated: self._eta,
            Arrived: self._arrived,
            AttemptFailed: self._attempt_failed,
            Delivered: self._delivered,
            Returned: self._returned,
            Lost: self._lost,
            FeedbackRequested: self._requested,
            Response: self._response,
            Cost: self._cost,
        }

    def event(self, fact: Fact, subject: str, *, test: bool = False) -> Fields:
        """The event that reports ``fact`` about ``subject``."""
        type_, source = TYPES[type(fact)]
        body: Fields = {} if type(fact) is Cost else {"order_id": subject}
        self._render[type(fact)](fact, body)
        event = self._envelope(type_, source, fact.at, subject, body, test=test)
        if isinstance(fact, Ready) and fact.numbered:
            # An identity need only be unique within its subject.
            event["source"], event["id"] = "/wms/old", "ready-1"
        return event

    def retraction(self, event: Fields, at: int, *, occurred: bool) -> Fields:
        """The event that takes ``event`` back."""
        body: Fields = {
            "retracts": {"source": event["source"], "id": event["id"]},
            "reason": "incorrect_data" if occurred else "did_not_occur",
        }
        return self._envelope(RETRACTED, "/backoffice", at, event["subject"], body, test="testmode" in event)

    def stamp(self, moment: int) -> str:
        """``moment`` as the shop writes it."""
        return self._stamps.utc(moment)

    def _envelope(self, type_: str, source: str, at: int, subject: str, body: Fields, *, test: bool) -> Fields:
        event: Fields = {
            "specversion": "1.0",
            "id": self._draws.token(),
            "source": source,
            "type": type_,
            "time": self._stamps.local(at) if source in ON_LOCAL_CLOCKS else self._stamps.utc(at),
            "subject": subject,
            "datacontenttype": "application/json",
        }
        if test:
            event["testmode"] = True
        event["data"] = body
        return event

    def _money(self, amount: int) -> Fields:
        """Text or number, with as many decimals as the sender likes."""
        whole, rest = divmod(abs(amount), 10_000)
        value: str | float
        if self._draws.chance(0.2):
            value = amount / 10_000
        else:
            sign = "-" if amount < 0 else ""
            value = f"{sign}{whole}.{rest // 100:02d}" if rest % 100 == 0 else f"{sign}{whole}.{rest:04d}"
        return {"amount": value, "currency": self._currency}

    def _placed(self, fact: Placed, body: Fields) -> None:
        draws = self._draws
        body["hub_id"] = fact.hub_id
        if fact.promised_from is not None:
            body["promised_from"] = self.stamp(fact.promised_from)
        body["promised_until"] = self.stamp(fact.promised_until)
        body["lines"] = [{"sku": sku, "quantity": quantity} for sku, quantity in fact.lines]
        for name, value in (
            ("zone_id", fact.zone_id),
            ("merchant_id", fact.merchant_id),
            ("service_level", fact.service_level),
        ):
            if value is not None:
                body[name] = value
        if fact.parcels:
            body["parcels"] = [{"parcel_id": parcel} for parcel in fact.parcels]
        if fact.fee is not None:
            body["delivery_fee"] = self._money(fact.fee)
        extra = draws.random()
        if extra < 0.5:
            body["merchant_order_ref"] = f"M{draws.below(10_000_000):07d}"
        if extra < 0.3:
            body["goods_value"] = self._money(draws.below(20_000) * 100)
            body["customer_ref"] = f"customer-{draws.below(200_000):06d}"
            body["dropoff"] = self._position()
        if extra < 0.01:
            body["ext"] = {"campaign": "spring", "basket": {"items": len(fact.lines)}}

    def _position(self) -> Fields:
        return {"lat": 52.4 + self._draws.below(2_000) / 10_000, "lon": 13.2 + self._draws.below(4_000) / 10_000}

    def _promise_changed(self, fact: PromiseChanged, body: Fields) -> None:
        body["promised_until"] = self.stamp(fact.promised_until)
        if fact.promised_from is not None:
            body["promised_from"] = self.stamp(fact.promised_from)
        body["requested_by"] = fact.requested_by
        if fact.reason is not None:
            body["reason"] = fact.reason

    def _cancelled(self, fact: Cancelled, body: Fields) -> None:
        body["requested_by"] = fact.requested_by
        if fact.reason is not None:
            body["reason"] = fact.reason

    def _parcels(
        self, fact: Ready | Departed | PickedUp | Arrived | AttemptFailed | Delivered | Returned | Lost, body: Fields
    ) -> None:
        if fact.parcels:
            body["parcel_ids"] = list(fact.parcels)

    def _by_courier(self, fact: PickedUp | Arrived | AttemptFailed | Delivered, body: Fields) -> None:
        if fact.courier_id is not None:
            body["courier_id"] = fact.courier_id
        self._parcels(fact, body)

    def _assigned(self, fact: Assigned, body: Fields) -> None:
        body["courier_id"] = fact.courier_id
        if fact.vehicle_id is not None:
            body["vehicle_id"] = fact.vehicle_id
        if fact.route_id is not None:
            body["route_id"] = fact.route_id
        if fact.stop is not None:
            body["stop_sequence"] = fact.stop
        if fact.planned is not None:
            body["planned_arrival"] = self._stamps.local(fact.planned)

    def _unassigned(self, fact: Unassigned, body: Fields) -> None:
        if fact.reason is not None:
            body["reason"] = fact.reason

    def _departed(self, fact: Departed, body: Fields) -> None:
        body["route_id"] = fact.route_id
        self._parcels(fact, body)

    def _eta(self, fact: EtaUpdated, body: Fields) -> None:
        body["eta"] = self._stamps.local(fact.eta)
        if fact.earliest is not None:
            body["earliest"] = self._stamps.local(fact.earliest)
        if fact.latest is not None:
            body["latest"] = self._stamps.local(fact.latest)

    def _arrived(self, fact: Arrived, body: Fields) -> None:
        self._by_courier(fact, body)
        if self._draws.chance(0.3):
            body["position"] = self._position()

    def _attempt_failed(self, fact: AttemptFailed, body: Fields) -> None:
        body["reason_code"] = fact.reason_code
        self._by_courier(fact, body)
        if self._draws.chance(0.2):
            body["note"] = "rang twice"

    def _delivered(self, fact: Delivered, body: Fields) -> None:
        if fact.lines is not None:
            body["lines"] = [
                {"sku": sku, "quantity": quantity, "damaged": True} if damaged else {"sku": sku, "quantity": quantity}
                for sku, quantity, damaged in fact.lines
            ]
        self._by_courier(fact, body)
        if self._draws.chance(0.4):
            body["proof"] = {"kind": self._draws.pick(PROOFS), "ref": self._draws.token(48)}

    def _returned(self, fact: Returned, body: Fields) -> None:
        body["disposition"] = fact.disposition
        if fact.reason_code is not None:
            body["reason_code"] = fact.reason_code
        self._parcels(fact, body)

    def _lost(self, fact: Lost, body: Fields) -> None:
        if fact.reason_code is not None:
            body["reason_code"] = fact.reason_code
        self._parcels(fact, body)

    def _requested(self, fact: FeedbackRequested, body: Fields) -> None:
        if fact.channel is not None:
            body["channel"] = fact.channel

    def _response(self, fact: Response, body: Fields) -> None:
        if fact.score is not None:
            body["score"] = fact.score
        if fact.nps is not None:
            body["nps"] = fact.nps
        if fact.reasons:
            body["reasons"] = list(fact.reasons)
        if self._draws.chance(0.05):
            body["comment"] = "It was all right."

    def _cost(self, fact: Cost, body: Fields) -> None:
        body["cost_id"] = fact.cost_id
        body["hub_id"] = fact.hub_id
        body["component"] = fact.component
        if fact.activity is not None:
            body["activity"] = fact.activity
        body.update(self._money(fact.amount))
        for name, value in (("order_id", fact.order_id), ("route_id", fact.route_id), ("courier_id", fact.courier_id)):
            if value is not None:
                body[name] = value
