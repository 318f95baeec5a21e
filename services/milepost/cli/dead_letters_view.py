"""Dead letters as `milepost dead-letters` prints them."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from milepost.reading.dead_letters import Count, Letter
from milepost.store.pauses import Pause

PRINTED_CHARACTERS = 4_000
"""Of a letter's bytes, for people; JSON has all of them."""


def listing(counts: Sequence[Count], letters: Sequence[dict[str, Any]], paused: Sequence[Pause]) -> str:
    """Partitions that wait, counts, and letters, as lines."""
    lines = [
        f"partition {pause.partition} waits before offset {pause.offset} since {_time(pause.paused_at)}: {pause.reason}"
        for pause in paused
    ]
    if not counts:
        return "\n".join([*lines, "no dead letters"])
    lines += [
        f"{count.letters:>9}  {count.reason:14} {count.state:9} last seen {_time(count.last_seen)}" for count in counts
    ]
    if letters:
        lines.append("")
    for one in letters:
        detail = plain(one["detail"].splitlines()[0][:100]) if one["detail"] else ""
        lines.append(
            f"{_place(one)}  {one['state']:8} {one['reason']:12} {_time(one['last_seen'])}  "
            f"attempts {one['attempts']}  {plain(one['subject']) or '-'}  {detail}"
        )
    surplus = sum(count.letters for count in counts) - len(letters)
    if surplus > 0:
        lines.append(f"… and {surplus} more (--limit)")
    return "\n".join(lines)


def listing_json(counts: Sequence[Count], letters: Sequence[dict[str, Any]], paused: Sequence[Pause]) -> str:
    """The same as JSON."""
    return json.dumps(
        {
            "counts": [vars(count) | {"last_seen": _time(count.last_seen)} for count in counts],
            "paused": [
                {
                    "partition": pause.partition,
                    "offset": pause.offset,
                    "reason": pause.reason,
                    "paused_at": _time(pause.paused_at),
                }
                for pause in paused
            ],
            "letters": [
                {
                    "place": _place(one),
                    **one,
                    "first_seen": _time(one["first_seen"]),
                    "last_seen": _time(one["last_seen"]),
                }
                for one in letters
            ],
        },
        indent=2,
    )


def letter(one: Letter) -> str:
    """Everything about one letter, as lines."""
    value, encoding = readable(one.record_value)
    if len(value) > PRINTED_CHARACTERS:
        value = f"{value[:PRINTED_CHARACTERS]}\n… {len(value) - PRINTED_CHARACTERS} characters more (--json has all)"
    told = {
        "origin": "/".join(map(str, one.place)),
        "state": one.state,
        "note": one.note or "-",
        "reason": one.reason,
        "detail": one.detail.replace("\n", "\n            "),
        "subject": one.subject or "-",
        "source": one.source or "-",
        "id": one.id or "-",
        "appended": _time(one.appended),
        "first seen": _time(one.first_seen),
        "last seen": _time(one.last_seen),
        "attempts": str(one.attempts),
        "key": readable(one.record_key)[0] or "-",
        "value": f"{len(one.record_value)} bytes, {encoding}",
    }
    return "\n".join([*(f"{name:11} {plain(text)}" for name, text in told.items()), "", value])


def letter_json(one: Letter) -> str:
    """The same as JSON."""
    key, key_encoding = readable(one.record_key)
    value, value_encoding = readable(one.record_value)
    told = vars(one) | {
        "appended": _time(one.appended),
        "first_seen": _time(one.first_seen),
        "last_seen": _time(one.last_seen),
        "record_key": key,
        "record_key_encoding": key_encoding,
        "record_value": value,
        "record_value_encoding": value_encoding,
        "place": "/".join(map(str, one.place)),
    }
    return json.dumps(told, indent=2)


def replayed(count: int, faults: Sequence[tuple[Letter, str]]) -> str:
    """What became of a replay, as lines."""
    lines = [f"replayed {count}; what fails again is open again (`milepost dead-letters ls --state open`)"]
    lines += [f"not taken: {'/'.join(map(str, one.place))}: {fault}" for one, fault in faults]
    return "\n".join(lines)


def replayed_json(count: int, faults: Sequence[tuple[Letter, str]]) -> str:
    """The same as JSON."""
    refused = [{"place": "/".join(map(str, one.place)), "fault": fault} for one, fault in faults]
    return json.dumps({"replayed": count, "refused": refused})


def readable(value: bytes) -> tuple[str, str]:
    """Bytes as text where they are that, else in hexadecimal; with the word for which."""
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return value.hex(), "hex"
    if all(one.isprintable() or one in "\n\r\t" for one in text):
        return text, "text"
    return value.hex(), "hex"


def plain(text: str) -> str:
    """Text without what a terminal would obey: senders may claim anything."""
    return "".join(one if one.isprintable() or one == "\n" else "?" for one in text)


def _place(one: dict[str, Any]) -> str:
    return f"{one['topic']}/{one['partition']}/{one['offset']}"


def _time(micros: int) -> str:
    return datetime.fromtimestamp(micros / 1_000_000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
