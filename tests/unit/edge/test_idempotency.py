"""A retry with the same Idempotency-Key is the same event."""

import pytest

from milepost.edge.idempotency import RecentRequests, checked, event_id
from milepost.edge.problems import ProblemError


def test_the_id_is_a_function_of_credential_method_path_and_key() -> None:
    one = event_id("shop", "POST", "/v1/orders", "k-1")
    assert one == event_id("shop", "POST", "/v1/orders", "k-1")
    others = {
        event_id("shop2", "POST", "/v1/orders", "k-1"),
        event_id("shop", "PUT", "/v1/orders", "k-1"),
        event_id("shop", "POST", "/v1/costs", "k-1"),
        event_id("shop", "POST", "/v1/orders", "k-2"),
    }
    assert one not in others
    assert len(others) == 4


def test_a_retry_gets_the_first_time() -> None:
    recent = RecentRequests()
    first = recent.first("id", b"body", "12:00")
    recent.remember("id", first)
    assert recent.first("id", b"body", "12:05").time == "12:00"


def test_a_request_that_was_refused_is_not_remembered() -> None:
    recent = RecentRequests()
    recent.first("id", b"bad body", "12:00")
    assert recent.first("id", b"mended body", "12:05").time == "12:05"


def test_the_key_of_another_request_is_refused() -> None:
    recent = RecentRequests()
    recent.remember("id", recent.first("id", b"body", "12:00"))
    with pytest.raises(ProblemError) as error:
        recent.first("id", b"other body", "12:05")
    assert error.value.status == 422


def test_the_memory_is_bounded_and_forgets_the_oldest() -> None:
    recent = RecentRequests(limit=2)
    for number in range(3):
        recent.remember(f"id-{number}", recent.first(f"id-{number}", b"body", f"12:0{number}"))
    assert recent.first("id-0", b"body", "13:00").time == "13:00"
    assert recent.first("id-1", b"body", "13:00").time == "12:01"
    assert recent.first("id-2", b"body", "13:00").time == "12:02"


@pytest.mark.parametrize("key", ["", " ", "a b", "x" * 256, "é", "a\n"])
def test_what_is_no_key_is_refused(key: str) -> None:
    with pytest.raises(ProblemError):
        checked(key)


@pytest.mark.parametrize("key", ["a", "x" * 255, "8e03978e-40d5-43e8-bc93-6894a57f9324"])
def test_what_is_a_key_is_taken(key: str) -> None:
    assert checked(key) == key
