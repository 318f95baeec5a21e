"""The platform that soaks: engines, an edge service, one worker; and the questions that are asked of it."""

import os
import random
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kafka import KafkaConsumer, TopicPartition

from milepost.contracts.topics import LIFECYCLE
from milepost.embedded.process import environment
from milepost.settings import PORT_OFFSETS, Service, Settings
from soak.watch import metric
from support.spine import EDGE, PROCESSOR, Spine


class Stage(Spine):
    """A ``Spine`` that is asked from threads for how far behind the worker is."""

    @property
    def edge_url(self) -> str:
        """Where events are posted."""
        return self.settings.url_of(Service.ORDERS)

    @property
    def worker_url(self) -> str:
        """Where the worker tells of itself."""
        return self.settings.url_of(Service.PROCESSOR)

    def pids(self) -> tuple[int, int]:
        """The worker's and the edge's process."""
        return self.platform.pid(PROCESSOR), self.platform.pid(EDGE)

    def stored(self) -> int:
        """Records of the topic that the worker has stored since its start."""
        return int(metric(self.worker_url, "milepost_processor_records_total"))


class Behind:
    """How many records of the topic are not stored yet; from one thread."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._consumer = KafkaConsumer(bootstrap_servers=stage.settings.kafka_servers)
        self._places = [TopicPartition(LIFECYCLE.name, number) for number in range(stage.settings.partitions)]

    def __call__(self) -> int:
        """The records on the topic, less those stored."""
        stored = self._stage.stored()
        return max(0, sum(self._consumer.end_offsets(self._places).values()) - stored)


@contextmanager
def running(folder: Path, **changes: object) -> Iterator[Stage]:
    """Everything up, with settings changed so."""
    settings = Settings(port_base=free_port_base()).model_copy(update=changes)
    with Stage(folder, settings, command) as stage:
        yield stage


def command(settings: Settings, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run ``milepost`` with these settings to its good end."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("MILEPOST_")}
    return subprocess.run(
        [sys.executable, "-m", "milepost.cli", *arguments],
        env={**inherited, **environment(settings)},
        capture_output=True,
        text=True,
        timeout=600,
        check=True,
    )


def free_port_base() -> int:
    """A port base none of whose ports is taken, below the range the system gives to clients."""
    chosen = random.SystemRandom()
    for _ in range(200):
        base = chosen.randrange(22_000, 31_000, 20)
        if all(_is_free(base + offset) for offset in PORT_OFFSETS.values()):
            return base
    raise RuntimeError("no free range of ports found")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
