"""What the KPIs truly are, told from the city's own record of each order, not from its events.

Written from the definitions alone and sharing nothing with the code that computes KPIs from events, so that
the two can be held against each other.
"""

from collections.abc import Iterable
from typing import Any

from milepost.simulator.life import (
    NEVER_REACHED_CODES,
    Arrived,
    Assigned,
    AttemptFailed,
    Cancelled,
    Cost,
    Delivered,
    Departed,
    Fact,
    Life,
    Lost,
    PickedUp,
    Placed,
    PromiseChanged,
    Ready,
    Response,
    Returned,
    Unassigned,
)
from milepost.simulator.tally import MONEY, Tally

DIMENSIONS = ("hub_id", "zone_id", "service_level", "merchant_id", "courier_id")
AGREED = ("customer", "merchant")

Window = tuple[int, int]
"""``[from, to)`` in whole minutes, as microseconds since 1970."""


class Truth:
    """Takes whole lives and gives the KPIs of all of them, by dimension and by window."""

    def __init__(self, windows: Iterable[Window] = ()) -> None:
        """Keep sums for all time and for each of ``windows``."""
        self._overall = Tally()
        self._by: dict[str, dict[str, Tally]] = {dimension: {} for dimension in DIMENSIONS}
        self._windows = [(since, until, Tally()) for since, until in windows]
        self._spent: dict[str, dict[str, int]] = {"component": {}, "activity": {}}

    def add(self, life: Life) -> None:
        """Count one order with its costs."""
        known = Known(life)
        if known.placed is not None:
            self._promises(known)
            self._delivery(known)
            self._attempts(known)
            self._feedback(known)
            self._closing(known)
            self._stages(known)
        self.add_costs(life.of(Cost), known)

    def add_costs(self, costs: Iterable[Cost], order: "Known | None" = None) -> None:
        """Count costs, all records of each at once: the latest of a subject's ``cost_id`` is what it cost."""
        latest: dict[tuple[str, str], Cost] = {}
        for cost in sorted(costs, key=lambda cost: cost.at):
            latest[cost.subject, cost.cost_id] = cost
        for cost in latest.values():
            placed = order.placed if order is not None else None
            courier = cost.courier_id
            if courier is None:
                courier = order.holder(cost.at) if order is not None and placed is not None else ""
            others = (placed.zone_id, placed.service_level, placed.merchant_id) if placed is not None else (None,) * 3
            for tally in self._tallies(cost.at, (cost.hub_id, *others, courier)):
                tally.add("cost_per_delivery", cost.amount, 0)
            for name, key in (("component", cost.component), ("activity", cost.activity or "delivery")):
                self._spent[name][key] = self._spent[name].get(key, 0) + cost.amount

    def result(self) -> dict[str, Any]:
        """The rows: ``overall``, ``by`` each dimension, ``windows``, and ``spent`` by component and activity."""
        return {
            "overall": self._overall.rows({}),
            "by": {
                dimension: [row for key in sorted(tallies) for row in tallies[key].rows({dimension: key})]
                for dimension, tallies in self._by.items()
            },
            "windows": [{"from": since, "to": until, "rows": tally.rows({})} for since, until, tally in self._windows],
            "spent": {name: {key: spent[key] / MONEY for key in sorted(spent)} for name, spent in self._spent.items()},
        }

    def _tallies(self, moment: int, keys: tuple[str | None, ...]) -> list[Tally]:
        """Every sum that something with these dimensions at ``moment`` belongs to."""
        tallies = [self._overall]
        for dimension, key in zip(DIMENSIONS, keys, strict=True):
            group = self._by[dimension]
            tally = group.get(key or "")
            if tally is None:
                tally = group[key or ""] = Tally()
            tallies.append(tally)
        for since, until, tally in self._windows:
            if since <= moment < until:
                tallies.append(tally)
        return tallies

    def _of(self, order: "Known", moment: int, courier: str | None) -> list[Tally]:
        placed = order.placed
        assert placed is not None  # noqa: S101 - only placed orders are counted
        named = courier if courier is not None else order.holder(moment)
        return self._tallies(moment, (placed.hub_id, placed.zone_id, placed.service_level, placed.merchant_id, named))

    def _promises(self, order: "Known") -> None:
        """Everything that stands in the minute of a deadline."""
        for kpi, deadline in (("promise_kept", order.deadline), ("promise_kept_original", order.first_deadline)):
            if order.called_off_by(deadline):
                continue
            kept = order.delivered is not None and order.delivered <= deadline
            tallies = self._of(order, deadline, None)
            for tally in tallies:
                tally.add(kpi, int(kept), 1)
            if kpi == "promise_kept":
                good, unknown = int(kept and order.in_full is True), int(kept and order.in_full is None)
                for tally in tallies:
                    tally.add("repromised", int(order.moved), 1)
                    tally.add("otif", good, 1, unknown)

    def _delivery(self, order: "Known") -> None:
        last, placed = order.last_handover, order.placed
        if last is None or placed is None:
            return
        taken = last.at - placed.at
        responses = bool(order.life.of(Response))
        for tally in self._of(order, last.at, last.courier_id):
            tally.add("delivery_time", 0, 1)
            if taken >= 0:
                tally.sample("delivery_time", taken)
            tally.add("on_time", int(last.at <= order.deadline), 1)
            if order.promised_from is not None:
                tally.add("early", int(last.at < order.promised_from), 1)
            tally.add("in_full", int(order.in_full is True), 1, int(order.in_full is not None))
            tally.add("response_rate", int(responses), 1)
            tally.add("cost_per_delivery", 0, 1)

    def _attempts(self, order: "Known") -> None:
        attempts, misses = order.attempts, order.never_reached
        if attempts:
            first = attempts[0]
            for tally in self._of(order, first.at, first.courier_id):
                tally.add("first_attempt_success", int(isinstance(first, Delivered)), 1)
        both = sorted([*attempts, *misses], key=lambda fact: fact.at)
        if both:
            for tally in self._of(order, both[0].at, both[0].courier_id):
                tally.add("not_attempted", int(bool(misses)), 1)

    def _feedback(self, order: "Known") -> None:
        responses = order.life.of(Response)
        scored = [response for response in responses if response.score is not None]
        if scored:
            score = scored[-1].score or 0
            for tally in self._of(order, scored[-1].at, None):
                tally.add("csat", int(score >= 4), 1, score)
        rated = [response for response in responses if response.nps is not None]
        if rated:
            nps = rated[-1].nps or 0
            for tally in self._of(order, rated[-1].at, None):
                tally.add("nps", 1 if nps >= 9 else -1 if nps <= 6 else 0, 1)

    def _closing(self, order: "Known") -> None:
        closed = order.closed
        if closed is None:
            return
        sent_back = any(fact.disposition in ("to_sender", "after_delivery") for fact in order.life.of(Returned))
        for tally in self._of(order, closed.at, closed.courier_id if isinstance(closed, Delivered) else None):
            tally.add("cancellation_rate", int(order.cancelled is not None), 1)
            tally.add("return_rate", int(sent_back), 1)

    def _stages(self, order: "Known") -> None:
        for stage, begin, end, courier in order.stages():
            if end >= begin:
                for tally in self._of(order, end, courier):
                    tally.sample(stage, end - begin)


class Known:
    """One life looked at through the terms of the KPIs."""

    def __init__(self, life: Life) -> None:
        """Work out delivery, cancellation, promise, fullness and closing of ``life``."""
        self.life = life
        self.placed = next(iter(life.of(Placed)), None)
        self._holders = sorted(
            (
                fact
                for kind in (Assigned, Unassigned, PickedUp, Arrived, AttemptFailed, Delivered)
                for fact in life.of(kind)
                if kind is Unassigned or fact.courier_id is not None  # type: ignore[attr-defined]
            ),
            key=lambda fact: fact.at,
        )
        if self.placed is None:
            return
        self._parcels = self.placed.parcels or ("",)
        self._hand_over()
        self._promise()
        self.in_full = self._fullness()
        self.closed = self._close()
        failed = life.of(AttemptFailed)
        self.never_reached = [fact for fact in failed if fact.reason_code in NEVER_REACHED_CODES]
        self.door_failed = [fact for fact in failed if fact.reason_code not in NEVER_REACHED_CODES]
        self.attempts: list[AttemptFailed | Delivered] = sorted(
            [*self.door_failed, *life.of(Delivered)], key=lambda fact: fact.at
        )

    def holder(self, moment: int) -> str:
        """The courier who had the order at ``moment``; empty where nobody had."""
        holder = ""
        for fact in self._holders:
            if fact.at > moment:
                break
            holder = getattr(fact, "courier_id", None) or ""
        return holder

    def called_off_by(self, deadline: int) -> bool:
        """Whether customer or merchant cancelled the order at or before ``deadline``."""
        cancelled = self.cancelled
        return cancelled is not None and cancelled.requested_by in AGREED and cancelled.at <= deadline

    def _hand_over(self) -> None:
        handed: dict[str, Delivered] = {}
        for fact in self.life.of(Delivered):
            for parcel in fact.parcels or self._parcels:
                handed.setdefault(parcel, fact)
        complete = all(parcel in handed for parcel in self._parcels)
        last = max((handed[parcel] for parcel in self._parcels), key=lambda fact: fact.at) if complete else None
        cancelled = next(iter(self.life.of(Cancelled)), None)
        if last is not None and cancelled is not None and cancelled.at < last.at:
            last = None
        self.last_handover = last
        self.delivered = last.at if last is not None else None
        self.cancelled = cancelled if last is None else None
        self._handed = handed

    def _promise(self) -> None:
        assert self.placed is not None  # noqa: S101
        self.first_deadline = self.deadline = self.placed.promised_until
        self.promised_from = self.placed.promised_from
        self.moved = False
        for change in self.life.of(PromiseChanged):
            before_delivery = self.delivered is None or change.at < self.delivered
            if change.requested_by in AGREED and change.at <= self.deadline and before_delivery:
                self.deadline, self.promised_from, self.moved = change.promised_until, change.promised_from, True

    def _fullness(self) -> bool | None:
        """Whether everything ordered came whole; None where nobody wrote down what came."""
        if self.delivered is None or self.placed is None:
            return None
        handovers = {id(self._handed[parcel]): self._handed[parcel] for parcel in self._parcels}.values()
        came: dict[str, int] = {}
        whole = True
        for fact in handovers:
            if fact.lines is None:
                return None
            for sku, quantity, damaged in fact.lines:
                came[sku] = came.get(sku, 0) + quantity
                whole = whole and not damaged
        ordered: dict[str, int] = {}
        for sku, quantity in self.placed.lines:
            ordered[sku] = ordered.get(sku, 0) + quantity
        return whole and all(came.get(sku, 0) >= quantity for sku, quantity in ordered.items())

    def _close(self) -> Fact | None:
        """The fact that closed the order: its cancellation, or what ended its last parcel, whichever came first."""
        ends: dict[str, Fact] = {}
        final: list[Delivered | Returned | Lost] = [*self.life.of(Delivered), *self.life.of(Lost)]
        final += [fact for fact in self.life.of(Returned) if fact.disposition == "to_sender"]
        for fact in sorted(final, key=lambda fact: fact.at):
            for parcel in fact.parcels or self._parcels:
                ends.setdefault(parcel, fact)
        candidates: list[Fact] = []
        if all(parcel in ends for parcel in self._parcels):
            candidates.append(max((ends[parcel] for parcel in self._parcels), key=lambda fact: fact.at))
        if self.cancelled is not None:
            candidates.append(self.cancelled)
        return min(candidates, key=lambda fact: fact.at) if candidates else None

    def stages(self) -> list[tuple[str, int, int, str | None]]:
        """``(stage, begin, end, courier its end names)`` where both ends are known."""
        assert self.placed is not None  # noqa: S101
        life, found = self.life, list[tuple[str, int, int, str | None]]()
        ready = next(iter(life.of(Ready)), None)
        assigned = next(iter(life.of(Assigned)), None)
        arrivals = life.of(Arrived)
        out = min([*life.of(PickedUp), *life.of(Departed)], key=lambda fact: fact.at, default=None)
        if ready is not None:
            found.append(("prepare", self.placed.at, ready.at, None))
        if ready is not None and assigned is not None:
            end = max(ready.at, assigned.at)
            found.append(("assign", ready.at, end, assigned.courier_id if assigned.at > ready.at else None))
        waiting = [fact.at for fact in (ready, assigned) if fact is not None]
        if out is not None and waiting:
            found.append(("collect", max(waiting), out.at, getattr(out, "courier_id", None)))
        if out is not None and arrivals:
            found.append(("transit", out.at, arrivals[0].at, arrivals[0].courier_id))
        if self.door_failed and arrivals:
            found.append(("reattempt", self.door_failed[0].at, arrivals[-1].at, arrivals[-1].courier_id))
        last = self.last_handover
        if last is not None:
            before = [fact for fact in arrivals if fact.at <= last.at]
            if before:
                found.append(("door", before[-1].at, last.at, last.courier_id))
        return found
