"""An installation of a step's own: engines, topics, schema, and the processes that are measured on it."""

import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from subprocess import Popen
from types import TracebackType
from typing import Self

import psutil

from milepost.bus import topics
from milepost.embedded.parts import engines
from milepost.embedded.platform import Platform
from milepost.embedded.process import Part, environment, spawn, stop, tail, wait_ready
from milepost.settings import Service, Settings
from milepost.store import migrations
from milepost.store.client import administrator

READY_SECONDS = 60.0
STOP_SECONDS = 10.0


class Stage:
    """Kafka and ClickHouse in ``folder`` on the ports from ``port_base`` on, with topics and schema.

    A context manager: at its end nothing of it runs any more.
    """

    def __init__(self, folder: Path, port_base: int) -> None:
        self.folder = folder
        self.settings = Settings(port_base=port_base)
        self._platform = Platform(folder, self.settings)

    def __enter__(self) -> Self:
        self._platform.start_infrastructure()
        try:
            topics.apply(self.settings)
            migrations.apply(self.settings)
        except BaseException:
            self._platform.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._platform.stop()

    def database(self, name: str) -> Settings:
        """The same engines and topic with another database and consumer group, so that runs do not see each other."""
        settings = self.settings.model_copy(update={"database": name, "consumer_group": f"bench-{name}"})
        migrations.apply(settings)
        return settings

    def forget(self, settings: Settings) -> None:
        """Drop a database that has been measured, so that its merges do not disturb what comes next."""
        with administrator(settings) as store:
            store.command(f"DROP DATABASE IF EXISTS {settings.database}")

    def cpu(self) -> dict[str, float]:
        """Seconds of a core that each engine has used since its start."""
        return {
            engine.value: sum(psutil.Process(self._platform.pid(engine.value)).cpu_times()[:2])
            for engine in (Service.CLICKHOUSE, Service.KAFKA)
        }

    @contextmanager
    def service(self, service: Service, settings: Settings, **variables: str) -> Iterator[Popen[bytes]]:
        """`milepost run SERVICE` as a process, ready; ended afterwards."""
        argv = (sys.executable, "-m", "milepost.cli", "run", service.value)
        with self._running(service.value, argv, settings, variables, settings.port_of(service)) as process:
            yield process

    @contextmanager
    def module(self, name: str, settings: Settings, *arguments: str) -> Iterator[Popen[bytes]]:
        """``python -m bench.NAME`` as a process, ended afterwards."""
        argv = (sys.executable, "-m", f"bench.{name}", *arguments)
        with self._running(name, argv, settings, {}, None) as process:
            yield process

    @contextmanager
    def _running(
        self, name: str, argv: tuple[str, ...], settings: Settings, variables: Mapping[str, str], port: int | None
    ) -> Iterator[Popen[bytes]]:
        given = {**environment(settings), **variables}
        part = Part(name, argv, port, "/readyz" if port else None, environment=given, stop_seconds=STOP_SECONDS)
        log = self.folder / "logs" / f"{name}-{settings.database}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        process = spawn(part, log)
        try:
            wait_ready(part, process, READY_SECONDS, log)
            yield process
        except RuntimeError as error:
            error.add_note(tail(log))
            raise
        finally:
            stop(process, STOP_SECONDS)


def load() -> float:
    """The load average of the last minute: figures of a busy machine say little."""
    return os.getloadavg()[0]


@contextmanager
def lone_engine(data: Path | None, port_base: int) -> Iterator[tuple[Settings, Popen[bytes]]]:
    """The ClickHouse engine and nothing else, with its schema; in ``data``, else in a folder that goes with it."""
    settings = Settings(port_base=port_base)
    with tempfile.TemporaryDirectory() as temporary:
        folder = data or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        part = next(part for part in engines(folder, settings) if part.name == Service.CLICKHOUSE.value)
        process = spawn(part, folder / "engine.log")
        try:
            wait_ready(part, process, READY_SECONDS, folder / "engine.log")
            migrations.apply(settings)
            yield settings, process
        finally:
            stop(process, part.stop_seconds)
