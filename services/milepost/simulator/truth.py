"""What the KPIs truly are, told from the city's own record of each order, not from its events.

Written from the definitions alone and sharing nothing with the code that computes KPIs from events, so that
the two can be held against each other.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from milepost.simulator.known import Known
from milepost.simulator.life import (
    Cost,
    Delivered,
    Life,
    Response,
    Returned,
)
from milepost.simulator.tally import MONEY, Tally

DIMENSIONS = ("hub_id", "zone_id", "service_level", "merchant_id", "courier_id")

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
        self._reasons: dict[str, Counter[str]] = {"failed_attempt": Counter(), "feedback": Counter()}

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

    def add_costs(self, costs: Iterable[Cost], order: Known | None = None) -> None:
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
        """The rows: ``overall``, ``by`` each dimension, ``windows``; what was ``spent`` for what; ``reasons`` given."""
        return {
            "overall": self._overall.rows({}),
            "by": {
                dimension: [row for key in sorted(tallies) for row in tallies[key].rows({dimension: key})]
                for dimension, tallies in self._by.items()
            },
            "windows": [{"from": since, "to": until, "rows": tally.rows({})} for since, until, tally in self._windows],
            "spent": {name: {key: spent[key] / MONEY for key in sorted(spent)} for name, spent in self._spent.items()},
            "reasons": {of: dict(sorted(given.items())) for of, given in self._reasons.items()},
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

    def _of(self, order: Known, moment: int, courier: str | None) -> list[Tally]:
        placed = order.placed
        assert placed is not None  # noqa: S101 - only placed orders are counted
        named = courier if courier is not None else order.holder(moment)
        return self._tallies(moment, (placed.hub_id, placed.zone_id, placed.service_level, placed.merchant_id, named))

    def _promises(self, order: Known) -> None:
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

    def _delivery(self, order: Known) -> None:
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
            tally.add("fee_per_delivery", placed.fee or 0, int(placed.fee is not None), 1)

    def _attempts(self, order: Known) -> None:
        attempts, misses = order.attempts, order.never_reached
        self._reasons["failed_attempt"].update(fact.reason_code for fact in (*order.door_failed, *misses))
        if attempts:
            first = attempts[0]
            for tally in self._of(order, first.at, first.courier_id):
                tally.add("first_attempt_success", int(isinstance(first, Delivered)), 1)
        both = sorted([*attempts, *misses], key=lambda fact: fact.at)
        if both:
            for tally in self._of(order, both[0].at, both[0].courier_id):
                tally.add("not_attempted", int(bool(misses)), 1)

    def _feedback(self, order: Known) -> None:
        responses = order.life.of(Response)
        explained = [response.reasons for response in responses if response.reasons]
        if explained:
            self._reasons["feedback"].update(explained[-1])
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

    def _closing(self, order: Known) -> None:
        closed = order.closed
        if closed is None:
            return
        sent_back = any(fact.disposition in ("to_sender", "after_delivery") for fact in order.life.of(Returned))
        for tally in self._of(order, closed.at, closed.courier_id if isinstance(closed, Delivered) else None):
            tally.add("cancellation_rate", int(order.cancelled is not None), 1)
            tally.add("return_rate", int(sent_back), 1)

    def _stages(self, order: Known) -> None:
        for stage, begin, end, courier in order.stages():
            if end >= begin:
                for tally in self._of(order, end, courier):
                    tally.sample(stage, end - begin)
