"""Who is taken in, and who is told to wait, where more is sent than can be handled."""

import pytest

from milepost.edge.admission import Admission
from milepost.edge.pace import Pace
from milepost.edge.problems import ProblemError


def _admission(requests: int, size: int) -> Admission:
    return Admission(requests, size, Pace(size, 1.0))


def _refusal(admission: Admission, sender: str, size: int | None = 10) -> int:
    with pytest.raises(ProblemError) as error:
        admission.enter(sender, size)
    assert error.value.headers is not None
    assert int(error.value.headers["Retry-After"]) > 0
    return error.value.status


def test_one_sender_gets_half_and_the_others_still_find_room() -> None:
    admission = _admission(12, 1_000_000)
    for _ in range(6):
        admission.enter("flood", 10)
    assert _refusal(admission, "flood") == 429
    for _ in range(4):
        admission.enter("other", 10)
    assert _refusal(admission, "other") == 429
    admission.enter("third", 10)
    assert admission.requests == 11


def test_no_number_of_senders_gets_past_the_whole() -> None:
    admission = _admission(4, 1_000_000)
    tickets = [admission.enter(f"sender-{number}", 10) for number in range(4)]
    assert _refusal(admission, "late") == 503
    with tickets[0]:
        pass
    admission.enter("late", 10)


def test_bytes_are_shared_likewise() -> None:
    admission = _admission(1_000, 1_200)
    admission.enter("flood", 500)
    assert _refusal(admission, "flood", 200) == 429
    admission.enter("flood", 100)
    admission.enter("other", 400)
    assert _refusal(admission, "other", 1) == 429
    assert _refusal(admission, "third", 300) == 503
    admission.enter("third", 200)
    assert admission.size == 1_200


def test_a_single_request_is_taken_whatever_its_size() -> None:
    admission = _admission(10, 100)
    with admission.enter("a", 5_000):
        assert _refusal(admission, "b", 1) == 503
    with admission.enter("a", None) as ticket:
        ticket.hold(1_000_000)
    assert (admission.requests, admission.size) == (0, 0)


def test_late_answers_bound_what_is_taken() -> None:
    now = 100.0
    pace = Pace(1_000_000, 1.0, lambda: now)
    admission = Admission(10, 1_000_000, pace)
    with admission.enter("a", 40_000) as ticket:
        ticket.here()
        now += 5.0
    assert pace.window == 20_000
    with admission.enter("a", 9_000):
        assert _refusal(admission, "a", 2_000) == 429
        # Who has nothing in hand does not wait for those who have.
        admission.enter("b", 30_000)
        assert _refusal(admission, "b", 1) == 429


def test_who_was_refused_leaves_nothing_behind() -> None:
    admission = _admission(10, 100)
    with admission.enter("a", 100):
        for number in range(50):
            assert _refusal(admission, f"new-{number}") == 503
    for _ in range(5):
        admission.enter("a", 10)
    assert admission.size == 50
