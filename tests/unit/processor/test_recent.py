"""The cache beside a flush that is not stored yet."""

from milepost.processor.state.recent import Recent


def test_what_was_longest_untouched_goes_first() -> None:
    recent: Recent[int] = Recent()
    for number, subject in enumerate("abc"):
        recent.put(subject, number)
    recent.evict(10)
    recent.put("a", 9)
    recent.evict(2)
    assert [subject for subject in "abc" if subject in recent] == ["a", "c"]
    assert recent.get("a") == 9
    assert recent.get("b") is None


def test_what_the_last_flush_touched_stays_whatever_the_limit_and_may_go_after_the_next() -> None:
    recent: Recent[int] = Recent()
    for subject in "abcd":
        recent.put(subject, 1)
    recent.evict(1)
    assert len(recent) == 4
    recent.put("e", 1)
    recent.evict(1)
    assert [subject for subject in "abcde" if subject in recent] == ["e"]
