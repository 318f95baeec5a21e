"""Nothing that can be written as bytes makes ``decode`` raise anything but ``InvalidEventError``."""

import random
from datetime import UTC, datetime

import msgspec
import pytest

from milepost.contracts.catalogue import example_events
from milepost.contracts.event import EXT_DEPTH, InvalidEventError, decode, encode

TAKEN = datetime(2026, 3, 3, tzinfo=UTC)
RAWS = [msgspec.json.encode(event) for event in example_events()]
READY = next(raw for raw in RAWS if b"dispatch.ready" in raw)
COST = next(raw for raw in RAWS if b'"12.40"' in raw)


def test_bytes_changed_at_random_are_taken_or_refused() -> None:
    chance = random.Random(7)
    faults = []
    for _ in range(20_000):
        raw = bytearray(chance.choice(RAWS))
        for _ in range(chance.randint(1, 3)):
            place = chance.randrange(len(raw))
            raw[place : place + chance.randint(0, 3)] = chance.choice([b"", b'"', b"\xff", b"9", b"null", b"\\ud800"])
        try:
            encode(decode(bytes(raw), "EUR", TAKEN))
        except InvalidEventError as error:
            faults.append(error.faults)
    assert len(faults) > 10_000
    assert all(faults)


@pytest.mark.parametrize("time", [b"0001-01-01T00:00:00+10:00", b"9999-12-31T23:59:59-10:00"])
def test_a_moment_that_leaves_the_calendar_in_utc_is_refused(time: bytes) -> None:
    with pytest.raises(InvalidEventError):
        decode(READY.replace(b"2026-03-02T09:30:00Z", time), "EUR", TAKEN)


@pytest.mark.parametrize("amount", [b'"NaN"', b'"sNaN"', b'"-Infinity"', b'"1e999999"', b"1e99", b"9" * 5000, b"1e-30"])
def test_an_amount_beyond_reason_is_refused(amount: bytes) -> None:
    with pytest.raises(InvalidEventError) as error:
        decode(COST.replace(b'"12.40"', amount), "EUR", TAKEN)
    assert error.value.faults[0].pointer == "/data/amount"


@pytest.mark.parametrize("depth", [EXT_DEPTH + 1, 900, 100_000])
def test_deep_nesting_is_refused(depth: int) -> None:
    ext = b'"data":{"ext":{"a":' + b"[" * depth + b"]" * depth + b"},"
    with pytest.raises(InvalidEventError):
        decode(READY.replace(b'"data":{', ext), "EUR", TAKEN)


def test_nesting_within_bounds_is_kept() -> None:
    ext = b'"data":{"ext":{"a":' + b"[" * (EXT_DEPTH - 2) + b"]" * (EXT_DEPTH - 2) + b"},"
    event = decode(READY.replace(b'"data":{', ext), "EUR", TAKEN)
    assert b'"ext":{"a":[[' in encode(event)


@pytest.mark.parametrize(
    ("part", "other"),
    [
        (b'"source":"/examples"', b'"source":"my shop"'),
        (b'"source":"/examples"', b'"source":""'),
        (b'"id":"ready-1"', b'"id":""'),
        (b'"id":"ready-1"', b'"id":"a\\u001b[31m"'),
        (b'"specversion":"1.0"', b'"specversion":"0.3"'),
        (b'"datacontenttype":"application/json"', b'"datacontenttype":"text/xml"'),
    ],
)
def test_an_envelope_that_no_event_may_have_is_refused(part: bytes, other: bytes) -> None:
    assert part in READY
    with pytest.raises(InvalidEventError):
        decode(READY.replace(part, other), "EUR", TAKEN)
