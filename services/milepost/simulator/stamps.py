"""Moments as RFC 3339 text."""

from datetime import UTC, datetime

from milepost.simulator.city import LOCAL_OFFSET
from milepost.simulator.draws import MINUTE, SECOND


class Stamps:
    """Writes microseconds since 1970 as text; made for speed: a minute's beginning is formatted once."""

    def __init__(self, begin: int = 0, wall_begin: int = 0, speed: float = 1.0) -> None:
        """Show ``begin`` as ``wall_begin`` and let time pass ``speed`` times as fast as the city's own."""
        self._begin = begin
        self._wall_begin = wall_begin
        self._speed = speed
        self._minutes: dict[int, str] = {}

    def wall(self, moment: int) -> int:
        """The moment shown for the city's ``moment``."""
        if self._speed == 1.0:
            return moment - self._begin + self._wall_begin
        return self._wall_begin + int((moment - self._begin) / self._speed)

    def utc(self, moment: int) -> str:
        """``moment`` in UTC, with a Z."""
        return self._text(self.wall(moment)) + "Z"

    def local(self, moment: int) -> str:
        """``moment`` on the city's own clocks, with their offset."""
        return self._text(self.wall(moment) + LOCAL_OFFSET) + "+02:00"

    def _text(self, moment: int) -> str:
        minute, rest = divmod(moment, MINUTE)
        begin = self._minutes.get(minute)
        if begin is None:
            if len(self._minutes) > 100_000:
                self._minutes.clear()
            begin = self._minutes[minute] = datetime.fromtimestamp(minute * 60, UTC).strftime("%Y-%m-%dT%H:%M:")
        second, micro = divmod(rest, SECOND)
        if not micro:
            return f"{begin}{second:02d}"
        if not micro % 1000:
            return f"{begin}{second:02d}.{micro // 1000:03d}"
        return f"{begin}{second:02d}.{micro:06d}"
