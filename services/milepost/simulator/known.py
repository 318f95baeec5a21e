"""One order's life looked at through the terms the KPIs are defined in."""

from milepost.simulator.life import (
    NEVER_REACHED_CODES,
    Arrived,
    Assigned,
    AttemptFailed,
    Cancelled,
    Delivered,
    Departed,
    Fact,
    Life,
    Lost,
    PickedUp,
    Placed,
    PromiseChanged,
    Ready,
    Returned,
    Unassigned,
)

AGREED = ("customer", "merchant")
"""Whose word moves a promise, and takes an order out of what is due."""


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
