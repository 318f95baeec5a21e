"""A simulated city as load with a known truth: written once, posted to the edge at a steady rate."""

import asyncio
import itertools
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from milepost.edge.client import EdgeClient
from milepost.simulator.files import parse_moment, write
from milepost.simulator.simulation import Options

EVENTS_AN_ORDER = 10.2
START = "2026-03-02T00:00:00Z"
POSTS_A_SECOND = 10
RETRY_SECONDS = 600.0


@dataclass(frozen=True)
class City:
    """Event lines in a file, and what is true once all of them are counted."""

    events: Path
    truth: dict[str, Any]
    lines: int

    def batches(self, size: int) -> Iterator[list[bytes]]:
        """The events in the order they arrive, ``size`` at a time."""
        with self.events.open("rb") as file:
            while batch := [line.rstrip(b"\n") for line in itertools.islice(file, size)]:
                yield batch


def simulate(events: int, folder: Path) -> City:
    """A city with about ``events`` events."""
    folder.mkdir(parents=True, exist_ok=True)
    out, truth = folder / "city.jsonl", folder / "truth.json"
    orders = max(10, round(events / EVENTS_AN_ORDER))
    lines = write(Options(orders=orders, seed="soak", start=parse_moment(START)), str(out), truth)
    return City(out, json.loads(truth.read_text()), lines)


class Load:
    """Posts batches to the edge at a steady rate, in a thread of its own; what is refused for a while is sent again.

    ``accepted`` events were acknowledged, ``refused`` will never be; ``waits`` counts answers that said to send again;
    ``longest_post`` is the longest time a post took, with its waits, in seconds.
    """

    def __init__(self, url: str, batches: Iterator[list[bytes]], rate: int) -> None:
        self.accepted = 0
        self.refused = 0
        self.waits = 0
        self.longest_post = 0.0
        self.fault: BaseException | None = None
        self.done = threading.Event()
        self._hurry = threading.Event()
        self._url = url
        self._batches = batches
        self._pause = 1.0 / POSTS_A_SECOND if rate else 0.0
        self._thread = threading.Thread(target=self._run, name="load", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def hurry(self) -> None:
        """Post what is left as quickly as the edge takes it."""
        self._hurry.set()

    def finish(self, seconds: float) -> None:
        """Wait until all is posted. Raises what the posting raised, ``TimeoutError`` where it takes too long."""
        if not self.done.wait(seconds):
            raise TimeoutError(f"the load was not posted within {seconds:.0f} s")
        if self.fault is not None:
            raise self.fault

    def _run(self) -> None:
        try:
            asyncio.run(self._post_all())
        except BaseException as fault:
            self.fault = fault
            raise
        finally:
            self.done.set()

    async def _post_all(self) -> None:
        lanes = asyncio.Semaphore(8)
        async with (
            EdgeClient(self._url, retry_seconds=RETRY_SECONDS, waiting=self._waited) as client,
            asyncio.TaskGroup() as group,
        ):
            due = time.monotonic()
            for batch in self._batches:
                await lanes.acquire()
                group.create_task(self._post(client, batch, lanes))
                due += self._pause
                if self._pause and not self._hurry.is_set():
                    await asyncio.sleep(max(0.0, due - time.monotonic()))

    async def _post(self, client: EdgeClient, batch: list[bytes], lanes: asyncio.Semaphore) -> None:
        began = time.monotonic()
        try:
            answer = await client.post(batch)
        finally:
            lanes.release()
        self.accepted += answer.accepted
        self.refused += len(answer.refused)
        self.longest_post = max(self.longest_post, time.monotonic() - began)

    def _waited(self, _why: str) -> None:
        self.waits += 1
