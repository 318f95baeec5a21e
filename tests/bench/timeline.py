"""How far a process is, seen over time, and the rate that follows from it."""

import time
from collections.abc import Callable
from pathlib import Path
from subprocess import Popen
from typing import NamedTuple

import psutil


class Point(NamedTuple):
    """``stored`` records were done at ``at``, seconds of the machine's monotonic clock; until then the process had used
    ``cpu`` seconds of a core.
    """

    at: float
    stored: int
    cpu: float


class Run(NamedTuple):
    """A run over ``total`` records: the first and the last moment at which something new was stored."""

    total: int
    started: float
    first: Point
    last: Point
    engines: dict[str, float]
    """Seconds of a core that each engine used from the start to the end."""

    @property
    def complete(self) -> bool:
        """Whether all of it was done in the time given."""
        return self.last.stored >= self.total

    @property
    def rate(self) -> float:
        """Records a second from the first to the last stored; what was stored at the first moment does not count."""
        seconds = self.last.at - self.first.at
        return (self.last.stored - self.first.stored) / seconds if seconds > 0 else 0.0

    @property
    def cpu_micros(self) -> float:
        """Microseconds of a core that the process used a record, whatever else the machine was doing."""
        records = self.last.stored - self.first.stored
        return 1e6 * (self.last.cpu - self.first.cpu) / records if records else 0.0

    def figures(self) -> dict[str, float | bool]:
        """The run for the report."""
        return {
            "events_a_second": round(self.rate),
            "cpu_micros_an_event": round(self.cpu_micros, 1),
            **{
                f"{engine}_cpu_micros_an_event": round(1e6 * used / self.total, 1)
                for engine, used in self.engines.items()
            },
            "events": self.last.stored,
            "complete": self.complete,
            "seconds": round(self.last.at - self.first.at, 2),
            "events_a_second_with_start": round(self.last.stored / max(1e-9, self.last.at - self.started)),
            "seconds_until_first": round(self.first.at - self.started, 2),
        }


def watch(
    stored: Callable[[], int],
    total: int,
    limit: float,
    process: Popen[bytes],
    engines: Callable[[], dict[str, float]],
    pause: float,
) -> Run:
    """Look until ``total`` records are stored or ``limit`` seconds have passed; ``engines`` tells their CPU seconds.

    Raises ``RuntimeError`` where ``process`` ends before that.
    """
    started = time.monotonic()
    measured, before = psutil.Process(process.pid), engines()
    first = last = Point(started, 0, 0.0)
    while last.stored < total and time.monotonic() - started < limit:
        found = stored()
        if found > last.stored:
            own = measured.cpu_times()
            last = Point(time.monotonic(), found, own.user + own.system)
            if not first.stored:
                first = last
        elif process.poll() is not None:
            raise RuntimeError(f"the process ended with {process.returncode} after {last.stored} of {total} records")
        time.sleep(pause)
    used = {engine: seconds - before[engine] for engine, seconds in engines().items()}
    return Run(total, started, first, last, used)


class Notes:
    """A file in which a measured process notes how far it is, itself, after each write: moment, stored, CPU seconds."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stored = 0

    def add(self, records: int) -> None:
        """So many more records are done, now."""
        self._stored += records
        with self._path.open("a") as file:
            file.write(f"{time.monotonic()} {self._stored} {time.process_time()}\n")


def noted(path: Path) -> list[Point]:
    """The complete lines of a file of ``Notes``; none while there is no file."""
    if not path.exists():
        return []
    lines = path.read_text().split("\n")[:-1]
    return [Point(float(at), int(stored), float(cpu)) for at, stored, cpu in map(str.split, lines)]


def follow(path: Path, total: int, limit: float, process: Popen[bytes], engines: Callable[[], dict[str, float]]) -> Run:
    """Like ``watch``, from a file of ``Notes``: its own moments count, not those at which we look."""

    def stored() -> int:
        points = noted(path)
        return points[-1].stored if points else 0

    run = watch(stored, total, limit, process, engines, pause=0.2)
    points = noted(path)
    return run._replace(first=points[0], last=points[-1]) if points else run
