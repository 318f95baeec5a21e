"""Dead letters as people choose, read and decide about them."""

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from milepost.bus.replays import Place
from milepost.store import tables
from milepost.store.client import Store
from milepost.store.dead_letters import State, Step, version_of

PAGE_LETTERS = 200
"""Letters read and decided about at a time: a letter may be megabytes."""

_COLUMNS = ", ".join(tables.DEAD_LETTERS.columns)
_BINARY = ("record_key", "record_value")


@dataclass(frozen=True)
class Letter:
    """A record that could not be processed. Times in microseconds; the fields are the columns of the table."""

    topic: str
    partition: int
    offset: int
    appended: int
    reason: str
    detail: str
    subject: str
    source: str
    id: str
    record_key: bytes = field(repr=False)
    record_value: bytes = field(repr=False)
    first_seen: int
    last_seen: int
    attempts: int
    version: int
    state: str
    note: str

    @property
    def place(self) -> Place:
        """Where it came from."""
        return Place(self.topic, self.partition, self.offset)


@dataclass(frozen=True)
class Choice:
    """Which letters are meant; None and an empty state say nothing about it."""

    reason: str | None = None
    partition: int | None = None
    state: str | None = None
    subject: str | None = None
    since: datetime | None = None

    def where(self) -> tuple[str, dict[str, Any]]:
        """The condition in SQL, and its parameters."""
        since = None if self.since is None else int(self.since.timestamp() * 1_000_000)
        given = {
            "reason = {reason:String}": ("reason", self.reason),
            "partition = {partition:UInt16}": ("partition", self.partition),
            "state = {state:String}": ("state", self.state),
            "subject = {subject:String}": ("subject", self.subject),
            "last_seen >= {since:Int64}": ("since", since),
        }
        chosen = {sql: pair for sql, pair in given.items() if pair[1] is not None}
        return " AND ".join(chosen) or "1", dict(chosen.values())


@dataclass(frozen=True)
class Count:
    """How many letters have a reason and a state."""

    reason: str
    state: str
    letters: int
    last_seen: int


def counts(store: Store, choice: Choice) -> list[Count]:
    """The chosen letters by reason and state, most first. Raises ``StoreError``."""
    where, parameters = choice.where()
    sql = f"""
    SELECT reason, state, count() AS letters, max(last_seen) FROM dead_letters_store FINAL WHERE {where}
    GROUP BY reason, state ORDER BY letters DESC, reason, state
    """
    return [Count(*row) for row in store.query(sql, parameters)]


def latest(store: Store, choice: Choice, most: int) -> list[dict[str, Any]]:
    """The ``most`` letters seen last among the chosen, without their bytes. Raises ``StoreError``."""
    where, parameters = choice.where()
    sql = f"""
    SELECT topic, partition, offset, reason, detail, subject, source, id, first_seen, last_seen, attempts, state, note,
        length(record_value) AS bytes
    FROM dead_letters_store FINAL WHERE {where}
    ORDER BY last_seen DESC, topic, partition, offset DESC LIMIT {{most:UInt32}}
    """
    return store.named(sql, {**parameters, "most": most})


def letters_at(store: Store, places: Iterable[Place]) -> list[Letter]:
    """The letters that came from ``places``, those that there are. Raises ``StoreError``."""
    by_partition: dict[tuple[str, int], list[int]] = {}
    for topic, partition, offset in places:
        by_partition.setdefault((topic, partition), []).append(offset)
    sql = f"""
    SELECT {_COLUMNS} FROM dead_letters_store FINAL
    WHERE topic = {{topic:String}} AND partition = {{partition:UInt16}} AND offset IN {{offsets:Array(UInt64)}}
    """
    found = []
    for (topic, partition), offsets in by_partition.items():
        for start in range(0, len(offsets), PAGE_LETTERS):
            parameters = {"topic": topic, "partition": partition, "offsets": offsets[start : start + PAGE_LETTERS]}
            found += [Letter(*row) for row in store.query(sql, parameters, binary=_BINARY)]
    return found


def pages(store: Store, choice: Choice) -> Iterator[list[Letter]]:
    """All chosen letters, bytes and all, in the order of their places, page by page. Raises ``StoreError``."""
    where, parameters = choice.where()
    sql = f"""
    SELECT {_COLUMNS} FROM dead_letters_store FINAL
    WHERE {where} AND (topic, partition, offset) > ({{t:String}}, {{p:UInt16}}, {{o:Int64}})
    ORDER BY topic, partition, offset LIMIT {PAGE_LETTERS}
    """
    last = Place("", 0, -1)
    while True:
        after = {"t": last.topic, "p": last.partition, "o": last.offset}
        rows = store.query(sql, {**parameters, **after}, binary=_BINARY)
        if not rows:
            return
        page = [Letter(*row) for row in rows]
        yield page
        last = page[-1].place


def mark_replayed(store: Store, letters: Sequence[Letter]) -> None:
    """Say that each letter's next attempt is on its way; if that has failed meanwhile, it stays open."""
    _write(store, letters, State.REPLAYED, lambda one: (one.attempts + 1, one.note), Step.REPLAYED)


def mark_dropped(store: Store, letters: Sequence[Letter], note: str) -> None:
    """Say that nothing more is to be done about the letters, and why."""
    _write(store, letters, State.DROPPED, lambda one: (one.attempts, note), Step.DROPPED)


def _write(store: Store, letters: Sequence[Letter], state: str, told: Any, step: Step) -> None:
    rows = []
    for letter in letters:
        attempts, note = told(letter)
        changed = {"attempts": attempts, "note": note, "state": state, "version": version_of(attempts, step)}
        values = vars(letter) | changed
        rows.append(tuple(values[name] for name in tables.DEAD_LETTERS.columns))
    store.insert(tables.DEAD_LETTERS, rows)


def failed_again(letter: Letter, attempt: int, reason: str, detail: str) -> tuple[Any, ...]:
    """The row of a letter whose copy has failed in ``attempt``: open again, whatever was written meanwhile."""
    changed = {
        "reason": reason,
        "detail": detail,
        "last_seen": time.time_ns() // 1000,
        "attempts": attempt,
        "version": version_of(attempt, Step.FAILED_AGAIN),
        "state": State.OPEN,
    }
    values = vars(letter) | changed
    return tuple(values[name] for name in tables.DEAD_LETTERS.columns)
