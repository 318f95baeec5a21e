"""Versions of a dead letter's row: which of two rows counts, whoever wrote them and whenever they arrive.

The processor may repeat any of its writes after a crash, an operator may decide meanwhile, and clocks step back. So a
row's version says how far the letter's life had got: the first row is below all that follow, and of repeated first rows
the one seen earliest counts; after that every attempt has three steps.
"""

from enum import IntEnum

_FIRST = 1 << 62
_STEPS = 4


class Step(IntEnum):
    """What can happen to a letter in one attempt, in this order, whichever is written first."""

    REPLAYED = 0
    FAILED_AGAIN = 1
    DROPPED = 2


class State:
    """What is decided about a letter."""

    OPEN = "open"
    REPLAYED = "replayed"
    DROPPED = "dropped"


def first_version(first_seen: int) -> int:
    """The version of a letter's first row, seen at ``first_seen`` (microseconds)."""
    return _FIRST - first_seen


def version_of(attempt: int, step: Step) -> int:
    """The version of the row that says that ``step`` happened in this attempt; the first time a record came is 1."""
    return _FIRST + _STEPS * attempt + step
