"""The city in real time: a warm-up of the last hours at once, then life as it happens, posted to the edge."""

import time
from collections.abc import Callable, Iterator

import httpx
import msgspec

from milepost.simulator.channel import Sent
from milepost.simulator.city import City
from milepost.simulator.draws import DAY, MINUTE, SECOND, Draws
from milepost.simulator.life import Arrived, Delivered
from milepost.simulator.simulation import Options, Simulation
from milepost.simulator.stamps import Stamps
from milepost.simulator.wire import TYPES

BATCH = 1_000
"""Most events in one request; far below the edge's limit, so that a retry is cheap."""

TICK_SECONDS = 0.5
BROKEN_TYPES = frozenset({TYPES[Arrived][0], TYPES[Delivered][0]})

Say = Callable[[str], None]


class RefusedError(Exception):
    """The edge will not take events from us, whatever we send."""


class UnknownHubError(Exception):
    """The city has no such hub."""


class LiveOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How the live city behaves; ``warm_up`` in minutes, ``orders_per_minute`` by the wall clock."""

    edge: str
    key: str | None = None
    speed: float = 1.0
    orders_per_minute: float = 30.0
    warm_up: float = 120.0
    hubs: int = 8
    seed: str = "live"
    currency: str = "EUR"
    broken_hub: str | None = None


class Post:
    """Posts batches to the edge until each is taken."""

    def __init__(
        self, client: httpx.Client, edge: str, key: str | None, say: Say, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        """Post to the edge service at ``edge`` with ``key``; trouble is told to ``say``, ``sleep`` waits (seconds)."""
        self._sleep = sleep
        self._client = client
        self._url = edge.rstrip("/") + "/v1/events"
        self._headers = {"Content-Type": "application/cloudevents-batch+json"}
        if key:
            self._headers["Authorization"] = f"Bearer {key}"
        self._say = say
        self.accepted = 0
        self.refused = 0

    def send(self, payloads: list[bytes]) -> None:
        """Post ``payloads`` and wait until they are taken; the same batch again while the edge is busy or away.

        Raises :class:`RefusedError` where trying again cannot help.
        """
        body = b"[" + b",".join(payloads) + b"]"
        pause = 0.5
        while True:
            try:
                answer = self._client.post(self._url, content=body, headers=self._headers)
            except httpx.TransportError as error:
                self._say(f"edge at {self._url} away ({type(error).__name__}), trying again in {pause:g} s")
            else:
                if answer.status_code in (202, 207, 422):
                    self._count(answer)
                    return
                if answer.status_code not in (429, 500, 502, 503, 504):
                    raise RefusedError(f"{self._url} answered {answer.status_code}: {answer.text[:300]}")
                pause = max(pause, _retry_after(answer))
                self._say(f"edge answered {answer.status_code}, trying again in {pause:g} s")
            self._sleep(pause)
            pause = min(pause * 2, 10.0)

    def _count(self, answer: httpx.Response) -> None:
        try:
            result = answer.json()
        except ValueError as error:
            raise RefusedError(f"{self._url} answered {answer.status_code}, but not as an edge service does") from error
        refused = result.get("refused", [])
        self.accepted += result.get("accepted", 0)
        self.refused += len(refused)
        for one in refused[:3]:
            self._say(f"refused {one.get('id')}: {one.get('errors')}")


def _retry_after(answer: httpx.Response) -> float:
    text = answer.headers.get("Retry-After", "")
    return min(float(text), 30.0) if text.isdecimal() else 0.0


class LiveCity:
    """A city whose clock is tied to the wall's: at ``speed`` 60 an hour of its life takes a minute."""

    def __init__(self, options: LiveOptions, now: int) -> None:
        """Begin ``options.warm_up`` minutes before ``now`` (microseconds since 1970)."""
        self._begin = now - int(options.warm_up * MINUTE)
        self._speed = options.speed
        self._broken = options.broken_hub
        self._broken_since = self._city_time(now)
        seed = f"{options.seed}/{now}"
        a_day = options.orders_per_minute * DAY / MINUTE / options.speed
        city = City(options.seed, hubs=options.hubs, orders_per_day=a_day, always_open=True)
        if self._broken is not None and self._broken not in {hub.hub_id for hub in city.hubs}:
            raise UnknownHubError(f"no hub {self._broken}; there are {', '.join(hub.hub_id for hub in city.hubs)}")
        told = Options(
            orders=0, seed=seed, start=self._begin, currency=options.currency, order_prefix=f"live-{now // SECOND:x}"
        )
        stamps = Stamps(self._begin, self._begin, options.speed)
        self._simulation = Simulation(told, city, stamps)
        self._draws = Draws(f"{seed}/placements")
        self._interval = MINUTE / options.orders_per_minute * options.speed
        self._next = self._begin

    def _city_time(self, now: int) -> int:
        return self._begin + int((now - self._begin) * self._speed)

    def until(self, now: int) -> Iterator[bytes]:
        """What arrives up to ``now``; nothing in it lies after ``now``."""
        upto = self._city_time(now)
        while self._next <= upto:
            yield from self._let_through(self._simulation.arrived(self._next))
            self._simulation.place(self._next)
            self._next += max(1, int(self._interval * (0.2 + 1.6 * self._draws.random())))
        yield from self._let_through(self._simulation.arrived(upto))

    def _let_through(self, arrived: Iterator[Sent]) -> Iterator[bytes]:
        """Everything but the arrivals and deliveries of a hub whose promises are being broken."""
        for sent in arrived:
            if sent.hub_id == self._broken and sent.arrival >= self._broken_since and sent.type in BROKEN_TYPES:
                continue
            yield sent.payload


def run(options: LiveOptions, say: Say) -> None:
    """Live until interrupted (``KeyboardInterrupt``); progress goes to ``say``.

    Raises :class:`RefusedError` where the edge refuses us, :class:`UnknownHubError` for a hub it has not.
    """
    city = LiveCity(options, _now())
    with httpx.Client(timeout=httpx.Timeout(30.0, connect=5.0)) as client:
        post = Post(client, options.edge, options.key, say)
        told = 0.0
        while True:
            begun = time.monotonic()
            batch: list[bytes] = []
            for payload in city.until(_now()):
                batch.append(payload)
                if len(batch) == BATCH:
                    post.send(batch)
                    batch = []
            if batch:
                post.send(batch)
            if not told or begun - told >= 60:
                told = begun
                say(f"{post.accepted:,} events posted to {options.edge}, {post.refused:,} refused")
            time.sleep(max(0.0, TICK_SECONDS - (time.monotonic() - begun)))


def _now() -> int:
    return time.time_ns() // 1_000
