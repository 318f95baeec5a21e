"""Microseconds, as the store keeps moments, and moments as Python has them. Pure."""

from datetime import UTC, datetime


def exact(micros: int) -> datetime:
    """Microseconds since 1970 as a moment in UTC."""
    return datetime.fromtimestamp(micros // 1_000_000, UTC).replace(microsecond=micros % 1_000_000)


def moment(micros: int) -> datetime | None:
    """The same; 0 is unknown."""
    return None if micros == 0 else exact(micros)
