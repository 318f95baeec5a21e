"""What may be in hand follows what is answered in good time."""

from milepost.edge.pace import FLOOR_BYTES, Pace

MIB = 1 << 20


def test_quick_answers_leave_the_window_wide() -> None:
    pace = Pace(64 * MIB, 1.0, lambda: 100.0)
    for _ in range(100):
        pace.answered(MIB, 0.02, 32 * MIB)
    assert pace.window == 64 * MIB


def test_it_narrows_once_a_round_and_widens_by_what_is_answered_in_time() -> None:
    now = 100.0
    pace = Pace(64 * MIB, 1.0, lambda: now)
    for _ in range(20):
        pace.answered(MIB, 5.0, 20 * MIB)
    assert pace.window == 10 * MIB
    now = 106.0
    pace.answered(MIB, 5.0, 10 * MIB)
    assert pace.window == 5 * MIB
    for _ in range(4):
        pace.answered(MIB, 0.1, 5 * MIB)
    assert pace.window == 9 * MIB


def test_whoever_fills_the_window_is_not_kept_waiting_for_long() -> None:
    """A service that gets through 1 MiB a second, and senders that fill whatever window there is."""
    now = 1_000.0
    pace = Pace(64 * MIB, 1.0, lambda: now)
    waits = []
    for _ in range(40):
        in_hand = pace.window
        wait = in_hand / MIB
        now += wait
        pace.answered(in_hand, wait, in_hand)
        waits.append(wait)
    assert max(waits[7:]) <= 1.0
    assert pace.window >= FLOOR_BYTES


def test_it_never_closes_altogether() -> None:
    now = 0.0
    pace = Pace(MIB, 1.0, lambda: now)
    for _ in range(50):
        now += 10.0
        pace.answered(10, 2.0, 10)
    assert pace.window == FLOOR_BYTES
