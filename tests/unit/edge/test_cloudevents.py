"""The modes of the CloudEvents HTTP binding."""

import msgspec
import pytest
from starlette.datastructures import Headers

from milepost.edge.cloudevents import events_in, media_type
from milepost.edge.media_types import BATCH, PLAIN, STRUCTURED
from milepost.edge.problems import ProblemError


def _headers(content_type: str | None, **more: str) -> Headers:
    given = {name.replace("_", "-"): value for name, value in more.items()}
    return Headers({**({} if content_type is None else {"content-type": content_type}), **given})


@pytest.mark.parametrize(
    "value",
    [
        STRUCTURED,
        BATCH,
        PLAIN,
        "Application/JSON; charset=UTF-8",
        'application/cloudevents+json;charset="utf-8"',
    ],
)
def test_what_is_read(value: str) -> None:
    assert media_type(_headers(value)) == value.partition(";")[0].lower()


@pytest.mark.parametrize(
    "value",
    [None, "", "text/plain", "application/xml", "application/json; charset=latin-1", "json", "application/jsonx"],
)
def test_what_is_not_read(value: str | None) -> None:
    with pytest.raises(ProblemError) as error:
        media_type(_headers(value))
    assert error.value.status == 415


def test_a_batch_and_a_single_event_are_told_apart() -> None:
    events, batch = events_in(_headers(BATCH), b' [{"a": 1}, 2]', 10)
    assert [bytes(raw) for raw in map(memoryview, events)] == [b'{"a": 1}', b"2"]
    assert batch
    events, batch = events_in(_headers(STRUCTURED), b'{"a": 1}', 10)
    assert len(events) == 1
    assert not batch
    assert events_in(_headers(BATCH), b"[]", 10) == ([], True)


@pytest.mark.parametrize("body", [b"", b"{", b"[{}", b"{} {}", b"[1,]", b"[" * 100_000, b"nonsense"])
def test_what_is_not_json_is_a_bad_request(body: bytes) -> None:
    with pytest.raises(ProblemError) as error:
        events_in(_headers(STRUCTURED), body, 10)
    assert error.value.status == 400
    assert error.value.faults


def test_too_many_events_are_too_large() -> None:
    assert len(events_in(_headers(BATCH), b"[1,2,3]", 3)[0]) == 3
    with pytest.raises(ProblemError) as error:
        events_in(_headers(BATCH), b"[1,2,3,4]", 3)
    assert error.value.status == 413


def _binary(body: bytes = b'{"order_id":"o"}', **headers: str) -> dict[str, object]:
    (raw,), batch = events_in(_headers(PLAIN, ce_specversion="1.0", **headers), body, 10)
    assert not batch
    document: dict[str, object] = msgspec.json.decode(raw)
    return document


def test_binary_mode_takes_the_attributes_from_the_headers() -> None:
    assert _binary(ce_id="7", ce_source="/shop", ce_testmode="true") == {
        "specversion": "1.0",
        "id": "7",
        "source": "/shop",
        "testmode": True,
        "datacontenttype": PLAIN,
        "data": {"order_id": "o"},
    }


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("plain", "plain"),
        ("Euro%20%E2%82%AC%20%F0%9F%98%80", "Euro € 😀"),
        ('"quoted \\"id\\""', 'quoted "id"'),
        ("100%", "100%"),
    ],
)
def test_header_values_are_percent_decoded(value: str, expected: str) -> None:
    assert _binary(ce_id=value)["id"] == expected


@pytest.mark.parametrize("body", [b'{"a":1},"subject":"x"', b"", b"{", b"{}}"])
def test_a_binary_body_cannot_break_out_of_data(body: bytes) -> None:
    with pytest.raises(ProblemError) as error:
        _binary(body, ce_id="7")
    assert error.value.status == 400


def test_testmode_that_is_neither_is_left_for_the_check_to_refuse() -> None:
    assert _binary(ce_testmode="perhaps")["testmode"] == "perhaps"
