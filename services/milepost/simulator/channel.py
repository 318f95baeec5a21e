"""The way events come: late, out of order, twice, and now and then contradicting themselves."""

from collections.abc import Iterator
from heapq import heappop, heappush

import msgspec

from milepost.simulator.draws import SECOND, Draws
from milepost.simulator.wire import RETRACTED, Fields

encode = msgspec.json.Encoder().encode


class Sent(msgspec.Struct, frozen=True, order=True):
    """An event on its way: when it arrives, its place among those of that moment, its bytes, and whose it is."""

    arrival: int
    number: int
    payload: bytes
    hub_id: str
    type: str


class Channel:
    """Holds what has been sent and not yet arrived."""

    def __init__(self, draws: Draws, *, conflicts: bool = True) -> None:
        """Delay with ``draws``; ``conflicts``: also send copies that say something else."""
        self._draws = draws
        self._conflicts = conflicts
        self._under_way: list[Sent] = []
        self._number = 0

    def send(self, event: Fields, at: int, hub_id: str, *, not_before: int = 0) -> int:
        """Send ``event``, reported at ``at`` (true time); it arrives after ``not_before``. Gives the arrival."""
        draws = self._draws
        arrival = max(at, not_before) + self._delay()
        payload = encode(event)
        self._push(arrival, payload, hub_id, event["type"])
        luck = draws.random()
        if luck < 0.012:
            # The same bytes again: a retry, or an app that was not told of the first success.
            self._push(arrival + self._delay(), payload, hub_id, event["type"])
        elif luck < 0.0135 and self._conflicts:
            other = self._contradiction(event)
            if other is not None:
                self._push(arrival + SECOND + self._delay(), encode(other), hub_id, event["type"])
        return arrival

    def _push(self, arrival: int, payload: bytes, hub_id: str, type_: str) -> None:
        self._number += 1
        heappush(self._under_way, Sent(arrival, self._number, payload, hub_id, type_))

    def _delay(self) -> int:
        draws = self._draws
        luck = draws.random()
        if luck < 0.93:
            return draws.minutes((0.001, 0.005, 0.01, 0.02, 0.05))
        if luck < 0.98:
            return draws.minutes((0.05, 0.5, 2, 5, 10))
        if luck < 0.997:
            return draws.minutes((10, 30, 90, 240, 360))
        return draws.minutes((360, 1440, 4320))

    def _contradiction(self, event: Fields) -> Fields | None:
        """A copy under the same identity with other content; it comes later, so it changes nothing."""
        body = dict(event["data"])
        if event["type"] == RETRACTED:
            return None
        if "amount" in body:
            body["amount"] = "999.99"
        elif "score" in body:
            body["score"] = 6 - body["score"] if body["score"] != 3 else 1
        elif "lines" in body and "hub_id" not in body:
            body["lines"] = []
        elif "hub_id" in body:
            body["zone_id"] = "zone-99z"
        else:
            return {**event, "time": "2026-01-01T00:00:00Z"} if not event["time"].startswith("2026-01-01") else None
        return {**event, "data": body}

    def arrived(self, until: int | None = None) -> Iterator[Sent]:
        """What arrives before ``until`` (None: all that is left), in order; taken out of the channel."""
        under_way = self._under_way
        while under_way and (until is None or under_way[0].arrival < until):
            yield heappop(under_way)

    def next_arrival(self) -> int | None:
        """When the next event arrives."""
        return self._under_way[0].arrival if self._under_way else None
