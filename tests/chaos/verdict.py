"""What is true in the end: every acknowledged event once in the log, every number equal to its truth."""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from kafka import KafkaConsumer, TopicPartition

from chaos.blocks import Block, Identity, Row, identity
from chaos.campaign import asked
from chaos.promises import HUB, Promises
from milepost.bus.partitions import partition_of
from milepost.contracts.topics import LIFECYCLE
from milepost.embedded.process import environment
from milepost.settings import Settings
from milepost.store.client import Store, writer
from support.spine import differences

RECONCILE_SECONDS = 180.0


@dataclass
class Verdict:
    """What a block has lost and counted twice, and what else is wrong in the end."""

    lost: Counter[str] = field(default_factory=Counter)
    double: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    copies: int = 0
    """Records on the topic beyond the first of each event."""

    @property
    def good(self) -> bool:
        """Whether all is as it should be."""
        return not (self.faults or self.lost.total() or self.double.total())


def judge(settings: Settings, blocks: Iterable[Block], promises: Promises) -> Verdict:
    """Hold the store to the truth of ``blocks`` and ``promises``, which is everything that was sent."""
    blocks = list(blocks)
    found = Verdict()
    first, records = _topic(settings)
    found.copies = records - len(first)
    with writer(settings) as store:
        _numbers(store, blocks, found)
        _log(store, blocks, first, found)
        _rest(store, found)
        found.faults += promises.faults(settings, store)
    _reconciled(settings, found)
    return found


def _reconciled(settings: Settings, found: Verdict) -> None:
    """What the product itself says when it recounts everything from the log."""
    arguments = ("reconcile", "--window", "all", "--by", "hub_id", "--wait")
    done = subprocess.run(
        [sys.executable, "-m", "milepost.cli", *arguments],
        env={**os.environ, **environment(settings)},
        capture_output=True,
        text=True,
        timeout=RECONCILE_SECONDS,
        check=False,
    )
    if done.returncode != 0:
        found.faults.append(f"milepost reconcile ended with {done.returncode}: {(done.stdout + done.stderr)[-1_500:]}")


def _numbers(store: Store, blocks: list[Block], found: Verdict) -> None:
    rows = [row for row in asked(store) if row["dimensions"]["hub_id"] != HUB]
    found.faults += differences(rows, [row for block in blocks for row in block.truth])
    counted = {_place(row): row["denominator"] for row in rows if row["denominator"] is not None}
    for block in blocks:
        for row in block.truth:
            surplus = counted.get(_place(row), 0) - row["denominator"]
            if surplus > 0:
                found.double[block.name] += surplus
            elif surplus < 0:
                found.lost[block.name] -= surplus


def _place(row: Row) -> tuple[str, tuple[tuple[str, str], ...]]:
    return row["kpi"], tuple(sorted(row["dimensions"].items()))


def _log(store: Store, blocks: list[Block], first: dict[Identity, tuple[int, int]], found: Verdict) -> None:
    """Every acknowledged event is in the log once, at the place of its first copy on the topic; and nothing else is."""
    rows = store.query("SELECT subject, source, id, partition, offset FROM events", settings={"max_result_rows": 0})
    stored = {(row[0], row[1], row[2]): (row[3], row[4]) for row in rows}
    names = {block.name: block for block in blocks}
    for key, times in Counter((row[0], row[1], row[2]) for row in rows).items():
        if times > 1:
            found.double[_block_of(key, names)] += times - 1
    for block in blocks:
        found.lost[block.name] += len(block.acknowledged - stored.keys())
        missing = set(map(identity, block.events)) - block.acknowledged
        if missing:
            found.faults.append(f"block {block.name}: {len(missing)} events were never acknowledged")
    wrong = [key for key, place in stored.items() if first.get(key) != place]
    if wrong:
        some = [(key, stored[key], first.get(key)) for key in wrong[:3]]
        found.faults.append(f"{len(wrong)} events stand at another place in the log than on the topic: {some}")
    if first.keys() - stored.keys():
        found.faults.append(f"{len(first.keys() - stored.keys())} events of the topic are not in the log")


def _block_of(key: Identity, names: dict[str, Block]) -> str:
    name = key[0].partition("-")[0]
    return name if name in names else ""


def _rest(store: Store, found: Verdict) -> None:
    letters = store.query("SELECT reason, count() FROM dead_letters GROUP BY reason")
    if letters:
        found.faults.append(f"dead letters: {letters}")
    orders = store.query("SELECT order_id, count() FROM orders GROUP BY order_id", settings={"max_result_rows": 0})
    repeated = [order for order, rows in orders if rows > 1]
    if repeated:
        found.faults.append(f"{len(repeated)} orders stand in more than one row: {repeated[:3]}")


def _topic(settings: Settings) -> tuple[dict[Identity, tuple[int, int]], int]:
    """Partition and offset of the first copy of every event on the topic, and the number of records."""
    found: dict[Identity, tuple[int, int]] = {}
    records = 0
    consumer = KafkaConsumer(bootstrap_servers=settings.kafka_servers, enable_auto_commit=False)
    try:
        places = [TopicPartition(LIFECYCLE.name, number) for number in range(settings.partitions)]
        consumer.assign(places)
        consumer.seek_to_beginning()
        ends = consumer.end_offsets(places)
        while any(consumer.position(place) < ends[place] for place in places):
            for place, some in consumer.poll(1_000, max_records=10_000).items():
                for one in some:
                    records += 1
                    key = identity(one.value)
                    assert place.partition == partition_of(key[0].encode(), settings.partitions)
                    found.setdefault(key, (place.partition, one.offset))
    finally:
        consumer.close()
    return found, records
