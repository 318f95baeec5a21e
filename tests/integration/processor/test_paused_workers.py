"""Real workers whose partitions wait, and workers that are stuck, between the real broker and the real store."""

import asyncio
import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from spine import cuts, install

from milepost.bus.partitions import partition_of
from milepost.embedded import parts as embedded_parts
from milepost.embedded.process import Part, spawn, stop, wait_ready
from milepost.embedded.supervisor import State, Supervisor
from milepost.settings import Service, Settings
from milepost.store.client import Store, writer

pytestmark = pytest.mark.needs_platform

WAIT_SECONDS = 120.0
STUCK = Path(__file__).parents[2] / "support" / "stuck_worker.py"


@pytest.fixture
def own(start_platform: Callable[..., Any]) -> Settings:
    """An installation with a topic of its own, so that what waits is this test's alone."""
    settings: Settings = start_platform(flush_seconds=0.05, stall_seconds=10.0).settings
    install(settings)
    return settings


@pytest.fixture
def store(own: Settings) -> Iterator[Store]:
    """The client of that installation."""
    with writer(own) as client:
        yield client


def until(condition: Callable[[], bool], what: str, log: Path) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"not in {WAIT_SECONDS:.0f} s: {what}\n{log.read_text()[-4_000:]}")
        time.sleep(0.1)


def order_of(partition: int, prefix: str) -> str:
    """The id of an order that belongs into a partition."""
    return next(one for one in (f"{prefix}{n}" for n in range(1_000)) if partition_of(one.encode(), 4) == partition)


def due(store: Store) -> int:
    return int(store.query("SELECT sum(due) FROM kpi_minutes")[0][0])


def page(settings: Settings, path: str) -> httpx.Response:
    return httpx.get(settings.url_of(Service.PROCESSOR) + path, timeout=5)


def paused_metric(settings: Settings) -> dict[str, float]:
    return {
        sample.labels["partition"]: sample.value
        for family in text_string_to_metric_families(page(settings, "/metrics").text)
        for sample in family.samples
        if sample.name == "milepost_partition_paused"
    }


def test_a_partition_waits_over_a_restart_and_goes_on_when_told(
    own: Settings, store: Store, parts: Any, milepost: Any, tmp_path: Path
) -> None:
    logfile = tmp_path / "worker.log"
    part = embedded_parts.worker(0, own)
    running = spawn(part, logfile)
    try:
        wait_ready(part, running, WAIT_SECONDS, logfile)
        assert paused_metric(own) == dict.fromkeys("0123", 0.0)
        log = parts.Log()
        log.placed(order_of(1, "before-"))
        for _ in range(900):
            log.produce(b"rubbish", partition=1)
        log.placed(order_of(1, "after-"))
        for number in (0, 2, 3):
            log.placed(order_of(number, "other-"))
        log.send(own)
        until(lambda: page(own, "/readyz").status_code == 503 and due(store) == 4, "partition 1 waits", logfile)
        (missing,) = page(own, "/readyz").json()["missing"]
        assert missing.startswith("partition 1 waits before offset ")
        assert "records in a row failed" in missing
        assert page(own, "/healthz").status_code == 200
        until(lambda: paused_metric(own) == {"0": 0.0, "1": 1.0, "2": 0.0, "3": 0.0}, "the metric says so", logfile)
        assert 200 <= cuts(store)[1] <= 701

        stop(running, 20)
        running = spawn(part, logfile)
        until(lambda: "waits before offset" in logfile.read_text()[-20_000:], "it waits on", logfile)
        log.records = {number: [] for number in range(4)}
        log.placed(order_of(0, "later-"))
        log.send(own)
        until(lambda: due(store) == 5, "the others go on", logfile)
        stopped_at = cuts(store)[1]
        # Longer than a stall may last: a partition that waits is none.
        time.sleep(own.stall_seconds + 2)
        assert running.poll() is None
        assert cuts(store)[1] == stopped_at

        listed = json.loads(milepost(own, "dead-letters", "ls", "--json").stdout)
        assert [pause["partition"] for pause in listed["paused"]] == [1]
        assert listed["counts"][0]["letters"] == stopped_at - 1
        # It counts anew after each answer, so as much may fail again.
        for _ in range(10):
            said = json.loads(milepost(own, "dead-letters", "resume", "--partition", "1", "--json").stdout)
            assert said["resumed"] == [1]
            until(lambda: page(own, "/readyz").status_code == 200, "it goes on", logfile)
            until(lambda: due(store) == 6 or page(own, "/readyz").status_code == 503, "the end or a pause", logfile)
            time.sleep(2)
            if page(own, "/readyz").status_code == 200:
                break
        assert due(store) == 6
        assert paused_metric(own)["1"] == 0.0
        parts.check(store, parts.Log.of_topic(own))
    finally:
        stop(running, 20)


def test_replay_and_drop_by_command(own: Settings, store: Store, parts: Any, milepost: Any, tmp_path: Path) -> None:
    logfile = tmp_path / "worker.log"
    log = parts.Log()
    stray = log.placed("o-1")
    log.records[stray.partition].clear()
    wrong = (stray.partition + 1) % 4
    log.produce(stray.value, "another", wrong)
    log.produce(b"\xff\x00rubbish", partition=wrong)
    log.send(own)
    part = embedded_parts.worker(0, own)
    running = spawn(part, logfile)

    def letters() -> dict[str, tuple[str, int, str]]:
        rows = store.query("SELECT reason, state, attempts, note FROM dead_letters")
        return {reason: (state, attempts, note) for reason, state, attempts, note in rows}

    try:
        until(lambda: len(letters()) == 2, "both are dead letters", logfile)
        shown = json.loads(milepost(own, "dead-letters", "show", f"milepost.lifecycle.v1/{wrong}/1", "--json").stdout)
        assert (shown["record_value"], shown["record_value_encoding"]) == (b"\xff\x00rubbish".hex(), "hex")
        assert "milepost.lifecycle.v1" in milepost(own, "dead-letters", "show", shown["place"]).stdout
        for _ in range(2):
            place = f"milepost.lifecycle.v1/{wrong}/0"
            done = milepost(own, "dead-letters", "replay", place, "--yes", "--json")
            assert json.loads(done.stdout) == {"replayed": 1, "refused": []}
        until(lambda: due(store) == 1, "it counts", logfile)
        milepost(own, "dead-letters", "replay", "--all", "--yes")
        until(lambda: letters()["not_json"] == ("open", 2, ""), "what fails again is open again", logfile)
        assert letters()["misplaced"] == ("replayed", 3, "")
        assert milepost(own, "dead-letters", "drop", "--all", "--yes", check=False).returncode == 2
        milepost(own, "dead-letters", "drop", "--reason", "not_json", "--note", "a test of theirs", "--yes")
        assert letters()["not_json"] == ("dropped", 2, "a test of theirs")
        assert "dropped" in milepost(own, "dead-letters", "ls").stdout
        assert json.loads(milepost(own, "dead-letters", "ls", "--state", "open", "--json").stdout)["letters"] == []
        assert due(store) == 1
        assert store.query("SELECT count() FROM events") == [(1,)]
        refused = milepost(own, "dead-letters", "show", "milepost.lifecycle.v1/0/99", check=False)
        assert refused.returncode == 1
        assert milepost(own, "dead-letters", "replay", check=False).returncode == 2
    finally:
        stop(running, 20)


@pytest.mark.parametrize(("how", "words"), [("loop", "Timeout (0:00:10)!"), ("fetch", "partition 0 for")])
async def test_a_stuck_worker_ends_and_is_started_again(
    own: Settings, store: Store, parts: Any, tmp_path: Path, how: str, words: str
) -> None:
    marker = tmp_path / "marker"
    whole = embedded_parts.worker(0, own)
    part: Part = replace(whole, argv=(sys.executable, str(STUCK), how, str(marker)), after=())
    log = parts.Log()
    for number in range(4):
        log.placed(order_of(number, how))
    stopping, killing = asyncio.Event(), asyncio.Event()
    ends: list[str] = []
    supervisor = Supervisor(
        [part], tmp_path / "logs", lambda status: ends.append(status.note) if status.state is State.RESTARTING else None
    )
    supervising = asyncio.create_task(supervisor.run(stopping, killing))
    try:
        async with asyncio.timeout(WAIT_SECONDS):
            await supervisor.wait_ready()
            await asyncio.to_thread(log.send, own)
            while await asyncio.to_thread(due, store) < 4:
                assert not supervising.done()
                await asyncio.sleep(0.2)
    finally:
        stopping.set()
        await supervising
    assert ends == ["ended with 1"]
    assert words in supervisor.log(part.name).read_text()
    parts.check(store, parts.Log.of_topic(own))
