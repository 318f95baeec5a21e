"""What an order, or a cost, puts into the KPI minutes: the one place where a KPI's population and moment are decided.

A contribution is a list of ``(slot, value)`` for a cell. Slots below ``len(MEASURES)`` are measures, those from there
on are histogram buckets (``HISTOGRAM_SLOT + bucket key``).
"""

from collections.abc import Callable

from milepost.domain.facts import CostRecorded, Placed
from milepost.domain.kpis import FAILED_ATTEMPT, FEEDBACK, MINUTE_US
from milepost.domain.measures import HISTOGRAMS, INDEX, MEASURES, STAGES, bucket_key
from milepost.domain.order import Order
from milepost.domain.promise import Promise, Promises

COUNTING = 3
"""The version of what is decided here: what orders count for under one version may stand elsewhere under another. Where
the stored KPI rows were counted by another version, the processor rebuilds them."""

HISTOGRAM_SLOT = len(MEASURES)

Slots = list[tuple[int, int]]


CellKey = tuple[int, str, str, str, str, str, str, str]
"""A KPI minute (minutes since 1970-01-01 UTC) and its dimensions: hub, zone, service level, merchant, courier; for a
cost its component and activity; for a reason what it is the reason of (one of ``REASONS_OF``) and the reason; else ""
and "". A bare tuple, for there are many."""

Contributions = dict[CellKey, Slots]

_DELIVERED = INDEX["delivered"]
_DELIVERY_TIMED = INDEX["delivery_timed"]
_DELIVERY_US = INDEX["delivery_us"]
_ON_TIME = INDEX["on_time"]
_WINDOWED = INDEX["windowed"]
_EARLY = INDEX["early"]
_IN_FULL_KNOWN = INDEX["in_full_known"]
_IN_FULL = INDEX["in_full"]
_RESPONDED = INDEX["responded"]
_DUE = INDEX["due"]
_KEPT = INDEX["kept"]
_REPROMISED = INDEX["repromised"]
_OTIF = INDEX["otif"]
_OTIF_UNKNOWN = INDEX["otif_unknown"]
_DUE_ORIGINAL = INDEX["due_original"]
_KEPT_ORIGINAL = INDEX["kept_original"]
_ATTEMPTED = INDEX["attempted"]
_FIRST_SUCCESS = INDEX["first_success"]
_TRIED = INDEX["tried"]
_NOT_ATTEMPTED = INDEX["not_attempted"]
_SCORED = INDEX["scored"]
_SATISFIED = INDEX["satisfied"]
_SCORE_SUM = INDEX["score_sum"]
_NPS_ANSWERED = INDEX["nps_answered"]
_PROMOTERS = INDEX["promoters"]
_DETRACTORS = INDEX["detractors"]
_CLOSED = INDEX["closed"]
_CANCELLED = INDEX["cancelled"]
_RETURNED = INDEX["returned"]
_COST = INDEX["cost"]
_PRICED = INDEX["priced"]
_FEE = INDEX["fee"]
_REASONS = INDEX["reasons"]
_DELIVERY_HISTOGRAM = HISTOGRAMS.index("delivery")
_STAGE_SLOTS = {stage: (INDEX[f"{stage}_timed"], INDEX[f"{stage}_us"], HISTOGRAMS.index(stage)) for stage in STAGES}

_NOWHERE = ("", "", "")

SATISFIED_FROM = 4
"""Scores from here up count as satisfied (csat)."""
PROMOTER_FROM = 9
DETRACTOR_UP_TO = 6
"""Net promoter score: 9 and 10 promote, 0 to 6 detract."""


def contributions(order: Order) -> Contributions:
    """Everything ``order`` counts for, by cell. Costs count at once; all else once the order is placed."""
    cells: Contributions = {}
    placed, promises = order.placed, order.promises
    if placed is None or promises is None:
        for cost in order.costs.values():
            _cost(cells, cost, _NOWHERE, cost.courier_id)
        return cells
    place = (placed.zone_id, placed.service_level, placed.merchant_id)
    dimensions = (placed.hub_id, *place)
    whole = ("", "")
    holder_at = order.holder_at

    def at(moment: int, courier: str = "", part: tuple[str, str] = whole) -> Slots:
        key = (moment // MINUTE_US, *dimensions, courier or holder_at(moment), *part)
        slots = cells.get(key)
        if slots is None:
            slots = cells[key] = []
        return slots

    _due(order, promises, at)
    delivered_at = order.delivered_at
    if delivered_at:
        _delivered(order, at(delivered_at, order.delivered_courier), placed, promises.in_force)
    _attempts(order, at)
    if order.closed_at:
        slots = at(order.closed_at, order.closed_courier)
        slots.append((_CLOSED, 1))
        if order.cancelled:
            slots.append((_CANCELLED, 1))
        if order.returned:
            slots.append((_RETURNED, 1))
    if order.responded:
        _answers(order, at)
    for stage, start, end, courier in stages(order, placed.time):
        timed, total, histogram = _STAGE_SLOTS[stage]
        bucket = HISTOGRAM_SLOT + bucket_key(histogram, end - start)
        at(end, courier).extend(((timed, 1), (total, end - start), (bucket, 1)))
    for failure in order.failures.values():
        at(failure.time, failure.courier_id, (FAILED_ATTEMPT, failure.reason_code)).append((_REASONS, 1))
    for reason in order.reasons:
        at(order.reasons_at, "", (FEEDBACK, reason)).append((_REASONS, 1))
    for cost in order.costs.values():
        _cost(cells, cost, place, cost.courier_id or holder_at(cost.time))
    return cells


def cost_contributions(cost: CostRecorded | None) -> Contributions:
    """What a cost that belongs to no order counts for; nothing for None."""
    cells: Contributions = {}
    if cost is not None:
        _cost(cells, cost, _NOWHERE, cost.courier_id)
    return cells


def totals(cells: Contributions) -> list[int]:
    """The sum of all measures over the cells, in the order of ``MEASURES``."""
    sums = [0] * HISTOGRAM_SLOT
    for slots in cells.values():
        for slot, value in slots:
            if slot < HISTOGRAM_SLOT:
                sums[slot] += value
    return sums


def _cost(cells: Contributions, cost: CostRecorded, place: tuple[str, str, str], courier: str) -> None:
    key = (cost.time // MINUTE_US, cost.hub_id, *place, courier, cost.component, cost.activity)
    cells.setdefault(key, []).append((_COST, cost.amount))


def _due(order: Order, promises: Promises, at: Callable[[int], Slots]) -> None:
    delivered_at = order.delivered_at
    deadline = promises.in_force.deadline
    if order.due_by(deadline):
        due = at(deadline)
        due.append((_DUE, 1))
        if promises.moves:
            due.append((_REPROMISED, 1))
        if 0 < delivered_at <= deadline:
            due.append((_KEPT, 1))
            if order.in_full is None:
                due.append((_OTIF_UNKNOWN, 1))
            elif order.in_full:
                due.append((_OTIF, 1))
    original = promises.original.deadline
    if order.due_by(original):
        due = at(original)
        due.append((_DUE_ORIGINAL, 1))
        if 0 < delivered_at <= original:
            due.append((_KEPT_ORIGINAL, 1))


def _attempts(order: Order, at: Callable[[int, str], Slots]) -> None:
    if order.first_attempt_at:
        slots = at(order.first_attempt_at, order.first_attempt_courier)
        slots.append((_ATTEMPTED, 1))
        if order.first_attempt_delivered:
            slots.append((_FIRST_SUCCESS, 1))
    if order.first_tried_at:
        slots = at(order.first_tried_at, order.first_tried_courier)
        slots.append((_TRIED, 1))
        if order.never_reached:
            slots.append((_NOT_ATTEMPTED, 1))


def _delivered(order: Order, slots: Slots, placed: Placed, promise: Promise) -> None:
    slots.append((_DELIVERED, 1))
    duration = order.delivered_at - placed.time
    if duration >= 0:
        bucket = HISTOGRAM_SLOT + bucket_key(_DELIVERY_HISTOGRAM, duration)
        slots += ((_DELIVERY_TIMED, 1), (_DELIVERY_US, duration), (bucket, 1))
    if order.delivered_at <= promise.deadline:
        slots.append((_ON_TIME, 1))
    if promise.opens:
        slots.append((_WINDOWED, 1))
        if order.delivered_at < promise.opens:
            slots.append((_EARLY, 1))
    if order.in_full is not None:
        slots.append((_IN_FULL_KNOWN, 1))
        if order.in_full:
            slots.append((_IN_FULL, 1))
    if order.responded:
        slots.append((_RESPONDED, 1))
    if placed.fee is not None:
        slots += ((_PRICED, 1), (_FEE, placed.fee))


def _answers(order: Order, at: Callable[[int], Slots]) -> None:
    if order.score >= 0:
        slots = at(order.scored_at)
        slots += ((_SCORED, 1), (_SCORE_SUM, order.score))
        if order.score >= SATISFIED_FROM:
            slots.append((_SATISFIED, 1))
    if order.nps >= 0:
        slots = at(order.nps_at)
        slots.append((_NPS_ANSWERED, 1))
        if order.nps >= PROMOTER_FROM:
            slots.append((_PROMOTERS, 1))
        elif order.nps <= DETRACTOR_UP_TO:
            slots.append((_DETRACTORS, 1))


def stages(order: Order, placed_at: int) -> list[tuple[str, int, int, str]]:
    """Stages of which both ends are known and not reversed: name, start, end, courier its last event named."""
    ready, assigned, out = order.ready_at, order.assigned_at, order.out_at
    found = []
    if ready:
        found.append(("prepare", placed_at, ready, ""))
    if ready and assigned:
        found.append(("assign", ready, max(ready, assigned), order.assigned_courier if assigned >= ready else ""))
    if out and (ready or assigned):
        found.append(("collect", max(ready, assigned), out, order.out_courier))
    if out and order.first_arrived_at:
        found.append(("transit", out, order.first_arrived_at, order.first_arrived_courier))
    if order.first_failed_at and order.last_arrived_at:
        found.append(("reattempt", order.first_failed_at, order.last_arrived_at, order.last_arrived_courier))
    if order.door_at:
        found.append(("door", order.door_at, order.delivered_at, order.delivered_courier))
    return [stage for stage in found if stage[2] >= stage[1]]
