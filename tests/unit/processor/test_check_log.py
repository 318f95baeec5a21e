"""Whether a partition's log can be read on from what the store has of it."""

import logging

import pytest

from milepost.processor.arrival import transport
from milepost.processor.arrival.transport import LogTruncatedError, check_log


@pytest.mark.parametrize(("cut", "start", "end"), [(0, 0, 0), (5, 0, 5), (5, 5, 9), (0, 0, 9)])
def test_a_log_that_holds_the_cut_can_be_read_on(cut: int, start: int, end: int) -> None:
    check_log(0, cut, start, end)


def test_a_log_shorter_than_the_store_stops_the_worker_and_says_what_to_do() -> None:
    with pytest.raises(
        LogTruncatedError, match=r"partition 3 ends at offset 4, but the store has it up to 5.*MILEPOST_DATABASE"
    ):
        check_log(3, 5, 0, 4)


def test_records_that_expired_unread_are_said(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A logger of its own: others that run in this process may have silenced the module's.
    log = logging.getLogger("tests.expired")
    log.disabled = False
    log.addHandler(caplog.handler)
    monkeypatch.setattr(transport, "log", log)
    check_log(1, 5, 8, 20)
    assert "partition 1: records 5 to 7 have expired" in caplog.text
