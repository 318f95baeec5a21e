"""The life of an order's SLA, put together from the states it reached. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from msgspec import Struct

from milepost.contracts.event import moment_of
from milepost.domain.sla.words import RANKS, State
from milepost.reading.sla import words

OPEN_STATES = (State.AT_RISK, State.BREACHED)
"""States in which somebody may have to act."""

Row = Mapping[str, Any]
"""A row of ``sla_events_store`` by column."""


class Ack(Struct, frozen=True):
    """That somebody took note of an SLA in ``state``."""

    state: str
    at: datetime
    by: str
    note: str


class SlaStep(Struct, frozen=True):
    """A state an SLA reached, ``at`` when, found at ``detected``; ``said`` is the same in words, with times in UTC.

    ``chance`` is how likely the promise was to be kept; None where nothing was predicted. ``detail`` is what it was
    decided from; its moments and durations are microseconds.
    """

    state: str
    cause: str
    at: datetime
    detected: datetime
    chance: float | None
    policy_version: int
    detail: dict[str, Any]
    said: str


class SlaLife(Struct, frozen=True):
    """An SLA of an order: a rule, the moment it counts from (``base``), when it is ``due``, and what became of it."""

    rule: str
    base: datetime
    due: datetime
    state: str
    cause: str
    open: bool
    policy_version: int
    promised: str
    steps: list[SlaStep]
    acknowledgements: list[Ack]

    @property
    def since(self) -> datetime:
        """When it came to stand where it stands."""
        return self.steps[-1].at

    @property
    def acknowledged(self) -> Ack | None:
        """Who has taken note of where it stands; None where nobody has."""
        return next((ack for ack in self.acknowledgements if ack.state == self.state), None)

    @property
    def limit(self) -> int | None:
        """Its limit in microseconds, as its breach says; None where nothing was breached."""
        return next((step.detail["limit_us"] for step in self.steps if "limit_us" in step.detail), None)


def lives(rows: Iterable[Row], acks: Sequence[tuple[str, int, Ack]] = ()) -> list[SlaLife]:
    """The SLAs of one order from its ``rows`` and ``acks`` (rule, base and ack): open ones first, then by due.

    Repetitions of a row, whatever their version, are one.
    """
    found: dict[tuple[str, int], dict[int, Row]] = {}
    for row in sorted(rows, key=lambda row: int(row["version"])):
        found.setdefault((row["rule"], int(row["base"])), {})[int(row["rank"])] = row
    made = [
        _life([states[rank] for rank in sorted(states)], [ack for *whose, ack in acks if tuple(whose) == key])
        for key, states in found.items()
    ]
    return sorted(made, key=lambda life: (not life.open, life.due, life.rule, life.base))


def _life(rows: Sequence[Row], acks: list[Ack]) -> SlaLife:
    steps = [step_of(row) for row in rows]
    last = rows[-1]
    due, base = int(last["due"]), int(last["base"])
    limit = next((step.detail["limit_us"] for step in steps if "limit_us" in step.detail), None)
    return SlaLife(
        rule=last["rule"],
        base=moment_of(base),
        due=moment_of(due),
        state=last["state"],
        cause=last["cause"],
        open=last["state"] in OPEN_STATES,
        policy_version=max(step.policy_version for step in steps),
        promised=words.promised(last["rule"], moment_of(base), moment_of(due), limit, steps[0].policy_version),
        steps=steps,
        acknowledgements=sorted(acks, key=lambda ack: (RANKS.get(State(ack.state), 0), ack.at)),
    )


def step_of(row: Row) -> SlaStep:
    """One state in the life of an SLA."""
    detail = detail_of(row["detail"])
    chance = float(row["chance"]) if row["chance"] >= 0 else detail.get("chance")
    at, detected = moment_of(int(row["at"])), moment_of(int(row["detected"]))
    due = moment_of(int(row["due"]))
    return SlaStep(
        state=row["state"],
        cause=row["cause"],
        at=at,
        detected=detected,
        chance=chance,
        policy_version=int(row["policy_version"]),
        detail=detail,
        said=words.said(row["rule"], row["state"], row["cause"], due, chance, detail, words.beside(due)),
    )


def detail_of(text: str) -> dict[str, Any]:
    """What a row was decided from, without what is not known; empty where it is no JSON object."""
    try:
        found = msgspec.json.decode(text or "{}", type=dict[str, Any])
    except msgspec.DecodeError:
        return {}
    return {name: value for name, value in found.items() if value is not None}
