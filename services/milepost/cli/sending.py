"""Sending files of events: read, sorted into lanes by subject, posted, tallied."""

import asyncio
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec
from xxhash import xxh32_intdigest

from milepost.cli.jsonl import Line, Source, UnreadableFileError
from milepost.edge.client import EdgeClient, EdgeError

LANES = 4
"""Batches under way at once. Events of one subject share a lane, so they arrive in the file's order."""
KEPT_ENTRIES = 1000
_BATCH_BYTES = 2 * 1024 * 1024


class Watcher(Protocol):
    """Who is told how it goes."""

    def step(self) -> None:
        """A batch was answered."""

    def waiting(self, why: str) -> None:
        """The edge is away; a batch is sent again in a moment."""


@dataclass
class Tally:
    """What has become of the lines so far; entries are kept up to a bound, counts are complete."""

    lines: int = 0
    accepted: int = 0
    refused: int = 0
    warned: int = 0
    entries: list[dict[str, Any]] = field(default_factory=list)
    warnings: list[dict[str, Any]] = field(default_factory=list)
    stopped: str | None = None

    @property
    def unconfirmed(self) -> int:
        """Lines read of which nothing is known."""
        return self.lines - self.accepted - self.refused

    def refuse(
        self, place: str, errors: list[dict[str, str]], source: str | None = None, id_: str | None = None
    ) -> None:
        """Count a refused line at ``place`` (``FILE:line``)."""
        self.refused += 1
        if len(self.entries) < KEPT_ENTRIES:
            self.entries.append({"line": place, "source": source, "id": id_, "errors": errors})

    def warn(self, place: str, pointer: str, detail: str) -> None:
        """Count a warning about a line that was accepted."""
        self.warned += 1
        if len(self.warnings) < KEPT_ENTRIES:
            self.warnings.append({"line": place, "pointer": pointer, "detail": detail})


@dataclass
class _Batch:
    events: list[bytes] = field(default_factory=list)
    places: list[str] = field(default_factory=list)
    size: int = 0


class Sending:
    """One sending of some files: a reader, and as many lanes as batches may be under way."""

    def __init__(self, client: EdgeClient, batch: int, tally: Tally, watcher: Watcher) -> None:
        self._client = client
        self._batch = batch
        self._tally = tally
        self._watcher = watcher
        self._queues: list[asyncio.Queue[_Batch | None]] = [asyncio.Queue(maxsize=1) for _ in range(LANES)]
        self._filling = [_Batch() for _ in range(LANES)]

    async def all(self, sources: list[Source]) -> None:
        """Send every line of ``sources``; what stops it early stands in the tally."""
        try:
            async with asyncio.TaskGroup() as group:
                for queue in self._queues:
                    group.create_task(self._lane(queue))
                await self._read(sources)
        except* EdgeError as errors:
            self._tally.stopped = str(errors.exceptions[0])

    async def _read(self, sources: list[Source]) -> None:
        for source in sources:
            try:
                for line in source.lines():
                    await self._sort(f"{source.name}:{line.number}", line)
            except UnreadableFileError as error:
                self._tally.stopped = str(error)
                break
        for queue, rest in zip(self._queues, self._filling, strict=True):
            if rest.events:
                await queue.put(rest)
            await queue.put(None)

    async def _sort(self, place: str, line: Line) -> None:
        self._tally.lines += 1
        if line.fault is not None:
            self._tally.refuse(place, [{"pointer": "", "detail": line.fault}])
            return
        try:
            subject = _subject(line.text)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            self._tally.refuse(place, [{"pointer": "", "detail": f"not JSON: {error}"}])
            return
        lane = xxh32_intdigest(subject) % LANES
        batch = self._filling[lane]
        if batch.events and batch.size + len(line.text) > _BATCH_BYTES:
            await self._hand_over(lane)
            batch = self._filling[lane]
        batch.events.append(line.text)
        batch.places.append(place)
        batch.size += len(line.text)
        if len(batch.events) >= self._batch:
            await self._hand_over(lane)

    async def _hand_over(self, lane: int) -> None:
        await self._queues[lane].put(self._filling[lane])
        self._filling[lane] = _Batch()

    async def _lane(self, queue: asyncio.Queue[_Batch | None]) -> None:
        while (batch := await queue.get()) is not None:
            answer = await self._client.post(batch.events)
            self._tally.accepted += answer.accepted
            for entry in answer.refused:
                self._tally.refuse(batch.places[entry["index"]], entry["errors"], entry["source"], entry["id"])
            for warning in answer.warnings:
                index = warning["index"]
                place = "" if index is None else batch.places[index]
                self._tally.warn(place, warning["pointer"], warning["detail"])
            self._watcher.step()


def _subject(text: bytes) -> bytes:
    """The subject of the event in ``text``; empty where it has none, which the edge then says.

    Raises what decoding raises where ``text`` is not JSON.
    """
    document = msgspec.json.decode(text)
    subject = document.get("subject") if isinstance(document, dict) else None
    return subject.encode() if isinstance(subject, str) else b""
