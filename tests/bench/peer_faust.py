"""Peer A: a Faust application as a good user of it writes the KPI job.

Run as ``python -m bench.peer_faust NOTES KPIS``.

One agent that takes events in batches; a table of orders, keyed by subject; the memory store, the fastest there is (its
state is rebuilt from the changelog topics). ``KPIS`` says where the KPI minutes are: ``tables``, in a second Faust
table from which changed rows are written as absolute values, or ``sums``, in ClickHouse alone, which adds up what
the agent writes after each batch.

What it does not do: log the events, write order rows, dead-letter, survive a crash between its changelog, its rows and
its offsets with exact numbers (they are three writes, and Faust's transactions fail under load).
"""

import asyncio
import gc
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import faust
import mode.loop
import msgspec
from faust.serializers import codecs

from bench.job import Additions, Counting, cell_row, make_sums, merge, read
from bench.kpi_cells import Cell, CellName, summed
from bench.timeline import Notes
from milepost.contracts import topics
from milepost.domain import facts as f
from milepost.settings import Settings, load
from milepost.store.client import Store, writer
from milepost.store.tables import KPIS

BATCH = 10_000
WITHIN_SECONDS = 1.0
CHANGELOG_WAITING = 100_000
"""By default the stream stands still whenever 100 table changes wait for the producer."""


class Packed(codecs.Codec):
    """Keys and values of the changelog in MessagePack."""

    _encode = msgspec.msgpack.Encoder().encode

    def _dumps(self, obj: Any) -> bytes:
        return self._encode(obj)

    def _loads(self, s: bytes) -> Any:
        return msgspec.msgpack.decode(s, type=Any)


def build_app(settings: Settings, store: Store, notes: Notes, kpis: str, folder: str) -> faust.App:
    """The application."""
    codecs.register("packed", Packed())
    app = faust.App(
        settings.consumer_group,
        broker=[f"kafka://{settings.kafka_servers}"],
        store="memory://",
        datadir=Path(folder),
        autodiscover=False,
        topic_partitions=settings.partitions,
        topic_replication_factor=1,
        web_enabled=False,
        broker_max_poll_records=5_000,
        consumer_auto_offset_reset="earliest",
        consumer_max_fetch_size=4 * 1024 * 1024,
        stream_buffer_maxsize=131_072,
        stream_wait_empty=False,
        producer_linger=0.02,
        producer_max_batch_size=1_048_576,
    )
    lifecycle = app.topic(topics.LIFECYCLE.name, key_serializer="raw", value_serializer="raw")
    # Keys find their partition as those of the lifecycle topic do, so batches over several partitions may be written.
    orders = app.Table(
        "orders",
        partitions=settings.partitions,
        key_type=bytes,
        value_type=bytes,
        use_partitioner=True,
    )
    cells = app.Table("cells", partitions=settings.partitions, use_partitioner=True)
    # JSON, the default, is slower and has no keys of several parts.
    serialized: Any = cells
    serialized.key_serializer = serialized.value_serializer = "packed"
    additions = Additions()
    counting = Counting()

    @app.agent(lifecycle)
    async def job(stream: Any) -> None:
        app.producer.buffer.max_messages = CHANGELOG_WAITING
        async for events in stream.take_events(BATCH, within=WITHIN_SECONDS):
            changed: set[CellName] = set()
            for key, facts in _by_subject(events, settings.currency).items():
                before = orders.get(key)
                after = merge(before, facts)
                if after is None:
                    continue
                orders[key] = after.stored
                found = counting.differences(key, before, after)
                if kpis == "sums":
                    additions.add(found)
                    continue
                for name, slots in found:
                    cell = cells.get(name)
                    if cell is None:
                        cells.data[name] = slots[:]
                    else:
                        cell += slots
                    changed.add(name)
            if kpis == "sums":
                await asyncio.to_thread(additions.write, store)
            else:
                rows = [_set(cells, name) for name in changed]
                if rows:
                    await asyncio.to_thread(store.insert, KPIS, rows)
            notes.add(len(events))

    return app


def _set(cells: Any, name: CellName) -> tuple[Any, ...]:
    cell: Cell = summed(cells[name])
    cells[name] = cell
    return cell_row(name, cell, 0, time.time_ns())


def _by_subject(events: list[Any], currency: str) -> dict[bytes, list[f.AnyFact]]:
    subjects: dict[bytes, list[f.AnyFact]] = {}
    for event in events:
        message = event.message
        fact = read(event.value, int(message.timestamp * 1000), message.offset, currency)
        if fact is not None:
            subjects.setdefault(message.key, []).append(fact)
    return subjects


def main() -> None:
    """Work until stopped."""
    mode.loop.use("uvloop")
    gc.set_threshold(200_000, 50, 1_000)
    settings = load()
    store = writer(settings)
    make_sums(store)
    with tempfile.TemporaryDirectory() as folder:
        app = build_app(settings, store, Notes(Path(sys.argv[1])), sys.argv[2], folder)
        faust.Worker(app, loglevel="WARNING", redirect_stdouts=False).execute_from_commandline()


if __name__ == "__main__":
    main()
