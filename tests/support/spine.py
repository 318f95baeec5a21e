"""Events in, KPIs out: a platform of its own with an edge service and a processor, its answers held to a truth."""

import json
import sys
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import msgspec
from kafka import KafkaConsumer, TopicPartition

from milepost.bus import topics
from milepost.contracts.topics import LIFECYCLE
from milepost.embedded import parts
from milepost.embedded.platform import Platform
from milepost.embedded.process import Part, environment
from milepost.reading.kpis import answer
from milepost.reading.question import ask
from milepost.settings import Service, Settings
from milepost.store import migrations
from milepost.store.client import Store, reader, writer
from milepost.store.offset_bases import offset_bases

Row = dict[str, Any]
EDGE = Service.ORDERS.value
PROCESSOR = Service.PROCESSOR.value
ENGINE = Service.CLICKHOUSE.value

CATCH_UP_SECONDS = 120.0
QUANTILE_ERROR = 0.01
MINUTES_ERROR = 1e-6


def install(settings: Settings) -> None:
    """As ``milepost topics apply`` and ``milepost migrate apply`` do it, without a process for each."""
    states = topics.apply(settings)
    assert all(state.in_order for state in states), states
    migrations.apply(settings)


def cuts(store: Store) -> dict[int, int]:
    """How far every partition is stored."""
    return dict(store.query("SELECT partition, max(version) FROM kpi_store WHERE grain = 'cut' GROUP BY partition"))


class Spine:
    """The parts, running, between an empty topic and an empty database."""

    def __init__(self, folder: Path, settings: Settings, milepost: Callable[..., Any]) -> None:
        self.settings = settings
        self.platform = Platform(folder, settings)
        self._milepost = milepost

    def __enter__(self) -> Self:
        self.platform.start_infrastructure()
        try:
            install(self.settings)
            self.start_services()
        except BaseException:
            self.platform.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.platform.stop()

    def start_services(self) -> None:
        """Start the edge service and the processor, topics and schema being there."""
        command = (sys.executable, "-m", "milepost.cli", "run", EDGE)
        port = self.settings.port_of(Service.ORDERS)
        self.platform.add(Part(EDGE, command, port, "/readyz", environment=environment(self.settings)))
        self.platform.add(parts.worker(0, self.settings))
        self.platform.start(EDGE)
        self.platform.start(PROCESSOR, wait=False)

    def command(self, *arguments: str) -> str:
        """Run a command to its good end; gives what it printed."""
        return str(self._milepost(self.settings, *arguments).stdout)

    def send(self, *files: Path) -> Row:
        """``milepost send``; gives its summary."""
        found: Row = json.loads(self.command("send", "--json", *map(str, files)))
        return found

    def kpi(self, *options: str) -> list[Row]:
        """``milepost kpi``; its rows."""
        rows: list[Row] = json.loads(self.command("kpi", "--json", *options))["rows"]
        return rows

    def ask(self, **question: Any) -> list[Row]:
        """The same without a process for it; ``question`` as ``milepost.reading.question.ask`` takes it."""
        now = datetime.now(UTC)
        with reader(self.settings) as store:
            found = answer(store, ask(now, **question), now)
        rows: list[Row] = json.loads(msgspec.json.encode(found))["rows"]
        return rows

    def store(self) -> Store:
        """The client that writes."""
        return writer(self.settings)

    def ends(self) -> dict[int, int]:
        """The end of every partition that holds something, as the store counts."""
        consumer = KafkaConsumer(bootstrap_servers=self.settings.kafka_servers)
        try:
            places = [TopicPartition(LIFECYCLE.name, number) for number in range(self.settings.partitions)]
            with self.store() as store:
                bases = offset_bases(store)
            ends = {
                one.partition: end + bases.get(one.partition, 0) for one, end in consumer.end_offsets(places).items()
            }
            return {number: end for number, end in ends.items() if end}
        finally:
            consumer.close()

    def cuts(self) -> dict[int, int]:
        """How far every partition is stored."""
        with self.store() as store:
            return cuts(store)

    def wait(self, condition: Callable[[], bool], what: str) -> None:
        """Wait until ``condition`` holds; raises with the processor's last words where it does not."""
        deadline = time.monotonic() + CATCH_UP_SECONDS
        while not condition():
            if time.monotonic() > deadline:
                raise AssertionError(f"{what}: not in time\n{self.platform.log(PROCESSOR).read_text()[-4_000:]}")
            time.sleep(0.05)

    def catch_up(self) -> None:
        """Wait until everything on the topic is stored."""
        ends = self.ends()
        self.wait(lambda: self.cuts() == ends, f"stored up to {ends}")


def differences(rows: Iterable[Row], truth: Iterable[Row]) -> list[str]:
    """Where ``rows`` say something else than ``truth``, or count something that it does not have."""
    found = {_place(row): row for row in rows if row["denominator"] is not None}
    faults = []
    for wanted in truth:
        row = found.pop(_place(wanted), None)
        if row is None:
            if wanted["denominator"] or wanted["numerator"]:
                faults.append(f"missing: {wanted}")
            continue
        faults += [f"{_place(row)}: {fault}" for fault in _faults(row, wanted)]
    faults += [f"surplus: {row}" for row in found.values() if row["denominator"] or row["numerator"]]
    return faults


def _place(row: Row) -> tuple[str, tuple[tuple[str, str], ...]]:
    return row["kpi"], tuple(sorted(row["dimensions"].items()))


def _faults(row: Row, wanted: Row) -> Iterable[str]:
    if row["denominator"] != wanted["denominator"] or abs(row["numerator"] - wanted["numerator"]) > MINUTES_ERROR:
        yield f"{row['numerator']} / {row['denominator']}, truly {wanted['numerator']} / {wanted['denominator']}"
    for name in ("value", "coverage", "mean", "high"):
        if name in wanted and not _near(row.get(name), wanted[name], 1e-9):
            yield f"{name} {row.get(name)}, truly {wanted[name]}"
    for name in ("p50", "p90", "p95"):
        if name in wanted and not _near(row[name], wanted[name], QUANTILE_ERROR):
            yield f"{name} {row[name]}, truly {wanted[name]}"


def _near(one: float | None, other: float | None, error: float) -> bool:
    if one is None or other is None:
        return one is other
    return abs(one - other) <= error * abs(other) + 1e-12
