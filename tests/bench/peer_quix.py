"""Peer B: a quixstreams application as a good user of it writes the KPI job.

Run as ``python -m bench.peer_quix NOTES``.

One stateful update an event, the facts of the order in RocksDB as bytes (with its changelog topic, its default), and a
sink that gathers what became of orders and with each commit writes what that adds to the KPI cells, in one batch.
ClickHouse adds the sums up: the cells have no place in a state that is kept by order, and a second topic keyed by cell
would cost several records an event.

What it does not do: log the events, write order rows, dead-letter, survive a crash between the sink's write and the
commit with exact numbers (the sums of that batch would be added twice).
"""

import gc
import logging
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from quixstreams import Application, State
from quixstreams.models import TopicConfig
from quixstreams.sinks.base import BaseSink

from bench.job import Additions, Counting, Merged, make_sums, merge, read
from bench.timeline import Notes
from milepost.contracts import topics
from milepost.settings import Settings, load
from milepost.store.client import Store, writer

COMMIT_SECONDS = 1.0


class Update(NamedTuple):
    """What an event made of its subject's facts."""

    before: bytes | None
    after: Merged


class SumsSink(BaseSink):
    """Gathers what became of subjects, and with each checkpoint counts every one once and writes one batch."""

    def __init__(self, store: Store, notes: Notes) -> None:
        super().__init__()
        self._store = store
        self._notes = notes
        self._counting = Counting()
        self._additions = Additions()
        self._updates: dict[bytes, Update] = {}
        self._records = 0

    def add(self, value: Update | None, key: bytes, *_: Any, **__: Any) -> None:
        """One event's update; None where it changed nothing."""
        self._records += 1
        if value is not None:
            earlier = self._updates.get(key)
            self._updates[key] = value if earlier is None else Update(earlier.before, value.after)

    def flush(self) -> None:
        """Write what was gathered."""
        for subject, update in self._updates.items():
            self._additions.add(self._counting.differences(subject, update.before, update.after))
        self._updates = {}
        if self._records:
            self._additions.write(self._store)
            self._notes.add(self._records)
            self._records = 0


def run(settings: Settings, store: Store, notes: Notes, folder: str) -> None:
    """Run the application until stopped."""
    app = Application(
        broker_address=settings.kafka_servers,
        consumer_group=settings.consumer_group,
        auto_offset_reset="earliest",
        commit_interval=COMMIT_SECONDS,
        state_dir=folder,
        consumer_extra_config={"fetch.min.bytes": 65_536, "queued.min.messages": 200_000},
        producer_extra_config={"linger.ms": 20, "batch.size": 1_048_576},
        loglevel=logging.WARNING,
    )
    source = app.topic(
        topics.LIFECYCLE.name,
        key_deserializer="bytes",
        value_deserializer="bytes",
        config=TopicConfig(num_partitions=settings.partitions, replication_factor=1),
    )
    currency = settings.currency
    offset = 0

    def job(value: bytes, _key: Any, timestamp: int, _headers: Any, state: State[str, Any]) -> Any:
        nonlocal offset
        offset += 1
        fact = read(value, timestamp, offset, currency)
        if fact is None:
            return None
        before = state.get_bytes("facts")
        after = merge(before, (fact,))
        if after is None:
            return None
        state.set_bytes("facts", after.stored)
        return Update(before, after)

    app.dataframe(source).apply(job, stateful=True, metadata=True).sink(SumsSink(store, notes))
    app.run()


def main() -> None:
    """Work until stopped."""
    gc.set_threshold(200_000, 50, 1_000)
    settings = load()
    store = writer(settings)
    make_sums(store)
    with tempfile.TemporaryDirectory() as folder:
        run(settings, store, Notes(Path(sys.argv[1])), folder)


if __name__ == "__main__":
    main()
