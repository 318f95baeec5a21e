"""Workers as processes, between the real broker and the real store."""

import importlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from asgi_lifespan import LifespanManager
from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from spine import cuts, install

from milepost.contracts import topics
from milepost.contracts.catalogue import EVENT_TYPES
from milepost.embedded import parts as embedded_parts
from milepost.embedded.process import signal_group, spawn, stop, wait_ready
from milepost.processor.writing.letters import KEPT_BYTES
from milepost.settings import EDGE_SERVICES, Service, Settings
from milepost.store.client import Store, writer

pytestmark = pytest.mark.needs_platform

CATCH_UP_SECONDS = 120.0


class Workers:
    """Processor workers of one installation, by index; small flushes, so that there is much to interrupt."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.settings = settings.model_copy(update={"flush_events": 200, "flush_seconds": 0.05})
        self._folder = folder
        self._running: dict[int, subprocess.Popen[bytes]] = {}

    def start(self, index: int = 0, *, wait: bool = True) -> None:
        """Start worker ``index``, and wait until it has partitions."""
        part = embedded_parts.worker(index, self.settings)
        self._running[index] = spawn(part, self.log(index))
        if wait:
            wait_ready(part, self._running[index], 90, self.log(index))

    def log(self, index: int = 0) -> Path:
        """Where its output goes."""
        return self._folder / f"worker-{index}.log"

    def kill(self, index: int = 0) -> None:
        """``kill -9``."""
        process = self._running.pop(index)
        signal_group(process, signal.SIGKILL)
        process.wait()

    @contextmanager
    def frozen(self, index: int = 0) -> Iterator[None]:
        """It stands still meanwhile."""
        signal_group(self._running[index], signal.SIGSTOP)
        try:
            yield
        finally:
            signal_group(self._running[index], signal.SIGCONT)

    def terminate(self, index: int = 0) -> tuple[int, float]:
        """SIGTERM; gives the exit code and how many seconds it took."""
        process = self._running.pop(index)
        began = time.monotonic()
        code = stop(process, 20)
        return code, time.monotonic() - began

    def alive(self) -> list[int]:
        """Those that still run."""
        return [index for index, process in self._running.items() if process.poll() is None]

    def stop(self) -> None:
        """End all that are left; they leave the group, so that the next need not wait for them."""
        for index in list(self._running):
            self.terminate(index)


@pytest.fixture
def store(installation: Settings) -> Iterator[Store]:
    """The client of the module's installation."""
    with writer(installation) as client:
        yield client


@pytest.fixture
def workers(installation: Settings, tmp_path: Path) -> Iterator[Workers]:
    """Workers of the module's installation; none runs yet."""
    all_of_them = Workers(installation, tmp_path)
    yield all_of_them
    all_of_them.stop()


def _ends(settings: Settings, topic: str = topics.LIFECYCLE.name) -> dict[int, int]:
    consumer = KafkaConsumer(bootstrap_servers=settings.kafka_servers)
    try:
        places = [TopicPartition(topic, number) for number in sorted(consumer.partitions_for_topic(topic))]
        return {place.partition: end for place, end in consumer.end_offsets(places).items()}
    finally:
        consumer.close()


def _letters(settings: Settings) -> list[tuple[bytes, dict[str, str]]]:
    """Value and headers of every dead letter on the topic."""
    consumer = KafkaConsumer(bootstrap_servers=settings.kafka_servers)
    try:
        place = TopicPartition(topics.DEAD_LETTERS.name, 0)
        consumer.assign([place])
        consumer.seek_to_beginning()
        end = consumer.end_offsets([place])[place]
        found = []
        while consumer.position(place) < end:
            for letters in consumer.poll(1_000).values():
                found += [(one.value, {name: value.decode() for name, value in one.headers}) for one in letters]
        return found
    finally:
        consumer.close()


def _until(condition: Callable[[], bool], what: str, workers: Workers) -> None:
    deadline = time.monotonic() + CATCH_UP_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            logs = "\n".join(path.read_text()[-3_000:] for path in workers.log().parent.glob("worker-*.log"))
            pytest.fail(f"not in {CATCH_UP_SECONDS:.0f} s: {what}\n{logs}")
        time.sleep(0.02)


def _catch_up(workers: Workers, store: Store) -> None:
    ends = {number: end for number, end in _ends(workers.settings).items() if end}
    _until(lambda: cuts(store) == ends, f"the cuts are at {ends}", workers)


def _produce_and_advance(workers: Workers, store: Store, log: Any, records: int) -> None:
    """Send a log, and wait until ``records`` more than before are stored."""
    wanted = sum(cuts(store).values()) + records
    log.send(workers.settings)
    _until(lambda: sum(cuts(store).values()) >= wanted, f"{wanted} records are stored", workers)


def test_rubbish_on_the_topic_goes_to_the_dead_letters_and_the_rest_goes_on(
    workers: Workers, store: Store, parts: Any
) -> None:
    before = _ends(workers.settings, topics.DEAD_LETTERS.name).get(0, 0)
    log = parts.city(60, "rubbish", rubbish=40)
    log.placed("o-misplaced")
    stray = next(records for records in log.records.values() if records and records[-1].key == b"o-misplaced").pop()
    log.produce(stray.value, "o-misplaced", (stray.partition + 1) % 4)
    log.send(workers.settings)
    workers.start()
    _catch_up(workers, store)
    code, seconds = workers.terminate()
    assert code == 0
    assert seconds < 10
    on_topic = parts.Log.of_topic(workers.settings)
    parts.check(store, on_topic)
    rejected = parts.expected(on_topic).rejected
    assert {"not_json", "invalid", "misplaced"} <= set(rejected.values())
    consumer = KafkaConsumer(bootstrap_servers=workers.settings.kafka_servers, consumer_timeout_ms=20_000)
    place = TopicPartition(topics.DEAD_LETTERS.name, 0)
    consumer.assign([place])
    consumer.seek(place, before)
    found = {}
    for letter in consumer:
        headers = {name: value.decode() for name, value in letter.headers}
        origin = int(headers["partition"]), int(headers["offset"])
        assert headers["topic"] == topics.LIFECYCLE.name
        assert headers["detail"]
        found[origin] = headers["reason"]
        (record,) = (one for one in on_topic.records[origin[0]] if one.offset == origin[1])
        assert (letter.value or b"", letter.key or b"") == (record.value or b"", record.key or b"")
        if len(found) == len(rejected):
            break
    consumer.close()
    assert found == rejected


def test_a_record_too_large_for_the_dead_letters_topic_does_not_stop_the_pipeline(
    workers: Workers, store: Store, parts: Any
) -> None:
    # Small for the broker, which counts compressed bytes; eight megabytes for whoever reads it.
    log = parts.Log()
    huge = log.produce(b"\xff" * 8_000_000, "k" * 100_000)
    log.placed("o-after-huge")
    log.send(workers.settings)
    workers.start()
    _catch_up(workers, store)
    parts.check(store, parts.Log.of_topic(workers.settings))
    lengths = store.query("SELECT length(record_value), length(record_key) FROM dead_letters ORDER BY 1 DESC LIMIT 1")
    assert lengths == [(len(huge.value), len(huge.key))]
    letters = _letters(workers.settings)
    assert [len(value) for value, headers in letters if "truncated" in headers] == [KEPT_BYTES]
    assert [headers["truncated"] for _, headers in letters if "truncated" in headers] == [str(len(huge.value))]


def test_kill_9_in_the_middle_of_a_load(workers: Workers, store: Store, parts: Any) -> None:
    workers.start()
    _produce_and_advance(workers, store, parts.city(300, "killed", rubbish=5), 200)
    workers.kill()
    workers.start(wait=False)
    _catch_up(workers, store)
    parts.check(store, parts.Log.of_topic(workers.settings))


def test_two_share_the_partitions_one_leaves_one_is_killed(workers: Workers, store: Store, parts: Any) -> None:
    workers.start(0)
    parts.city(120, "shared", rubbish=5).send(workers.settings)
    workers.start(1)
    code, seconds = workers.terminate(0)
    assert code == 0
    assert seconds < 10
    parts.city(100, "shared-2", rubbish=5).send(workers.settings)
    _catch_up(workers, store)
    workers.start(0)
    parts.city(100, "shared-3", rubbish=5).send(workers.settings)
    workers.kill(1)
    _catch_up(workers, store)
    assert workers.alive() == [0]
    parts.check(store, parts.Log.of_topic(workers.settings))


def test_one_that_was_taken_for_dead_wakes_and_writes_nothing_more(workers: Workers, store: Store, parts: Any) -> None:
    workers.start(0)
    parts.city(60, "before-the-freeze").send(workers.settings)
    workers.start(1)
    _catch_up(workers, store)
    with workers.frozen(0):
        parts.city(60, "in-the-freeze").send(workers.settings)
        _until(lambda: workers.log(1).read_text().count("Resuming flow") > 1, "the other has taken over", workers)
    _until(lambda: "has not heard of us" in workers.log(0).read_text(), "it learns that it was missed", workers)
    parts.city(60, "after-the-freeze").send(workers.settings)
    _catch_up(workers, store)
    assert workers.alive() == [0, 1]
    parts.check(store, parts.Log.of_topic(workers.settings))


def test_sigterm_stops_a_worker_soon_with_what_is_stored_committed(workers: Workers, store: Store, parts: Any) -> None:
    workers.start()
    _produce_and_advance(workers, store, parts.city(60, "terminated", rubbish=5), 100)
    code, seconds = workers.terminate()
    assert code == 0
    assert seconds < 10
    admin = KafkaAdminClient(bootstrap_servers=workers.settings.kafka_servers)
    try:
        committed = admin.list_group_offsets([workers.settings.consumer_group])
    finally:
        admin.close()
    stored = cuts(store)
    offsets = {place.partition: found.offset for place, found in committed[workers.settings.consumer_group].items()}
    assert offsets == stored
    log = parts.Log.of_topic(workers.settings)
    log.records = {number: records[: stored.get(number, 0)] for number, records in log.records.items()}
    parts.check(store, log)
    workers.start()
    _catch_up(workers, store)
    parts.check(store, parts.Log.of_topic(workers.settings))


@pytest.mark.embedded_only
@pytest.mark.parametrize("silent", [Service.KAFKA, Service.CLICKHOUSE])
def test_a_stop_ends_while_the_other_side_says_nothing(
    start_platform: Callable[..., Any], parts: Any, tmp_path: Path, silent: Service
) -> None:
    platform = start_platform(flush_seconds=0.05)
    install(platform.settings)
    workers = Workers(platform.settings, tmp_path)
    with writer(platform.settings) as store:
        workers.start()
        _produce_and_advance(workers, store, parts.city(20, "stored"), 1)
        os.killpg(platform.pid(silent.value), signal.SIGSTOP)
        try:
            if silent is Service.CLICKHOUSE:
                parts.city(20, "in-hand").send(workers.settings)
            code, seconds = workers.terminate()
        finally:
            os.killpg(platform.pid(silent.value), signal.SIGCONT)
        assert code == 0
        assert seconds < 15
        workers.start()
        _catch_up(workers, store)
        parts.check(store, parts.Log.of_topic(workers.settings))
        workers.stop()


async def test_every_example_goes_through_every_edge_service_and_the_processor(
    workers: Workers, store: Store, parts: Any, unique: str
) -> None:
    events = [
        {
            "specversion": "1.0",
            "id": f"{number}-{place}",
            "type": kind.name,
            "time": "2026-03-02T09:00:00Z",
            "subject": next((data[name] for name in kind.subjects if data.get(name)), "order-1001"),
            "data": data,
        }
        for number, kind in enumerate(EVENT_TYPES.values())
        for place, data in enumerate(kind.examples)
    ]
    for service in EDGE_SERVICES:
        app = importlib.import_module(f"milepost.{service.value}.app").create_app(workers.settings)
        transport = httpx.ASGITransport(app=app)
        async with LifespanManager(app), httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
            batch = [{**event, "source": f"/{unique}/{service.value}"} for event in events]
            answer = await http.post(
                "/v1/events", json=batch, headers={"content-type": "application/cloudevents-batch+json"}
            )
            assert answer.status_code == 202, answer.text
            assert answer.json()["accepted"] == len(events)
    workers.start()
    _catch_up(workers, store)
    mine = store.query(
        "SELECT source, type, count(), min(recorded) IS NOT NULL FROM events WHERE startsWith(source, {of:String}) "
        "GROUP BY source, type",
        {"of": f"/{unique}/"},
    )
    examples = {kind.name: len(kind.examples) for kind in EVENT_TYPES.values()}
    assert sorted(mine) == sorted(
        (f"/{unique}/{service.value}", name, count, 1) for service in EDGE_SERVICES for name, count in examples.items()
    )
    assert store.query("SELECT * FROM dead_letters WHERE startsWith(source, {of:String})", {"of": f"/{unique}/"}) == []
    parts.check(store, parts.Log.of_topic(workers.settings))
