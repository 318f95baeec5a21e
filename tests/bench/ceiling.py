"""The ceiling: consume the topic through the processor's transport, decode, count, nothing else.

Run as ``python -m bench.ceiling NOTES typed|contract``: ``typed`` is msgspec's typed decode of envelope and body,
``contract`` the whole contract with its rules.
"""

import gc
import sys
import tempfile
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import faust
import msgspec

from bench.stage import Stage
from bench.timeline import Notes, Run, follow
from milepost.contracts import topics
from milepost.contracts.catalogue import EVENT_TYPES
from milepost.contracts.event import Envelope, decode
from milepost.processor.app import CHUNK_RECORDS, CHUNKS_WAITING, ChunkSchema
from milepost.processor.arrival.transport import Chunk, ChunkTransport, Offsets
from milepost.settings import Settings, load


def measure(stage: Stage, total: int, limit: float, kind: str) -> Run:
    """Consume and decode the ``total`` records of the topic."""
    settings = stage.settings.model_copy(update={"consumer_group": f"bench-ceiling-{kind}"})
    notes = stage.folder / f"ceiling-{kind}.txt"
    with stage.module("ceiling", settings, str(notes), kind) as process:
        return follow(notes, total, limit, process, stage.cpu)


def build_app(settings: Settings, notes: Notes, kind: str) -> faust.App:
    """A Faust application like the processor's, whose agent decodes and counts."""
    app = faust.App(
        settings.consumer_group,
        broker=[f"kafka://{settings.kafka_servers}"],
        store="memory://",
        datadir=Path(tempfile.gettempdir(), "milepost-bench"),
        autodiscover=False,
        topic_allow_declare=False,
        topic_disable_leader=True,
        web_enabled=False,
        broker_max_poll_records=CHUNK_RECORDS,
        consumer_auto_offset_reset="earliest",
        consumer_max_fetch_size=4 * 1024 * 1024,
        stream_buffer_maxsize=CHUNKS_WAITING,
        stream_wait_empty=False,
    )

    async def assign(numbers: Iterable[int]) -> dict[int, int]:
        return dict.fromkeys(numbers, 0)

    app.transport = ChunkTransport(app.conf.broker, app, Offsets(assign, dict, lambda: 0))
    count = _typed if kind == "typed" else _contract

    @app.agent(app.topic(topics.LIFECYCLE.name, schema=ChunkSchema()))
    async def lifecycle(chunks: Any) -> None:
        async for event in chunks.noack().events():
            chunk: Chunk = event.value
            notes.add(count(chunk.records, settings.currency))

    return app


_envelope = msgspec.json.Decoder(Envelope).decode
_bodies = {name: msgspec.json.Decoder(kind.body).decode for name, kind in EVENT_TYPES.items()}


def _typed(records: list[Any], _currency: str) -> int:
    decoded = 0
    for record in records:
        event = _envelope(record.value)
        _bodies[event.type](event.data)
        decoded += 1
    return decoded


def _contract(records: list[Any], currency: str) -> int:
    decoded = 0
    for record in records:
        decode(record.value, currency, datetime.fromtimestamp(record.timestamp / 1000, UTC))
        decoded += 1
    return decoded


def main() -> None:
    """Consume until stopped."""
    gc.set_threshold(200_000, 50, 1_000)
    app = build_app(load(), Notes(Path(sys.argv[1])), sys.argv[2])
    faust.Worker(app, loglevel="WARNING", redirect_stdouts=False).execute_from_commandline()


if __name__ == "__main__":
    main()
