"""Records as the Kafka client gives them."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from milepost.contracts import topics

APPENDED_MS = 1_793_000_000_000
"""2026-10-26: when the records were appended, after every time in them."""


@dataclass
class Copy:
    """A record of the lifecycle topic."""

    value: bytes | None
    offset: int = 0
    partition: int = 0
    topic: str = topics.LIFECYCLE.name
    timestamp: int = APPENDED_MS
    key: bytes | None = b"k"


MakeRecord = Callable[..., Copy]


@pytest.fixture
def record() -> MakeRecord:
    """A record of these bytes, or of an event made of a type, its data and changes to the envelope."""

    def make(value: bytes | str | None, data: Any = None, offset: int = 0, **envelope: Any) -> Copy:
        if not isinstance(value, str):
            return Copy(value, offset)
        event = {
            "specversion": "1.0",
            "id": "e1",
            "source": "/s",
            "type": value,
            "time": "2026-03-02T10:00:00Z",
            "subject": data.get("order_id", "o1") if isinstance(data, dict) else "o1",
            "data": data,
            **envelope,
        }
        return Copy(json.dumps(event).encode(), offset)

    return make
