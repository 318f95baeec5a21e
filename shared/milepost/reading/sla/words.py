"""What an SLA promised and what became of it, in plain words. Pure.

Every function takes how to write a moment, so that a page can speak in its own time zone.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from milepost.contracts.event import moment_of
from milepost.domain.sla.words import PROMISE, SILENCE, Cause, State

Clock = Callable[[datetime], str]

NAMES = {
    State.PENDING: "pending",
    State.AT_RISK: "at risk",
    State.EASED: "eased",
    State.BREACHED: "breached",
    State.RESOLVED: "resolved",
    State.WITHDRAWN: "withdrawn",
}
"""The states as people say them."""

_ENDS = {
    Cause.MET: "it was met",
    Cause.MET_LATE: "it was met late",
    Cause.CANCELLED: "the order was cancelled",
    Cause.RETURNED: "the order was returned",
    Cause.LOST: "the order was lost",
    Cause.HEARD: "the order was heard of again",
    Cause.MOVED: "the promise was moved",
    Cause.RETRACTED: "what it followed from was retracted",
}
_TAKEN_BACK = {
    Cause.MET: "a late event shows that it was met",
    Cause.HEARD: "a late event shows that the order was heard of in time",
    Cause.MOVED: "the promise had been moved in time",
}
_SLOW_SECONDS = 1.0


def name(state: str) -> str:
    """A state as people say it."""
    return NAMES.get(State(state), state)


def utc(moment: datetime) -> str:
    """A moment to the minute, in UTC."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def beside(day: datetime) -> Clock:
    """Writes moments in UTC with their date only where that is not the one of ``day``."""

    def written(moment: datetime) -> str:
        there = moment.astimezone(UTC)
        return f"{there:%H:%M} UTC" if there.date() == day.astimezone(UTC).date() else utc(moment)

    return written


def span(seconds: float) -> str:
    """How long, as people say it: no more precise than helps."""
    seconds = abs(seconds)
    if seconds < 100:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    minutes = seconds / 60
    if minutes < 100:
        return f"{minutes:.0f} min"
    hours, rest = divmod(round(minutes), 60)
    return f"{hours} h {rest} min" if hours < 48 else f"{minutes / 1440:.1f} d"


def share(chance: float) -> str:
    """A chance in per cent; what is not sure must not read as sure."""
    percent = 100 * chance
    return f"{percent:.0f} %" if percent in (0, 100) else f"{min(99.0, max(1.0, percent)):.0f} %"


def promised(
    rule: str, base: datetime, due: datetime, limit: int | None, policy_version: int, clock: Clock | None = None
) -> str:
    """Which rule, with its limit (microseconds, where known), and by which version of the policies."""
    seconds = (due - base).total_seconds() if limit is None else limit / 1e6
    begun, ends = (clock or utc)(base), (clock or beside(base))(due)
    if rule == PROMISE:
        grace = (due - base).total_seconds()
        said = f"delivered by {begun}" + (f", with {span(grace)} of grace" if grace > 0 else "")
    elif rule == SILENCE:
        said = f"heard of every {span(seconds)} while it is out: after {begun}, by {ends}"
    else:
        said = f"the stage “{rule}” done within {span(seconds)}: begun {begun}, due {ends}"
    by = f"policies version {policy_version}" if policy_version else "the built-in policies"
    return f"{said} ({by})"


def said(
    rule: str,
    state: str,
    cause: str,
    due: datetime,
    chance: float | None,
    detail: Mapping[str, Any],
    clock: Clock = utc,
) -> str:
    """What happened when an SLA reached ``state``, and from what that follows; ``detail`` may lack anything."""
    if state == State.AT_RISK:
        return "; ".join(_risk(due, chance, detail, clock))
    if state == State.EASED:
        return "no more at risk" + (f": the chance to keep it is {share(chance)} again" if chance is not None else "")
    if state == State.BREACHED:
        return _breach(rule, cause, due, detail, clock)
    if state in (State.RESOLVED, State.WITHDRAWN):
        return _end(rule, state, cause, due, detail, clock)
    return name(state)


def standing(state: str, due: datetime, now: datetime) -> str:
    """How an open SLA stands at ``now``."""
    seconds = (now - due).total_seconds()
    if state == State.BREACHED:
        return f"still open, {span(seconds)} over"
    return (
        f"still open, due in {span(seconds)}" if seconds < 0 else f"still open, {span(seconds)} past, not decided yet"
    )


def found_later(at: datetime, detected: datetime) -> str:
    """How long after its moment a state was found, where that matters."""
    seconds = (detected - at).total_seconds()
    return f" (found {span(seconds)} later)" if seconds >= _SLOW_SECONDS else ""


def _risk(due: datetime, chance: float | None, detail: Mapping[str, Any], clock: Clock) -> list[str]:
    parts = ["at risk" if chance is None else f"the chance to keep it fell to {share(chance)}"]
    if chance is not None and "threshold" in detail:
        parts[0] += f", under the {share(detail['threshold'])} that warns"
    if detail.get("milestone"):
        since = f" since {clock(moment_of(detail['since']))}" if detail.get("since") else ""
        parts.append(f"it stood at “{detail['milestone']}”{since}")
    if detail.get("expected"):
        parts.append(f"orders like it arrive at {_against(moment_of(detail['expected']), due, clock)}")
    if detail.get("eta"):
        parts.append(f"the courier expects {_against(moment_of(detail['eta']), due, clock)}")
    return parts


def _breach(rule: str, cause: str, due: datetime, detail: Mapping[str, Any], clock: Clock) -> str:
    heard = f" since {clock(moment_of(detail['last_heard']))}" if detail.get("last_heard") else ""
    if rule == SILENCE:
        said = f"nothing was heard of it{heard}"
    elif cause == Cause.SILENT:
        said = f"not met as far as is known: nothing was heard of it{heard}, so it may be late or only silent"
    elif rule == PROMISE:
        said = f"it was not delivered by {clock(due)}"
    else:
        said = f"it was not done by {clock(due)}"
    if detail.get("milestone") and rule != SILENCE:
        said += f"; it stood at “{detail['milestone']}”"
    return said


def _end(rule: str, state: str, cause: str, due: datetime, detail: Mapping[str, Any], clock: Clock) -> str:
    how = cause or detail.get("how", "")
    ends = _TAKEN_BACK | {Cause.RETRACTED: _ENDS[Cause.RETRACTED]} if state == State.WITHDRAWN else _ENDS
    known = next((word for word in Cause if word == how), Cause.NONE)
    said = ends.get(known) or _ENDS.get(known) or name(state)
    if rule == PROMISE and known == Cause.MET_LATE:
        said = "it was delivered late"
    moment = detail.get("moment")
    if not moment:
        return said
    if known in (Cause.MET, Cause.MET_LATE):
        return f"{said}, at {_against(moment_of(moment), due, clock)}"
    return f"{said}, at {clock(moment_of(moment))}"


def _against(moment: datetime, due: datetime, clock: Clock) -> str:
    """A moment, and how far that is from when it is due."""
    seconds = (moment - due).total_seconds()
    if abs(seconds) < _SLOW_SECONDS:
        return f"{clock(moment)}, just then"
    return f"{clock(moment)}, {span(seconds)} {'too late' if seconds > 0 else 'before it is due'}"
