"""The engine against the real store, without Kafka: logs made here, workers that die where they are told to."""

import json
import random
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from milepost.bus.partitions import partition_of
from milepost.contracts import topics
from milepost.domain import facts as f
from milepost.domain.contributions import HISTOGRAM_SLOT, Contributions, contributions, cost_contributions, totals
from milepost.domain.measures import MEASURES
from milepost.domain.order import fold
from milepost.processor.arrival.intake import Taken, take
from milepost.processor.engine import Engine
from milepost.processor.report import Report
from milepost.processor.sla.telling import event_id
from milepost.processor.sla.watch import Told
from milepost.processor.state.ledger import Account
from milepost.processor.state.partition import Batch
from milepost.processor.state.rows import order_row
from milepost.processor.writing.sink import Sink
from milepost.settings import Settings
from milepost.simulator.files import parse_moment
from milepost.simulator.simulation import Options, simulate
from milepost.store import tables
from milepost.store.client import Store, writer

PARTITIONS = 4
APPENDED_MS = 1_793_000_000_000
START = parse_moment("2026-03-02T00:00:00Z")


@dataclass
class Copy:
    """A record of the lifecycle topic, as the Kafka client gives it."""

    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    timestamp: int = APPENDED_MS
    topic: str = topics.LIFECYCLE.name
    headers: Sequence[tuple[str, bytes]] = ()


class Log:
    """The topic: what was produced, by partition."""

    def __init__(self) -> None:
        self.records: dict[int, list[Copy]] = {number: [] for number in range(PARTITIONS)}

    def produce(self, value: bytes | None, key: str = "", partition: int | None = None) -> Copy:
        """Append a record; without ``partition`` where its key belongs."""
        number = partition_of(key.encode(), PARTITIONS) if partition is None else partition
        record = Copy(number, len(self.records[number]), key.encode() or None, value, APPENDED_MS)
        self.records[number].append(record)
        return record

    @classmethod
    def of_topic(cls, settings: Settings) -> "Log":
        """What stands on the real topic, offsets and append times as the broker gave them."""
        log = cls()
        consumer = KafkaConsumer(bootstrap_servers=settings.kafka_servers, enable_auto_commit=False)
        try:
            places = [TopicPartition(topics.LIFECYCLE.name, number) for number in log.records]
            consumer.assign(places)
            consumer.seek_to_beginning()
            ends = consumer.end_offsets(places)
            while any(consumer.position(place) < ends[place] for place in places):
                for place, records in consumer.poll(1_000, max_records=10_000).items():
                    log.records[place.partition] += [
                        Copy(place.partition, one.offset, one.key, one.value, one.timestamp) for one in records
                    ]
        finally:
            consumer.close()
        return log

    def send(self, settings: Settings) -> None:
        """Append every record to the real topic, each to its partition, acknowledged."""
        producer = KafkaProducer(
            bootstrap_servers=settings.kafka_servers,
            acks="all",
            linger_ms=20,
            compression_type="gzip",
            max_request_size=20_000_000,
        )
        try:
            for number, records in self.records.items():
                for record in records:
                    # The client sends no record that has neither.
                    key = b"" if record.key is record.value is None else record.key
                    producer.send(topics.LIFECYCLE.name, record.value, key, partition=number)
            producer.flush(30)
        finally:
            producer.close()

    def event(self, kind: str, subject: str, data: dict[str, Any], event_id: str = "", **envelope: Any) -> Copy:
        """Append an event of type ``milepost.<kind>.v1``."""
        event = {
            "specversion": "1.0",
            "id": event_id or uuid.uuid4().hex,
            "source": "/s",
            "type": f"milepost.{kind}.v1",
            "time": "2026-03-02T10:00:00Z",
            "subject": subject,
            "data": data,
            **envelope,
        }
        return self.produce(json.dumps(event).encode(), subject)

    def placed(self, subject: str, **envelope: Any) -> Copy:
        """Append a plain order, promised for noon of 2026-03-02."""
        until = "2026-03-02T12:00:00Z"
        data = {"order_id": subject, "hub_id": "h1", "promised_until": until, "lines": [{"sku": "a", "quantity": 1}]}
        return self.event("order.placed", subject, data, **envelope)

    def cost(self, subject: str, cost_id: str, amount: str, event_id: str = "", **ids: str) -> Copy:
        """Append a cost of hub h1."""
        data = {"cost_id": cost_id, "hub_id": "h1", "component": "fuel", "amount": amount, "currency": "EUR", **ids}
        return self.event("cost.recorded", subject, data, event_id)

    def retraction(self, subject: str, of: str, event_id: str = "") -> Copy:
        """Append the retraction of event ``of`` of source /s."""
        data = {"retracts": {"source": "/s", "id": of}, "reason": "incorrect_data"}
        return self.event("event.retracted", subject, data, event_id)


Life = dict[tuple[str, str], f.AnyFact]
"""A subject's facts by identity."""


class CrashError(RuntimeError):
    """The worker is dead."""


@dataclass
class Fate:
    """Where the next flush dies: ``lost`` tables are not written any more; ``before`` or ``after`` the KPI rows, or
    before what SLAs have reached is ``told``.
    """

    at: str = ""
    lost: frozenset[str] = frozenset()


class MortalSink(Sink):
    """The real sink, whose worker dies in the middle of a flush where its fate says so; keeps what it was to write."""

    def __init__(self, store: Store) -> None:
        self.dead_letters: list[Any] = []
        self.published: list[str] = []
        super().__init__(store, self._publish, self._publish_told)
        self.fate = Fate()
        self.batch = Batch()

    async def _publish(self, rejected: Any) -> None:
        self.dead_letters += rejected

    async def _publish_told(self, told: Sequence[Told]) -> None:
        if self.fate.at == "told":
            raise CrashError
        self.published += map(event_id, told)

    async def write(self, batch: Batch) -> None:
        """As the real one."""
        self.batch = batch
        await super().write(batch)

    async def _insert(self, table: tables.Table, rows: list[tuple[Any, ...]]) -> None:
        if table is tables.KPIS and self.fate.at == "before":
            raise CrashError
        if not (self.fate.at and table.name in self.fate.lost):
            await super()._insert(table, rows)
        if table is tables.KPIS and self.fate.at == "after":
            raise CrashError


class Worker:
    """An engine over a log."""

    def __init__(self, settings: Settings, store: Store, log: Log, **options: Any) -> None:
        self.log = log
        self.sink = MortalSink(store)
        self.engine = Engine(settings, store, self.sink, Report(), self._end, **options)

    def _end(self, number: int) -> int | None:
        return len(self.log.records[number])

    async def assign(self, *numbers: int) -> dict[int, int]:
        """Take partitions (all if none is named) in hand; gives the cuts."""
        return await self.engine.assign(numbers or range(PARTITIONS))

    async def read(self, most: int = 1_000_000) -> int:
        """Take in up to ``most`` further records of each partition; gives how many in all."""
        before = self.engine.pending
        for number, partition in list(self.engine.partitions.items()):
            start = partition.position
            records = self.log.records[number][start : start + most]
            await self.engine.apply(number, records, partition.reading)
        return self.engine.pending - before

    async def all(self, most: int = 1_000_000) -> None:
        """Read and flush until nothing is left."""
        while await self.read(most):
            await self.engine.flush()


@dataclass
class Expected:
    """What the store must hold of a log, by one plain pass over it."""

    orders: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    cells: Counter[tuple[Any, ...]] = field(default_factory=Counter)
    events: set[tuple[Any, ...]] = field(default_factory=set)
    rejected: dict[tuple[int, int], str] = field(default_factory=dict)
    ledger: dict[tuple[str, str], int] = field(default_factory=dict)


def expected(log: Log) -> Expected:
    """Fold the whole log at once: the first copy of an identity counts."""
    found = Expected()
    for number, records in log.records.items():
        orders: dict[str, Life] = {}
        accounts: dict[str, Life] = {}
        for record in records:
            reason = _sort(record, orders, accounts, found)
            if reason:
                found.rejected[number, record.offset] = reason
        for subject, by_identity in orders.items():
            facts = list(by_identity.values())
            state = fold(facts)
            cells = contributions(state)
            version = facts[-1].offset + 1
            found.orders[subject] = order_row(
                subject, number, version, state, totals(cells), len(facts), f.encode(facts)
            )
            _count(found.cells, number, cells)
        for subject, by_identity in accounts.items():
            account = Account()
            for one in by_identity.values():
                account.add(one)
            for cost_id in account.cost_ids():
                current = account.current(cost_id)
                _count(found.cells, number, cost_contributions(current))
                if current is not None:
                    found.ledger[subject, cost_id] = current.amount
    found.cells = Counter({key: value for key, value in found.cells.items() if value})
    return found


def _sort(record: Copy, orders: dict[str, Life], accounts: dict[str, Life], found: Expected) -> str:
    """Put what a record says where it belongs; gives the reason it is rejected for, else ""."""
    taken = take(record, "EUR")
    if not isinstance(taken, Taken):
        return taken.reason
    fact, conflict, kept = taken.fact, False, True
    if fact is not None:
        if partition_of(taken.subject.encode(), PARTITIONS) != record.partition:
            return "misplaced"
        for belongs, subjects in ((taken.in_ledger, accounts), (taken.in_orders, orders)):
            if belongs:
                first = subjects.setdefault(taken.subject, {}).setdefault(fact.identity, fact)
                kept = first is fact
                conflict = first.digest != fact.digest
    if kept:
        event = taken.event_row
        found.events.add((*event[:3], record.partition, record.offset, event[10], event[11]))
    return "conflict" if conflict else ""


def _count(sums: Counter[tuple[Any, ...]], partition: int, cells: Contributions) -> None:
    for (minute, hub, zone, level, merchant, courier, component, activity), slots in cells.items():
        day = (minute - minute % 1440) * 60
        cost = (component, activity, partition)
        for cell in (
            ("minute", minute * 60, hub, zone, level, merchant, courier, *cost),
            ("hour", (minute - minute % 60) * 60, hub, "", "", "", "", *cost),
            ("day", day, hub, zone, level, merchant, "", *cost),
            ("courier_day", day, hub, zone, level, merchant, courier, *cost),
        ):
            for slot, value in slots:
                name: Any = MEASURES[slot] if slot < HISTOGRAM_SLOT else slot - HISTOGRAM_SLOT
                sums[*cell, name] += value


def stored(store: Store) -> Expected:
    """What the store does hold."""
    found = Expected()
    columns = ", ".join(tables.ORDERS.columns)
    for row in store.query(f"SELECT {columns} FROM orders_store FINAL", binary=["facts"]):
        values = tuple(tuple(value) if isinstance(value, list) else value for value in row)
        found.orders[row[0]] = values
    keys = "toString(grain), toUInt32(minute), hub_id, zone_id, service_level, merchant_id, courier_id, component"
    rows = store.query(
        f"SELECT {keys}, activity, partition, {', '.join(MEASURES)}, hist_bucket, hist_count "
        "FROM kpi_store FINAL WHERE grain != 'cut'"
    )
    for row in rows:
        for name, value in zip(MEASURES, row[10:-2], strict=True):
            found.cells[*row[:10], name] += value
        for bucket, count in zip(row[-2], row[-1], strict=True):
            found.cells[*row[:10], bucket] += count
    found.cells = Counter({key: value for key, value in found.cells.items() if value})
    names = "subject, source, id, partition, offset, testmode, digest"
    found.events = set(store.query(f"SELECT {names} FROM events"))
    letters = store.query("SELECT partition, offset, reason FROM dead_letters")
    found.rejected = {(partition, offset): reason for partition, offset, reason in letters}
    costs = store.query("SELECT subject, cost_id, amount FROM ledger_store FINAL WHERE counted = 1")
    found.ledger = {(subject, cost_id): amount for subject, cost_id, amount in costs}
    return found


def check(store: Store, log: Log) -> None:
    """The store holds exactly what one pass over the log gives."""
    wanted, found = expected(log), stored(store)
    assert found.orders.keys() == wanted.orders.keys()
    for subject, row in wanted.orders.items():
        assert found.orders[subject] == tuple(tuple(v) if isinstance(v, list) else v for v in row), subject
    wrong = {key: (found.cells[key], wanted.cells[key]) for key in found.cells.keys() | wanted.cells.keys()}
    assert {key: pair for key, pair in wrong.items() if pair[0] != pair[1]} == {}
    assert found.events == wanted.events
    assert found.rejected == wanted.rejected
    assert found.ledger == wanted.ledger


def city(orders: int, seed: str, rubbish: int = 20) -> Log:
    """The log of a small simulated city, with records nobody can read strewn in."""
    log, chance = Log(), random.Random(seed)
    lines = list(simulate(Options(orders=orders, seed=seed, start=START, hubs=3, days=1.5)))
    places = set(chance.sample(range(len(lines)), rubbish))
    for number, line in enumerate(lines):
        if number in places:
            log.produce(chance.choice([None, b"", b"\xff\x00", b"{}", line[:-9]]), partition=chance.randrange(4))
        log.produce(line, json.loads(line)["subject"])
    return log


@pytest.fixture
def database(installation: Settings) -> Settings:
    """The module's database, emptied; caches so small that much is evicted."""
    with writer(installation) as store:
        for table in tables.WRITTEN_TABLES:
            store.command(f"TRUNCATE TABLE {table.name}")
    return installation.model_copy(update={"cache_orders": 40, "cache_minutes": 400, "flush_events": 1_000_000})


@pytest.fixture
def store(database: Settings) -> Iterator[Store]:
    """The client that writes into it."""
    with writer(database) as client:
        yield client


@pytest.fixture
def log() -> Log:
    """An empty log."""
    return Log()


@pytest.fixture
def parts() -> Any:
    """What the tests build from: Worker, Log, Fate, CrashError, check, expected, stored, city."""
    return SimpleNamespace(
        Worker=Worker,
        Log=Log,
        Fate=Fate,
        CrashError=CrashError,
        check=check,
        expected=expected,
        stored=stored,
        city=city,
    )
