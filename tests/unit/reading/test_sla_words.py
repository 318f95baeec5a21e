"""What is said of an SLA, from whatever is known of it; and how the states of an order make lives."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sla_rows import MINUTE, sla_row

from milepost.domain.sla.words import RULES, Cause, State
from milepost.reading.sla import words
from milepost.reading.sla.lives import Ack, lives
from milepost.store.tables import SLA_EVENTS

DUE = datetime(2026, 3, 1, 14, tzinfo=UTC)


def named(row: tuple[Any, ...]) -> dict[str, Any]:
    return dict(zip(SLA_EVENTS.columns, row, strict=True))


def said(*row: Any, **known: Any) -> str:
    return lives([named(sla_row(*row, **known))])[0].steps[0].said


def test_a_warning_says_why() -> None:
    told = said(
        "o", "promise", DUE, "at_risk", "predicted", DUE - 20 * MINUTE, chance=0.41, threshold=0.5, milestone="out",
        since=DUE - 60 * MINUTE, expected=DUE + 7 * MINUTE, eta=DUE - 5 * MINUTE,
    )  # fmt: skip
    assert told == (
        "the chance to keep it fell to 41 %, under the 50 % that warns; it stood at “out” since 13:00 UTC; orders like "
        "it arrive at 14:07 UTC, 7 min too late; the courier expects 13:55 UTC, 5 min before it is due"
    )


@pytest.mark.parametrize(
    ("row", "known", "expected"),
    [
        (("promise", "at_risk", "predicted"), {"chance": 0.004}, "the chance to keep it fell to 1 %"),
        (("promise", "at_risk", "predicted"), {}, "at risk"),
        (("promise", "eased", "predicted"), {"chance": 0.8}, "no more at risk: the chance to keep it is 80 % again"),
        (("promise", "breached", "late"), {"milestone": "ready"},
         "it was not delivered by 14:00 UTC; it stood at “ready”"),
        (("promise", "breached", "silent"), {"last_heard": DUE - 30 * MINUTE},
         "not met as far as is known: nothing was heard of it since 13:30 UTC, so it may be late or only silent"),
        (("silence", "breached", "silent"), {"last_heard": DUE - timedelta(days=1)},
         "nothing was heard of it since 2026-02-28 14:00 UTC"),
        (("transit", "breached", "late"), {}, "it was not done by 14:00 UTC"),
        (("promise", "resolved", "met_late"), {"moment": DUE + 26 * MINUTE},
         "it was delivered late, at 14:26 UTC, 26 min too late"),
        (("promise", "resolved", "cancelled"), {"moment": DUE + 2 * MINUTE}, "the order was cancelled, at 14:02 UTC"),
        (("silence", "resolved", "heard"), {}, "the order was heard of again"),
        (("promise", "withdrawn", "met"), {"moment": DUE - 2 * MINUTE},
         "a late event shows that it was met, at 13:58 UTC, 2 min before it is due"),
        (("promise", "withdrawn", "moved"), {}, "the promise had been moved in time"),
        (("promise", "withdrawn", ""), {"how": "retracted"}, "what it followed from was retracted"),
        (("promise", "withdrawn", ""), {}, "withdrawn"),
    ],
)  # fmt: skip
def test_every_state_is_said_in_words(row: tuple[str, str, str], known: dict[str, Any], expected: str) -> None:
    rule, state, cause = row
    assert said("o", rule, DUE, state, cause, DUE, **known) == expected


@given(
    rule=st.sampled_from(RULES),
    state=st.sampled_from([state for state in State if state != State.PENDING]),
    cause=st.sampled_from(Cause),
    kept=st.sets(
        st.sampled_from(["milestone", "since", "threshold", "expected", "eta", "limit_us", "last_heard", "how"])
    ),
)
def test_whatever_is_not_known_is_left_out(rule: str, state: str, cause: str, kept: set[str]) -> None:
    known = {
        "milestone": "out", "since": DUE, "threshold": 0.5, "expected": DUE, "eta": DUE, "limit_us": 1,
        "last_heard": DUE, "how": "met",
    }  # fmt: skip
    told = said("o", rule, DUE, state, cause, DUE, **{name: known[name] for name in kept})
    assert told
    assert "None" not in told


@pytest.mark.parametrize(
    ("rule", "seconds", "limit", "expected"),
    [
        ("promise", 0, None, "delivered by 2026-03-01 14:00 UTC (policies version 3)"),
        ("promise", 300, None, "delivered by 2026-03-01 14:00 UTC, with 5 min of grace (policies version 3)"),
        ("silence", 1200, 1_200_000_000,
         "heard of every 20 min while it is out: after 2026-03-01 14:00 UTC, by 14:20 UTC (policies version 3)"),
        ("transit", 2700, None,
         "the stage “transit” done within 45 min: begun 2026-03-01 14:00 UTC, due 14:45 UTC (policies version 3)"),
    ],
)  # fmt: skip
def test_what_was_promised(rule: str, seconds: int, limit: int | None, expected: str) -> None:
    assert words.promised(rule, DUE, DUE + timedelta(seconds=seconds), limit, 3) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0.44, "0.4 s"), (59, "59 s"), (720, "12 min"), (5_999, "100 min"), (6_000, "1 h 40 min"), (200_000, "2.3 d")],
)
def test_spans_are_no_more_precise_than_helps(seconds: float, expected: str) -> None:
    assert words.span(seconds) == words.span(-seconds) == expected


def test_a_life_is_its_states_in_order_whatever_order_and_repetition_they_come_in() -> None:
    warned = sla_row("o", "promise", DUE, "at_risk", "predicted", DUE - 20 * MINUTE, chance=0.3)
    broken = sla_row("o", "promise", DUE, "breached", "silent", DUE)
    again = sla_row("o", "promise", DUE, "breached", "late", DUE, version=2)
    met = sla_row("o", "transit", DUE - MINUTE, "resolved", "met_late", DUE)
    ack = Ack("at_risk", DUE - 10 * MINUTE, "Ann", "")
    found = lives(
        [named(row) for row in (met, again, warned, broken, warned)], [("promise", named(broken)["base"], ack)]
    )
    assert [(life.rule, life.state, life.open) for life in found] == [
        ("promise", "breached", True),
        ("transit", "resolved", False),
    ]
    assert [(step.state, step.cause, step.chance) for step in found[0].steps] == [
        ("at_risk", "predicted", 0.3),
        ("breached", "late", None),
    ]
    # The warning was taken note of; the breach was not.
    assert (found[0].acknowledgements, found[0].acknowledged) == ([ack], None)


def test_a_detail_that_is_none_is_as_good_as_an_empty_one() -> None:
    row = named(sla_row("o", "promise", DUE, "breached", "late", DUE)) | {"detail": "[not json"}
    assert lives([row])[0].steps[0].detail == {}
