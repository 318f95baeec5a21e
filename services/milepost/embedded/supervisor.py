"""Starts parts in the order of their needs, restarts those that end, and stops them all in order and in time."""

import asyncio
import contextlib
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import groupby
from pathlib import Path

from milepost.embedded.backoff import Backoff
from milepost.embedded.process import ANNOUNCED, Part, cut, is_alive, is_ready, signal_group, spawn, tail

STOP_SECONDS = 8.0
"""After this long everything that is left is killed, whatever stage it is in."""

TASK_TRIES = 3
_LOOK_SECONDS = 0.05
_LOOK_AFTER_START_SECONDS = 0.5
_CUT_SECONDS = 30.0
_ALIVE_EVERY_SECONDS = 5.0


class State(StrEnum):
    """Where a part is in its life."""

    WAITING = "waiting"
    STARTING = "starting"
    READY = "ready"
    DONE = "done"
    RESTARTING = "restarting"
    STOPPED = "stopped"


@dataclass(frozen=True)
class Status:
    """What there is to say about a part now."""

    part: Part
    state: State = State.WAITING
    seconds: float = 0.0
    """Ready: how long that took. Restarting: how long until it is started again."""
    note: str = ""
    """What it announced while starting, or how it ended."""


class TaskFailedError(RuntimeError):
    """A task that everything else waits for does not succeed; the message has what it said."""


class Supervisor:
    """Looks after ``parts``. Run it from the main thread: the processes die with the thread that started them."""

    def __init__(self, parts: Sequence[Part], logs: Path, changed: Callable[[Status], None]) -> None:
        """``changed`` is called at every change of a part's state, from the event loop."""
        self._parts = parts
        self._logs = logs
        self._changed = changed
        self._ready = {part.name: asyncio.Event() for part in parts}
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._probes = ThreadPoolExecutor(len(parts) + 1, thread_name_prefix="probe")
        self.statuses = {part.name: Status(part) for part in parts}

    def log(self, name: str) -> Path:
        """Where a part's output goes."""
        return self._logs / f"{name}.log"

    def pid(self, name: str) -> int | None:
        """The process of a part, None where it does not run."""
        process = self._running.get(name)
        return None if process is None or process.poll() is not None else process.pid

    async def wait_ready(self) -> None:
        """Wait until every part that is not optional has been ready once."""
        for part in self._parts:
            if not part.optional:
                await self._ready[part.name].wait()

    async def run(self, stop: asyncio.Event, kill: asyncio.Event) -> None:
        """Keep all parts running until ``stop`` is set, then stop them in order; ``kill`` makes that short.

        Raises:
            TaskFailedError: a task failed again and again; everything was stopped.
        """
        self._logs.mkdir(parents=True, exist_ok=True)
        keepers = [asyncio.create_task(self._keep(part), name=part.name) for part in self._parts]
        keepers.append(asyncio.create_task(self._cut_logs(), name="logs"))
        stopped = asyncio.create_task(stop.wait(), name="stop")
        try:
            pending = {stopped, *keepers}
            while stopped in pending:
                done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                if any(task.exception() for task in done):
                    break
        finally:
            for task in (stopped, *keepers):
                task.cancel()
            results = await asyncio.gather(*keepers, return_exceptions=True)
            await self._stop_all(kill)
            self._probes.shutdown(wait=False, cancel_futures=True)
        for result in results:
            if isinstance(result, Exception):
                raise result

    async def _keep(self, part: Part) -> None:
        """One part's whole life: wait for what it needs, start, watch, start again."""
        for name in part.after:
            if name in self._ready:
                await self._ready[name].wait()
        backoff = Backoff()
        while True:
            started = time.monotonic()
            code = await (self._do(part, started) if part.once else self._live(part, started))
            if part.once and code == 0:
                return
            if part.optional:
                self._say(part, State.STOPPED, 0.0, f"ended with {code}")
                return
            wait = backoff.after(time.monotonic() - started)
            if part.once and backoff.ends >= TASK_TRIES:
                raise TaskFailedError(f"{part.name} failed with {code}:\n{tail(self.log(part.name))}")
            note = f"ended with {code}" if code >= 0 else f"was ended by {signal.Signals(-code).name}"
            self._say(part, State.RESTARTING, wait, note)
            await asyncio.sleep(wait)

    async def _do(self, part: Part, started: float) -> int:
        code = await _ended(self._start(part), _LOOK_SECONDS)
        if code == 0:
            self._say(part, State.DONE, time.monotonic() - started)
            self._ready[part.name].set()
        return code

    async def _live(self, part: Part, started: float) -> int:
        log = self.log(part.name)
        seen = log.stat().st_size if log.exists() else 0
        process = self._start(part)
        loop = asyncio.get_running_loop()
        note = ""
        while process.poll() is None:
            if await loop.run_in_executor(self._probes, is_ready, part) and process.poll() is None:
                self._say(part, State.READY, time.monotonic() - started)
                self._ready[part.name].set()
                break
            announced = _announced(log, seen)
            if announced != note:
                note = announced
                self._say(part, State.STARTING, 0.0, note)
            await asyncio.sleep(_LOOK_SECONDS if time.monotonic() - started < 10 else _LOOK_AFTER_START_SECONDS)
        if part.alive_path is None:
            return await _ended(process, _LOOK_AFTER_START_SECONDS / 2)
        return await self._watch(part, process)

    async def _watch(self, part: Part, process: subprocess.Popen[bytes]) -> int:
        """Wait for its end; it is killed where it does not say any more that it lives."""
        loop = asyncio.get_running_loop()
        asked = lived = time.monotonic()
        while (code := process.poll()) is None:
            now = time.monotonic()
            if now - asked >= min(_ALIVE_EVERY_SECONDS, part.alive_seconds / 4):
                asked = now
                if await loop.run_in_executor(self._probes, is_alive, part):
                    lived = time.monotonic()
                elif time.monotonic() - lived >= part.alive_seconds:
                    signal_group(process, signal.SIGKILL)
            await asyncio.sleep(_LOOK_AFTER_START_SECONDS / 2)
        return code

    def _start(self, part: Part) -> subprocess.Popen[bytes]:
        process = self._running[part.name] = spawn(part, self.log(part.name))
        self._say(part, State.STARTING)
        return process

    def _say(self, part: Part, state: State, seconds: float = 0.0, note: str = "") -> None:
        status = self.statuses[part.name] = replace(self.statuses[part.name], state=state, seconds=seconds, note=note)
        self._changed(status)

    async def _cut_logs(self) -> None:
        while True:
            await asyncio.sleep(_CUT_SECONDS)
            for part in self._parts:
                cut(self.log(part.name))

    async def _stop_all(self, kill: asyncio.Event) -> None:
        deadline = time.monotonic() + STOP_SECONDS
        for stage in stages(self._parts):
            alive = [(part, self._running[part.name]) for part in stage if part.name in self._running]
            for _, process in alive:
                if process.poll() is None:
                    signal_group(process, signal.SIGTERM)
            until = min(deadline, time.monotonic() + max((part.stop_seconds for part, _ in alive), default=0.0))
            while any(process.poll() is None for _, process in alive):
                if kill.is_set() or time.monotonic() >= until:
                    break
                await asyncio.sleep(_LOOK_SECONDS)
            for part, process in alive:
                # The group: what the part itself started goes with it, even where the part is already gone.
                signal_group(process, signal.SIGKILL)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(1)
                self._say(part, State.STOPPED)


def stages(parts: Sequence[Part]) -> list[list[Part]]:
    """The parts in the order they are stopped: those of one inner list together."""
    ordered = sorted(parts, key=lambda part: part.stop_stage)
    return [list(stage) for _, stage in groupby(ordered, key=lambda part: part.stop_stage)]


async def _ended(process: subprocess.Popen[bytes], every: float) -> int:
    while True:
        code = process.poll()
        if code is not None:
            return code
        await asyncio.sleep(every)


def _announced(log: Path, start: int) -> str:
    """The last thing a part announced in its log since it was started."""
    try:
        with log.open("rb") as lines:
            lines.seek(start)
            told = [
                line for line in lines.read(65_536).decode(errors="replace").splitlines() if line.startswith(ANNOUNCED)
            ]
    except FileNotFoundError:
        return ""
    return told[-1].removeprefix(ANNOUNCED) if told else ""
