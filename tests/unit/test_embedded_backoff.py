"""How long a part waits before it is started again."""

from milepost.embedded.backoff import FIRST_SECONDS, LONGEST_SECONDS, STEADY_SECONDS, Backoff


def test_waits_double_up_to_a_bound() -> None:
    backoff = Backoff()
    waits = [backoff.after(1.0) for _ in range(9)]
    assert waits[:4] == [FIRST_SECONDS, FIRST_SECONDS * 2, FIRST_SECONDS * 4, FIRST_SECONDS * 8]
    assert waits[-2:] == [LONGEST_SECONDS, LONGEST_SECONDS]
    assert backoff.ends == 9


def test_a_steady_life_starts_the_count_anew() -> None:
    backoff = Backoff()
    for _ in range(5):
        backoff.after(1.0)
    assert backoff.after(STEADY_SECONDS) == FIRST_SECONDS
    assert backoff.ends == 1
    assert backoff.after(STEADY_SECONDS - 1) == FIRST_SECONDS * 2
