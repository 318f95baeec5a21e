"""The platform under attack: real engines, two edge services, two workers, all under the embedded supervisor."""

import asyncio
import contextlib
import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Self

from milepost.embedded import parts
from milepost.embedded.process import Part, is_ready, spawn, stop
from milepost.embedded.supervisor import State, Status, Supervisor
from milepost.settings import PORT_OFFSETS, Service, Settings
from support.fault_proxy import FaultProxy
from support.small_disk import Disk

BROKER = Service.KAFKA.value
ENGINE = Service.CLICKHOUSE.value
EDGES = (Service.ORDERS.value, Service.DELIVERIES.value)
WORKERS = (parts.worker_name(0), parts.worker_name(1))
THIRD = parts.worker_name(2)
STEPPING = WORKERS[1]
"""The worker whose clock can be moved."""
START_SECONDS = 180.0

_CLOCK = Path(__file__).with_name("stepping_clock")


class Stage:
    """Everything runs while the context is open. ``proxy`` stands between the workers and the engine."""

    def __init__(self, folder: Path, say: Callable[[str], None]) -> None:
        # Little memory for orders and minutes, so that much is brought back from the store in the middle of it all.
        self.settings = Settings(port_base=free_port_base(), cache_orders=1_000, cache_minutes=2_000)
        self.proxy = FaultProxy(self.settings.port_of(Service.CLICKHOUSE))
        self.disk = Disk(folder / "clickhouse")
        self.restarts: dict[str, int] = {}
        self._folder = folder
        self._say = say
        self._clock = folder / "clock"
        self._behind = 0
        self._stop, self._kill = asyncio.Event(), asyncio.Event()
        self._third: subprocess.Popen[bytes] | None = None

    async def __aenter__(self) -> Self:
        self.disk.mount()
        await self.proxy.__aenter__()
        self._parts = {part.name: part for part in self._wanted()}
        self._supervisor = Supervisor(list(self._parts.values()), self._folder / "logs", self._changed)
        self._running = asyncio.create_task(self._supervisor.run(self._stop, self._kill))
        ready = asyncio.create_task(self._supervisor.wait_ready())
        done, _ = await asyncio.wait({self._running, ready}, timeout=START_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        if ready not in done:
            ready.cancel()
            await self.__aexit__()
            raise RuntimeError(f"the platform did not start; its logs: {self._folder / 'logs'}")
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stop.set()
        if self._third is not None:
            stop(self._third, 3.0)
        await asyncio.gather(self._running, return_exceptions=True)
        await self.proxy.__aexit__()
        self.disk.unmount()

    @property
    def edges(self) -> list[str]:
        """Where events are posted."""
        return [self.settings.url_of(Service(name)) for name in EDGES]

    def log(self, name: str) -> Path:
        """Where a part's output goes."""
        return self._supervisor.log(name)

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send a signal to a part and all that it started; nothing where it is just not there."""
        pid = self._supervisor.pid(name)
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, number)

    def kill(self, *names: str) -> None:
        """``kill -9``."""
        for name in names:
            self.signal(name, signal.SIGKILL)

    async def ready(self, *names: str) -> None:
        """Wait until these parts are running and ready."""
        while not all(self._supervisor.statuses[name].state is State.READY for name in names):  # noqa: ASYNC110
            await asyncio.sleep(0.1)

    async def third_worker(self) -> None:
        """Let a third worker join, and wait until it is ready."""
        part = self._worker(2)
        self._third = spawn(part, self.log(THIRD))
        deadline = time.monotonic() + START_SECONDS
        while not await asyncio.to_thread(is_ready, part):
            if self._third.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the third worker did not start; its log: {self.log(THIRD)}")
            await asyncio.sleep(0.1)

    async def third_worker_leaves(self, *, kindly: bool) -> None:
        """Let it leave: told to, or killed."""
        if self._third is not None:
            await asyncio.to_thread(stop, self._third, 10.0 if kindly else 0.0)
            self._third = None

    def step_back(self, seconds: int) -> None:
        """Put the wall clock of ``STEPPING`` back by so much, for good."""
        self._behind += seconds
        fresh = self._clock.with_suffix(".new")
        fresh.write_text(str(-self._behind))
        fresh.rename(self._clock)

    def _wanted(self) -> list[Part]:
        kept = {BROKER, ENGINE, parts.TOPICS, parts.SCHEMA, *EDGES}
        found = [
            part
            for part in parts.full_platform(self._folder, self.settings, 0, with_prometheus=False)
            if part.name in kept
        ]
        return [*found, self._worker(0), self._worker(1)]

    def _worker(self, index: int) -> Part:
        part = parts.worker(index, self.settings, after=(parts.TOPICS, parts.SCHEMA))
        variables = {**part.environment, "MILEPOST_CLICKHOUSE": self.proxy.url}
        if part.name == STEPPING:
            variables |= {"PYTHONPATH": str(_CLOCK), "CHAOS_CLOCK_FILE": str(self._clock)}
        return replace(part, environment=variables)

    def _changed(self, status: Status) -> None:
        if status.state is State.RESTARTING:
            name = status.part.name
            self.restarts[name] = self.restarts.get(name, 0) + 1
            self._say(f"    {name} {status.note}, again in {status.seconds:g} s")


def free_port_base() -> int:
    """A port base none of whose ports is taken, below the range the system gives to clients."""
    chosen = random.SystemRandom()
    for _ in range(200):
        base = chosen.randrange(22_000, 31_000, 20)
        if all(_is_free(base + offset + index) for offset in PORT_OFFSETS.values() for index in range(3)):
            return base
    raise RuntimeError("no free range of ports found")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
