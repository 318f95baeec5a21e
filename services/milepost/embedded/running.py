"""`milepost up` itself: one data folder, one supervisor, until it is told to stop."""

import asyncio
import fcntl
import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from milepost.embedded.display import Display
from milepost.embedded.kpi_rows import ask
from milepost.embedded.process import Part
from milepost.embedded.supervisor import Supervisor
from milepost.settings import Settings

KPI_WINDOW = "24h"
_KPI_SECONDS = 2.0
_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class FolderInUseError(RuntimeError):
    """Another `milepost up` runs on this data folder."""


def hold(data: Path) -> IO[str]:
    """Take ``data`` for this process; it is let go when the result is closed, or at this process's end of any kind.

    Raises:
        FolderInUseError: it is taken.
    """
    data.mkdir(parents=True, exist_ok=True)
    handle = (data / "up.lock").open("a+")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        handle.seek(0)
        holder = handle.read().strip()
        handle.close()
        raise FolderInUseError(f"another `milepost up` (process {holder}) runs on {data}") from error
    handle.truncate(0)
    handle.write(str(os.getpid()))
    handle.flush()
    return handle


async def run(parts: Sequence[Part], data: Path, settings: Settings, display: Display, missing: str = "") -> None:
    """Run ``parts`` until SIGINT, SIGTERM or SIGHUP; a second one stops without waiting. ``missing`` is said first.

    Raises:
        TaskFailedError: from the supervisor.
    """
    started = time.monotonic()
    told_at = started
    stop, kill = asyncio.Event(), asyncio.Event()

    def told() -> None:
        nonlocal told_at
        if stop.is_set():
            kill.set()
        else:
            told_at = time.monotonic()
            stop.set()
            watching.cancel()
            display.say("stopping")

    supervisor = Supervisor(parts, data / "logs", display.changed)
    for status in supervisor.statuses.values():
        display.changed(status)
    watching = asyncio.create_task(_watch(supervisor, settings, display, started))
    for number in _STOP_SIGNALS:
        asyncio.get_running_loop().add_signal_handler(number, told)
    if missing:
        display.say(missing)
    try:
        await supervisor.run(stop, kill)
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
    display.say(f"stopped in {time.monotonic() - told_at:.1f} s; the data is in {data}")


async def _watch(supervisor: Supervisor, settings: Settings, display: Display, started: float) -> None:
    """Say when all is ready, then show the KPIs."""
    await supervisor.wait_ready()
    display.say(
        f"ready in {time.monotonic() - started:.1f} s; logs are in {supervisor.log('x').parent}; Ctrl-C stops it"
    )
    display.say(f"control room: {settings.insights_url}/")
    loop = asyncio.get_running_loop()
    while True:
        answer = await loop.run_in_executor(None, ask, settings, KPI_WINDOW)
        title = f"KPIs of the last {KPI_WINDOW}, {time.strftime('%H:%M:%S')}{answer.freshness}"
        display.kpis(title, answer.rows)
        await asyncio.sleep(_KPI_SECONDS)
