"""What the numbers are, in plain words: from a log, in one pass, as slowly as it likes.

A third reading of the contract, beside the domain and the simulator's truth, which shares no code with either: no
state, no cells, no taking out, no versions. Moments are microseconds since 1970-01-01 UTC, money ten-thousandths; 0 is
unknown.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

AT_THE_DOOR = {
    *("not_home", "refused", "address", "access", "closed", "payment", "id_check", "damaged", "missing_parcel"),
    *("reschedule", "other"),
}
SKEW = 10 * 60 * 1_000_000
MINUTE = 60_000_000
RETRACTED, COST, PLACED = "event.retracted", "cost.recorded", "order.placed"
MOMENTS = ("promised_from", "promised_until", "planned_arrival", "eta", "earliest", "latest")

Minute = tuple[int, str, str, str, str, str, str, str]
"""Minutes since 1970; hub, zone, service level, merchant, courier; a cost's component and activity, or what a reason is
of and the reason."""


@dataclass(frozen=True)
class Said:
    """One event that counts: what it says, and since when it is so."""

    subject: str
    source: str
    id: str
    kind: str
    at: int
    data: dict[str, Any]

    @property
    def place(self) -> tuple[int, str, str]:
        """Where it stands among others: by time, ties by source, then id."""
        return self.at, self.source, self.id

    @property
    def courier(self) -> str:
        """The courier it names."""
        return self.data.get("courier_id") or ""


@dataclass
class Defined:
    """The numbers of a log. ``orders``: by id, the columns the contract defines. ``minutes``: by minute and dimensions,
    the measures that are not 0. ``durations``: beside them, each single one. ``costs``: of no order, what each came to.
    """

    orders: dict[str, dict[str, Any]] = field(default_factory=dict)
    minutes: dict[Minute, dict[str, int]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(int)))
    durations: dict[tuple[Minute, str], list[int]] = field(default_factory=lambda: defaultdict(list))
    costs: dict[tuple[str, str], int] = field(default_factory=dict)
    conflicts: set[tuple[int, int]] = field(default_factory=set)


def micros(text: str) -> int:
    """The moment that RFC 3339 ``text`` names."""
    return (datetime.fromisoformat(text) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def define(events: Iterable[tuple[int, int, int, dict[str, Any]]]) -> Defined:
    """The numbers of a log: ``events`` are partition, offset, append time and CloudEvent, each partition in its order.

    Every event keeps the contract, but for its time, which may lie too far ahead of its append time.
    """
    known: dict[tuple[str, str, str], Said] = {}
    found = Defined()
    for partition, offset, appended, event in events:
        at = micros(event["time"])
        if at > appended + SKEW or event.get("testmode"):
            continue
        kind = event["type"].removeprefix("milepost.").removesuffix(".v1")
        said = Said(event["subject"], event["source"], event["id"], kind, at, _normal(event["data"]))
        first = known.setdefault((said.subject, said.source, said.id), said)
        if first != said:
            found.conflicts.add((partition, offset))
    for subject in {said.subject for said in known.values()}:
        _subject(subject, [said for said in known.values() if said.subject == subject], found)
    found.minutes = {
        key: {name: value for name, value in sums.items() if value}
        for key, sums in found.minutes.items()
        if any(sums.values())
    }
    return found


def _normal(data: dict[str, Any]) -> dict[str, Any]:
    said: dict[str, Any] = {}
    for name, value in data.items():
        if value is None:
            continue
        if name in MOMENTS:
            said[name] = micros(value)
        elif name == "delivery_fee":
            said[name] = int(Decimal(str(value["amount"])) * 10_000)
        elif name == "amount":
            said[name] = int(Decimal(str(value)) * 10_000)
        elif name == "activity" and value == "delivery":
            continue
        else:
            said[name] = value
    return said


def _subject(subject: str, known: list[Said], found: Defined) -> None:
    gone = {(e.data["retracts"]["source"], e.data["retracts"]["id"]) for e in known if e.kind == RETRACTED}
    standing = sorted((e for e in known if e.kind != RETRACTED and (e.source, e.id) not in gone), key=lambda e: e.place)
    ledger = [e for e in standing if e.kind == COST and "order_id" not in e.data]
    for cost in {e.data["cost_id"]: e for e in ledger}.values():
        found.costs[subject, cost.data["cost_id"]] = cost.data["amount"]
        _count_cost(found, cost, ("", "", ""), cost.courier)
    of_the_order = [e for e in known if not (e.kind == COST and "order_id" not in e.data)]
    if of_the_order:
        found.orders[subject] = _order([e for e in standing if e not in ledger], found) | {"events": len(of_the_order)}


def _count_cost(found: Defined, cost: Said, others: tuple[str, str, str], courier: str) -> None:
    data = cost.data
    kind = data["component"], data.get("activity", "delivery")
    found.minutes[cost.at // MINUTE, data["hub_id"], *others, courier, *kind]["cost"] += data["amount"]


def _order(events: list[Said], found: Defined) -> dict[str, Any]:  # noqa: PLR0912 - one page, as the contract
    """Columns of the order with these ``events``, in order of time; what it counts for goes into ``found``."""

    def of(*kinds: str) -> list[Said]:
        return [e for e in events if e.kind in kinds]

    def first(*kinds: str) -> Said | None:
        return next(iter(of(*kinds)), None)

    def at(event: Said | None) -> int:
        return event.at if event else 0

    def holder(moment: int) -> str:
        """The latest to have it: who was assigned, or names himself; nobody once it is taken from him."""
        held = [e for e in events if e.at <= moment and (e.kind == "dispatch.unassigned" or _holds(e))]
        return held[-1].courier if held else ""

    placed, cancellation = first(PLACED), first("order.cancelled")
    ready, assigned = first("dispatch.ready"), first("dispatch.assigned")
    out, arrivals = first("dispatch.departed", "delivery.picked_up"), of("delivery.arrived")
    failures = of("delivery.attempt_failed")
    at_door = [e for e in failures if e.data["reason_code"] in AT_THE_DOOR]
    attempts = [e for e in events if e in at_door or e.kind == "delivery.delivered"]
    tries = [e for e in events if e in failures or e in attempts]
    eta = of("delivery.eta_updated")
    answers = of("feedback.submitted")
    score = next((e for e in reversed(answers) if "score" in e.data), None)
    nps = next((e for e in reversed(answers) if "nps" in e.data), None)
    costs = {e.data["cost_id"]: e for e in of(COST)}.values()
    returned = any(e.data["disposition"] in ("to_sender", "after_delivery") for e in of("delivery.returned"))
    columns: dict[str, Any] = {
        "courier_id": holder(max((e.at for e in events), default=0)),
        "ready_at": at(ready),
        "assigned_at": at(assigned),
        "out_at": at(out),
        "eta": eta[-1].data["eta"] if eta else 0,
        "first_arrived_at": at(arrivals[0]) if arrivals else 0,
        "last_arrived_at": at(arrivals[-1]) if arrivals else 0,
        "first_attempt_at": at(attempts[0]) if attempts else 0,
        "failed_attempts": len(at_door),
        "returned": int(returned),
        "score": score.data["score"] if score else -1,
        "nps": nps.data["nps"] if nps else -1,
        "cost": sum(e.data["amount"] for e in costs),
        "last_event_at": events[-1].at if events else 0,
        "placed_at": at(placed),
    }
    if placed is None:
        for cost in costs:
            _count_cost(found, cost, ("", "", ""), cost.courier)
        return columns | {"measures": {"cost": columns["cost"]} if columns["cost"] else {}}

    # Parcel by parcel: its first delivery, and the first thing that was the end of it.
    parcels = [parcel["parcel_id"] for parcel in placed.data.get("parcels", [])] or [None]
    deliveries = of("delivery.delivered")
    ends = [e for e in events if e.kind in ("delivery.delivered", "delivery.lost") or _to_sender(e)]
    handed = [next((e for e in deliveries if _speaks_of(e, parcel)), None) for parcel in parcels]
    ended = [next((e for e in ends if _speaks_of(e, parcel)), None) for parcel in parcels]
    last = max((e for e in handed if e), key=lambda e: e.place) if all(handed) else None
    if last and cancellation and cancellation.at < last.at:
        last = None
    delivered = at(last)
    cancelled = cancellation if cancellation and not last else None
    closings = [max((e for e in ended if e), key=lambda e: e.place)] if all(ended) else []
    closings += [cancelled] if cancelled else []
    closing = min(closings, key=lambda e: e.place) if closings else None

    # The promise in force.
    original = placed.data["promised_until"]
    opens, deadline, moves, agreed, carrier = placed.data.get("promised_from", 0), original, 0, original, 0
    for change in of("order.promise_changed"):
        until = change.data["promised_until"]
        if change.data["requested_by"] == "carrier":
            carrier = until
            continue
        agreed = until
        if change.at <= deadline and not (last and change.at >= delivered):
            opens, deadline, moves = change.data.get("promised_from", 0), until, moves + 1

    def due_at(moment: int) -> bool:
        return not (cancelled and cancelled.data["requested_by"] != "carrier" and cancelled.at <= moment)

    in_full = _in_full(placed, [e for e in handed if e]) if last else None
    kept = bool(last) and delivered <= deadline

    own: dict[str, int] = defaultdict(int)
    place = tuple(placed.data.get(name) or "" for name in ("zone_id", "service_level", "merchant_id"))

    def count(moment: int, event: Said | None, part: tuple[str, str] = ("", ""), **measures: int) -> Minute:
        """Add to the minute of ``moment``; ``event`` may name the courier."""
        courier = (event.courier if event else "") or holder(moment)
        key = (moment // MINUTE, placed.data["hub_id"], *place, courier, *part)
        for name, value in measures.items():
            found.minutes[key][name] += value
            own[name] += value
        return key  # type: ignore[return-value]

    def lasted(name: str, begin: int, end: int, event: Said | None) -> None:
        if end >= begin:
            key = count(end, event, **{f"{name}_timed": 1, f"{name}_us": end - begin})
            found.durations[key, name].append(end - begin)

    if due_at(deadline):
        count(deadline, None, due=1, repromised=int(moves > 0), kept=int(kept))
        count(deadline, None, otif=int(kept and in_full is True), otif_unknown=int(kept and in_full is None))
    if due_at(original):
        count(original, None, due_original=1, kept_original=int(bool(last) and delivered <= original))
    if last:
        count(delivered, last, delivered=1, on_time=int(kept), responded=int(bool(answers)))
        count(delivered, last, windowed=int(opens > 0), early=int(opens > 0 and delivered < opens))
        count(delivered, last, in_full_known=int(in_full is not None), in_full=int(in_full is True))
        fee = placed.data.get("delivery_fee")
        count(delivered, last, priced=int(fee is not None), fee=fee or 0)
        lasted("delivery", placed.at, delivered, last)
    if attempts:
        success = attempts[0].kind == "delivery.delivered"
        count(attempts[0].at, attempts[0], attempted=1, first_success=int(success))
    if tries:
        count(tries[0].at, tries[0], tried=1, not_attempted=int(len(failures) > len(at_door)))
    if score:
        given = score.data["score"]
        count(score.at, score, scored=1, score_sum=given, satisfied=int(given >= 4))
    if nps:
        given = nps.data["nps"]
        count(nps.at, nps, nps_answered=1, promoters=int(given >= 9), detractors=int(given <= 6))
    for failure in failures:
        count(failure.at, failure, ("failed_attempt", failure.data["reason_code"]), reasons=1)
    explained = next((e for e in reversed(answers) if e.data.get("reasons")), None)
    if explained:
        for reason in list(dict.fromkeys(explained.data["reasons"]))[:10]:
            count(explained.at, explained, ("feedback", reason), reasons=1)
    if closing:
        count(closing.at, closing, closed=1, cancelled=int(bool(cancelled)), returned=int(returned))

    # The stages.
    if ready:
        lasted("prepare", placed.at, ready.at, ready)
    if ready and assigned:
        lasted("assign", ready.at, max(ready.at, assigned.at), assigned if assigned.at >= ready.at else ready)
    waiting = [e.at for e in (ready, assigned) if e]
    if out and waiting:
        lasted("collect", max(waiting), out.at, out)
    if out and arrivals:
        lasted("transit", out.at, arrivals[0].at, arrivals[0])
    if at_door and arrivals:
        lasted("reattempt", at_door[0].at, arrivals[-1].at, arrivals[-1])
    before = [e.at for e in arrivals if last and e.at <= delivered]
    if before:
        lasted("door", before[-1], delivered, last)
    for cost in costs:
        _count_cost(found, cost, place, cost.courier or holder(cost.at))  # type: ignore[arg-type]
        own["cost"] += cost.data["amount"]

    return columns | {
        "hub_id": placed.data["hub_id"],
        **{name: placed.data.get(name) or "" for name in ("zone_id", "service_level", "merchant_id")},
        "promised_from": placed.data.get("promised_from", 0),
        "promised_until": original,
        "deadline_from": opens,
        "deadline": deadline,
        "agreed_until": agreed,
        "carrier_until": carrier,
        "promise_changes": moves,
        "delivered_at": delivered,
        "cancelled_at": at(cancelled),
        "cancelled_by": cancelled.data["requested_by"] if cancelled else "",
        "closed_at": at(closing),
        "parcels": len(parcels),
        "due": int(due_at(deadline)),
        "kept": int(kept),
        "in_full": -1 if in_full is None else int(in_full),
        "measures": {name: value for name, value in own.items() if value},
    }


def _holds(event: Said) -> bool:
    return event.kind.startswith(("dispatch.", "delivery.")) and bool(event.courier)


def _to_sender(event: Said) -> bool:
    return event.kind == "delivery.returned" and event.data["disposition"] == "to_sender"


def _speaks_of(event: Said, parcel: str | None) -> bool:
    named = event.data.get("parcel_ids")
    return named is None or parcel is None or parcel in named


def _in_full(placed: Said, handed: list[Said]) -> bool | None:
    came: dict[str, int] = defaultdict(int)
    damaged = False
    for event in {e.place: e for e in handed}.values():
        if "lines" not in event.data:
            return None
        for line in event.data["lines"]:
            came[line["sku"]] += line["quantity"]
            damaged = damaged or bool(line.get("damaged"))
    ordered: dict[str, int] = defaultdict(int)
    for line in placed.data["lines"]:
        ordered[line["sku"]] += line["quantity"]
    return not damaged and all(came[sku] >= quantity for sku, quantity in ordered.items())
