"""Durations as people write them: a whole number with its unit."""

import re

UNITS = {"s": 1_000_000, "m": 60_000_000, "h": 3_600_000_000, "d": 86_400_000_000}
"""Microseconds in each unit."""
DURATION_PATTERN = r"^[0-9]{1,9}[smhd](?!\n)$"
"""Python's ``$`` also matches before a last newline; the look-ahead closes that gap."""
NONE = "none"
"""What takes a limit away."""

_DURATION = re.compile(DURATION_PATTERN)


def parse_span(text: str) -> int:
    """Microseconds in a duration such as ``90s``, ``45m``, ``2h`` or ``1d``. Raises ``ValueError``."""
    if not _DURATION.fullmatch(text):
        raise ValueError(f"{text!r} is no duration; write it like 90s, 45m, 2h or 1d")
    return int(text[:-1]) * UNITS[text[-1]]


def span_text(span: int) -> str:
    """Microseconds as a duration, in the largest unit that is exact."""
    unit = next((unit for unit, size in reversed(UNITS.items()) if span % size == 0), "s")
    return f"{span // UNITS[unit]}{unit}" if span else "0m"
