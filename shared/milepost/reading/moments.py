"""Microseconds, as the store keeps moments, as Python has them. Pure."""

from datetime import datetime

from milepost.contracts.event import moment_of


def moment(micros: int) -> datetime | None:
    """The moment so many microseconds after 1970 in UTC; 0 is unknown."""
    return None if micros == 0 else moment_of(micros)
