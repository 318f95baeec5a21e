"""What could not be processed, as rows of ``dead_letters_store`` and messages of the dead letters topic."""

import time
from collections.abc import Sequence
from typing import Any

from milepost.bus.replays import Place, Replay, replay_of
from milepost.processor.arrival.intake import Rejected
from milepost.processor.patience import patiently
from milepost.reading.dead_letters import failed_again, letters_at
from milepost.store.client import Store
from milepost.store.dead_letters import State, first_version

KEPT_BYTES = 900_000
"""Longest value of a message on the dead letters topic; the table has all of it."""
KEPT_KEY_BYTES = 1_000


async def letter_rows(store: Store, rejected: Sequence[Rejected]) -> list[tuple[Any, ...]]:
    """A row for each rejected record; a replayed letter that fails again is the same letter, open again."""
    copies: dict[Place, tuple[Replay, Rejected]] = {}
    rows = []
    for one in rejected:
        replay = replay_of(getattr(one.record, "headers", None))
        if replay is None:
            rows.append(dead_letter_row(one))
        elif replay.origin not in copies or copies[replay.origin][0].attempt < replay.attempt:
            copies[replay.origin] = replay, one
    if not copies:
        return rows
    known = {letter.place: letter for letter in await patiently(letters_at, store, list(copies))}
    for place, (replay, one) in copies.items():
        letter = known.get(place)
        # Anybody can write headers. What is no copy of a letter of ours is a letter of its own.
        if letter is None or letter.record_value != (one.record.value or b""):
            rows.append(dead_letter_row(one))
        else:
            rows.append(failed_again(letter, replay.attempt, one.reason, one.detail))
    return rows


def dead_letter_row(rejected: Rejected) -> tuple[Any, ...]:
    """A record rejected for the first time as a row of ``dead_letters_store``."""
    record = rejected.record
    now = time.time_ns() // 1000
    return (
        record.topic,
        record.partition,
        record.offset,
        record.timestamp * 1000,
        rejected.reason,
        rejected.detail,
        rejected.subject,
        rejected.source,
        rejected.id,
        record.key or b"",
        record.value or b"",
        now,
        now,
        1,
        first_version(now),
        State.OPEN,
        "",
    )


def dead_letter_message(rejected: Rejected) -> dict[str, Any]:
    """The message of a rejected record: its bytes as they came, reason and origin in the headers.

    A broker counts compressed bytes, so a record may be larger than a message can be: then its beginning, and the
    header ``truncated`` says how many bytes it had.
    """
    record = rejected.record
    value = record.value or b""
    replay = replay_of(getattr(record, "headers", None))
    origin = replay.origin if replay else Place(record.topic, record.partition, record.offset)
    headers = {
        "reason": rejected.reason.encode(),
        "detail": rejected.detail.encode(),
        "topic": origin.topic.encode(),
        "partition": str(origin.partition).encode(),
        "offset": str(origin.offset).encode(),
        "attempt": str(replay.attempt if replay else 1).encode(),
    }
    if len(value) > KEPT_BYTES:
        headers["truncated"] = str(len(value)).encode()
    return {"key": (record.key or b"")[:KEPT_KEY_BYTES], "value": value[:KEPT_BYTES], "headers": headers}
