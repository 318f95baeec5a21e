"""What is seen of the parts while they soak: memory, lag, readiness."""

import http.client
import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import psutil

MEBIBYTE = 1 << 20
BAR_WIDTH = 40


class Sample(NamedTuple):
    """A moment: ``at`` in seconds since the start, resident MiB, records not stored yet, what readiness misses."""

    at: float
    worker_mib: float
    edge_mib: float
    lag: int
    missing: str
    phase: str


class Watch:
    """Looks every ``pause`` seconds from a thread of its own, until stopped."""

    def __init__(
        self, worker: int, edge: int, worker_url: str, lag: Callable[[], int], pause: float, say: Callable[[str], None]
    ) -> None:
        self.samples: list[Sample] = []
        self.phase = "warm-up"
        self.ended = False
        """Whether the worker's process has ended, which it must not."""
        self._worker = psutil.Process(worker)
        self._edge = psutil.Process(edge)
        self._url = worker_url
        self._lag = lag
        self._pause = pause
        self._say = say
        self._stop = threading.Event()
        self._started = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._stop.set()
        self._thread.join()

    def seconds(self) -> float:
        """Since the start."""
        return time.monotonic() - self._started

    def of(self, phase: str) -> list[Sample]:
        """The samples of a phase."""
        return [sample for sample in self.samples if sample.phase == phase]

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                worker = self._worker.memory_info().rss / MEBIBYTE
            except psutil.NoSuchProcess:
                self.ended = True
                return
            edge = self._edge.memory_info().rss / MEBIBYTE
            missing = "; ".join(readiness(self._url))
            sample = Sample(self.seconds(), worker, edge, self._lag(), missing, self.phase)
            self.samples.append(sample)
            self._say(
                f"  {sample.at:6.0f} s  {sample.phase:9}  worker {sample.worker_mib:5.0f} MiB  edge {edge:4.0f} MiB  "
                f"lag {sample.lag:9,}  {missing[:60]}"
            )
            self._stop.wait(self._pause)


def readiness(url: str) -> list[str]:
    """What a worker says is missing; nothing where it is ready."""
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=5) as answer:
            document = json.load(answer)
    except urllib.error.HTTPError as error:
        document = json.load(error)
    except (OSError, http.client.HTTPException) as error:
        return [f"no answer: {type(error).__name__}"]
    missing: list[str] = document["missing"]
    return missing


def metric(url: str, name: str) -> float:
    """The sum of a metric's series at a service."""
    with urllib.request.urlopen(f"{url}/metrics", timeout=5) as answer:
        lines = answer.read().decode().splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith((f"{name} ", f"{name}{{")))


def curve(samples: Sequence[Sample], rows: int = 30) -> str:
    """Memory and lag over time, at most ``rows`` lines."""
    step = max(1, len(samples) // rows)
    most = max((sample.worker_mib for sample in samples), default=1.0)
    lines = ["   time  phase      worker MiB  edge MiB        lag"]
    for sample in samples[::step]:
        bar = "█" * round(sample.worker_mib / most * BAR_WIDTH)
        lines.append(
            f"{sample.at:5.0f} s  {sample.phase:9}  {sample.worker_mib:10.0f}  {sample.edge_mib:8.0f}  "
            f"{sample.lag:9,}  {bar}"
        )
    return "\n".join(lines)


def as_json(samples: Sequence[Sample]) -> list[dict[str, Any]]:
    """The samples for a file."""
    return [
        {**sample._asdict(), "at": round(sample.at, 1), "worker_mib": round(sample.worker_mib)} for sample in samples
    ]
