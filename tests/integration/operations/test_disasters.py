"""Everything lost, and brought back from a backup taken under load: the numbers are the true ones."""

import gzip
import json
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from spine import EDGE, ENGINE, PROCESSOR, Spine, differences

from milepost.edge.media_types import BATCH
from milepost.settings import Service, Settings
from milepost.store.offset_bases import offset_bases

pytestmark = [pytest.mark.needs_platform, pytest.mark.embedded_only]

ORDERS = 400
KAFKA = Service.KAFKA.value
LETTERS = "SELECT topic, partition, offset, reason, record_value FROM dead_letters ORDER BY ALL"


def test_the_data_is_lost_and_then_the_broker_too(
    tmp_path: Path, free_settings: Callable[[], Settings], milepost: Callable[..., Any]
) -> None:
    events, truth_file = tmp_path / "events.jsonl.gz", tmp_path / "truth.json"
    settings = free_settings().model_copy(update={"flush_events": 600})
    with Spine(tmp_path / "platform", settings, milepost) as spine:
        seeded = ("--orders", str(ORDERS), "--seed", "21")
        spine.command("simulate", *seeded, "--out", str(events), "--truth", str(truth_file))
        truth = json.loads(truth_file.read_text())
        lines = gzip.decompress(events.read_bytes()).splitlines(keepends=True)
        half, more = len(lines) // 2, len(lines) * 3 // 4
        first, second, third = (
            _file(tmp_path / f"{name}.jsonl", part)
            for name, part in (("1", lines[:half]), ("2", lines[half:more]), ("3", lines[more:]))
        )

        # The first is made while events stream in.
        made_it = threading.Event()
        sending = threading.Thread(target=_stream, args=(settings, lines[:half], made_it))
        sending.start()
        spine.wait(lambda: sum(spine.cuts().values()) > half // 8, "a first part is stored")
        made = json.loads(spine.command("backup", "--json", str(tmp_path / "one")))
        made_it.set()
        sending.join()
        cut = {int(number): place["cut"] for number, place in made["partitions"].items()}
        spine.catch_up()
        assert 0 < sum(cut.values()) < sum(spine.cuts().values())

        _lose(spine, PROCESSOR, ENGINE)
        spine.command("restore", str(tmp_path / "one"))
        assert spine.cuts() == {number: offset for number, offset in cut.items() if offset}
        spine.platform.start(PROCESSOR, wait=False)
        spine.send(second)
        spine.catch_up()
        with spine.store() as store:
            letters = store.query(LETTERS)

        # The second is made in peace; what comes after it is lost with the broker.
        made = json.loads(spine.command("backup", "--json", str(tmp_path / "two")))
        assert {int(number): place["cut"] for number, place in made["partitions"].items()} == spine.cuts()
        spine.send(third)
        spine.catch_up()
        _right(spine, truth)
        _lose(spine, PROCESSOR, EDGE, ENGINE, KAFKA)
        spine.command("topics", "apply")
        refused = milepost(settings, "restore", str(tmp_path / "two"), check=False)
        assert (refused.returncode, "--new-topic" in refused.stderr) == (1, True), refused.stderr
        spine.command("restore", "--new-topic", str(tmp_path / "two"))
        before = spine.cuts()
        spine.platform.start(EDGE)
        spine.platform.start(PROCESSOR, wait=False)
        # Nobody knows what was lost, so all is sent again.
        spine.send(first, second, third)
        spine.catch_up()
        _right(spine, truth)
        with spine.store() as store:
            assert offset_bases(store) == before
            assert set(letters) <= set(store.query(LETTERS))
            (counts,) = store.query("SELECT count(), uniqExact(subject, source, id) FROM events WHERE testmode = 0")
            assert counts[0] == counts[1]

        spine.platform.kill(PROCESSOR)
        spine.platform.start(PROCESSOR, wait=False)
        spine.send(second)
        spine.catch_up()
        _right(spine, truth)
        assert "rebuilding" not in spine.platform.log(PROCESSOR).read_text()


def _file(path: Path, lines: list[bytes]) -> Path:
    path.write_bytes(b"".join(lines))
    return path


def _stream(settings: Settings, lines: list[bytes], hurry: threading.Event) -> None:
    """Send piece by piece, taking time until ``hurry``."""
    with httpx.Client(base_url=settings.edge_url) as client:
        for start in range(0, len(lines), 40):
            body = b"[" + b",".join(lines[start : start + 40]) + b"]"
            answer = client.post("/v1/events", content=body, headers={"content-type": BATCH})
            assert answer.status_code == 202, answer.text
            hurry.wait(0.2)


def _lose(spine: Spine, *parts: str) -> None:
    """Kill ``parts`` and destroy what the engines among them kept; the engines start anew."""
    for name in parts:
        spine.platform.kill(name)
    for name in (ENGINE, KAFKA):
        if name in parts:
            shutil.rmtree(spine.platform.data / name)
            spine.platform.start(name)


def _right(spine: Spine, truth: dict[str, Any]) -> None:
    assert differences(spine.ask(window="all"), truth["overall"]) == []
    for dimension in ("hub_id", "courier_id"):
        assert differences(spine.ask(window="all", by=[dimension]), truth["by"][dimension]) == [], dimension
    for window in truth["windows"]:
        assert differences(spine.ask(start=window["from"], end=window["to"]), window["rows"]) == [], window["from"]
