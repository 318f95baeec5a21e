"""What may wait for the broker follows what it acknowledges in good time."""

from milepost.bus.pace import FLOOR_BYTES, Pace

MIB = 1 << 20


def test_a_quick_broker_leaves_the_window_wide() -> None:
    pace = Pace(64 * MIB, 10.0, lambda: 100.0)
    for _ in range(100):
        pace.acknowledged(MIB, 0.02)
    assert pace.window == 64 * MIB


def test_it_narrows_once_a_round_and_widens_by_what_comes_back_in_time() -> None:
    now = 100.0
    pace = Pace(64 * MIB, 10.0, lambda: now)
    for _ in range(20):
        pace.acknowledged(MIB, 5.0)
    assert pace.window == 32 * MIB
    now = 106.0
    pace.late(5.0)
    assert pace.window == 16 * MIB
    for _ in range(4):
        pace.acknowledged(MIB, 0.1)
    assert pace.window == 20 * MIB


def test_a_throttled_broker_is_found_out_and_the_wait_becomes_short() -> None:
    """A broker that takes 1 MiB a second, and senders that fill whatever window there is."""
    now = 1_000.0
    pace = Pace(64 * MIB, 10.0, lambda: now)
    waits = []
    for _ in range(40):
        wait = pace.window / MIB
        now += min(wait, 10.0)
        if wait > 10.0:
            pace.late(10.0)
        else:
            pace.acknowledged(pace.window, wait)
        waits.append(wait)
    assert max(waits[10:]) <= 5.0
    assert pace.window >= FLOOR_BYTES


def test_it_never_closes_altogether() -> None:
    now = 0.0
    pace = Pace(MIB, 1.0, lambda: now)
    for _ in range(50):
        now += 10.0
        pace.late(1.0)
    assert pace.window == FLOOR_BYTES
