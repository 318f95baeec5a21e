"""The engines alone, for tests and benchmarks: real Kafka and the real ClickHouse engine in a folder of their own."""

import signal
import subprocess
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Self

from milepost.embedded import kafka
from milepost.embedded.parts import engines
from milepost.embedded.process import Part, signal_group, spawn, stop, wait_ready
from milepost.settings import Settings

_START_SECONDS = 240.0
# The first start on a machine fetches the broker's jars.


@cache
def _make_starts_quick() -> None:
    """Tests start many brokers: the first of them on a machine pays for the others."""
    subprocess.run(kafka.quick_start_argv(), check=True, capture_output=True, timeout=_START_SECONDS)


class Platform:
    """Kafka and ClickHouse on the ports of ``settings``, their data under ``data``.

    Also a context manager, which starts both and stops whatever was started. Use it from one thread: the processes end
    with the thread that started them.
    """

    def __init__(self, data: Path, settings: Settings) -> None:
        self.data = data
        self.settings = settings
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._parts: dict[str, Part] = {}

    def __enter__(self) -> Self:
        self.start_infrastructure()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start_infrastructure(self) -> None:
        """Start both and wait until they answer; stops what it started where one of them does not."""
        self._parts = {part.name: part for part in engines(self.data, self.settings)}
        _make_starts_quick()
        try:
            for name in self._parts:
                self.start(name, wait=False)
            for name in self._parts:
                self.wait_ready(name)
        except BaseException:
            self.stop()
            raise

    def add(self, part: Part) -> None:
        """Have one more part, a service for instance, which is then started, killed and stopped like the others."""
        self._parts[part.name] = part

    def argv(self, name: str) -> tuple[str, ...]:
        """The command of a part."""
        return self._parts[name].argv

    def pid(self, name: str) -> int:
        """The process of a part that was started."""
        return self._running[name].pid

    def log(self, name: str) -> Path:
        """Where a part's output goes."""
        return self.data / "logs" / f"{name}.log"

    def start(self, name: str, *, wait: bool = True) -> None:
        """Start a part, and wait until it answers."""
        self.log(name).parent.mkdir(parents=True, exist_ok=True)
        self._running[name] = spawn(self._parts[name], self.log(name))
        if wait:
            self.wait_ready(name)

    def wait_ready(self, name: str, seconds: float = _START_SECONDS) -> None:
        """Wait until a started part answers.

        Raises:
            RuntimeError: it ended, or does not answer in time.
        """
        wait_ready(self._parts[name], self._running[name], seconds, self.log(name))

    def kill(self, name: str) -> None:
        """``kill -9``: no goodbye."""
        process = self._running[name]
        signal_group(process, signal.SIGKILL)
        process.wait()

    def restart(self, name: str) -> None:
        """Start a part again on the same data, ending it first where it still runs."""
        stop(self._running[name], self._parts[name].stop_seconds)
        self.start(name)

    def stop(self) -> None:
        """Stop everything that was started, the last started first."""
        while self._running:
            name, process = self._running.popitem()
            stop(process, self._parts[name].stop_seconds)
