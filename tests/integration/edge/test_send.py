"""`milepost send`: files in, accepted and refused lines out."""

import asyncio
import gzip
import json
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from milepost.access.keys import KeyFile, Right, new_key, write_keys
from milepost.settings import Settings

from .conftest import serve_edge

pytestmark = pytest.mark.needs_platform

Command = Callable[..., subprocess.CompletedProcess[str]]
OnTopic = Callable[[str], Awaitable[list[Any]]]


def _ready(order: str, number: int, **changes: Any) -> str:
    event = {
        "specversion": "1.0",
        "id": f"e-{number}",
        "source": "/test",
        "type": "milepost.dispatch.ready.v1",
        "time": "2026-03-02T09:30:00Z",
        "subject": order,
        "data": {"order_id": order},
    }
    return json.dumps(event | changes)


@pytest.fixture
def send(milepost: Command, broker: Settings) -> Callable[..., Awaitable[subprocess.CompletedProcess[str]]]:
    """Runs `milepost send` while this process serves."""

    async def run(*arguments: str, **changes: Any) -> subprocess.CompletedProcess[str]:
        settings = broker.model_copy(update=changes)
        return await asyncio.to_thread(milepost, settings, "send", *arguments, check=False)

    return run


async def test_every_line_is_on_the_topic_and_each_order_keeps_its_order(
    send: Any, broker: Settings, on_topic: OnTopic, unique: str, tmp_path: Path
) -> None:
    lines = [_ready(f"{unique}-{number % 37}", number) for number in range(5000)]
    (tmp_path / "one.jsonl").write_text("\n".join(lines[:2000]) + "\n")
    (tmp_path / "two.jsonl.gz").write_bytes(gzip.compress("\n".join(lines[2000:]).encode()))
    async with serve_edge("orders", broker) as url:
        done = await send(str(tmp_path / "one.jsonl"), str(tmp_path / "two.jsonl.gz"), "--edge", url, "--json")
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert (summary["lines"], summary["accepted"], summary["refused"]) == (5000, 5000, 0)
    found = await on_topic(unique)
    assert len(found) == 5000
    for order in range(37):
        ids = [record.event["id"] for record in found if record.key == f"{unique}-{order}"]
        assert ids == [f"e-{number}" for number in range(order, 5000, 37)]


async def test_refused_lines_are_named_with_their_reasons(
    send: Any, broker: Settings, on_topic: OnTopic, unique: str, tmp_path: Path
) -> None:
    path = tmp_path / "mixed.jsonl"
    lines = [
        _ready(unique, 1),
        "not json",
        "",
        _ready(unique, 4, subject="another"),
        _ready(unique, 5, type="milepost.stock.moved.v1"),
        "[]",
        '{"a": "' + "x" * 1_100_000 + '"}',
        _ready(unique, 8),
        _ready(unique, 9, colour="red"),
    ]
    path.write_text("\n".join(lines))
    async with serve_edge("orders", broker) as url:
        done = await send(str(path), "--edge", url)
        short = await send(str(path), "--edge", url, "--show", "1")
    assert done.returncode == 1
    assert f"{path}:2: /: not JSON" in done.stdout
    assert f"{path}:4: /subject: must be the order_id of data" in done.stdout
    assert f"{path}:5: /type: the owner 'stock' is reserved" in done.stdout
    assert f"{path}:6: /: " in done.stdout
    assert f"{path}:7: /: the line is longer than" in done.stdout
    assert f"{path}:9: warning: /colour" in done.stdout
    assert "3 accepted, 5 refused of 8 lines" in done.stdout
    assert "4 more refused lines" in short.stdout
    assert {record.event["id"] for record in await on_topic(unique)} == {"e-1", "e-8", "e-9"}


async def test_nothing_to_send(send: Any, tmp_path: Path) -> None:
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "blank").write_bytes(b"\n\n")
    done = await send(str(tmp_path / "empty"), str(tmp_path / "blank"))
    assert (done.returncode, done.stdout) == (0, "nothing to send\n")


async def test_a_binary_file_is_named_and_nothing_is_sent(send: Any, tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\x7fELF\0\1\2")
    done = await send(str(tmp_path / "binary"))
    assert done.returncode == 1
    assert "binary content" in done.stderr
    assert "Traceback" not in done.stderr


async def test_a_missing_file_is_wrong_usage(send: Any, tmp_path: Path) -> None:
    done = await send(str(tmp_path / "missing"))
    assert done.returncode == 2
    assert done.stderr == f"milepost send: {tmp_path / 'missing'}: No such file or directory\n"


async def test_an_edge_that_comes_later_is_waited_for(
    send: Any, broker: Settings, on_topic: OnTopic, unique: str, tmp_path: Path
) -> None:
    (tmp_path / "one").write_text(_ready(unique, 1))
    tried = asyncio.Event()

    async def hang_up(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tried.set()
        writer.close()

    nobody = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    port = nobody.sockets[0].getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    sending = asyncio.create_task(send(str(tmp_path / "one"), "--edge", url, "--retry-for", "60"))
    await tried.wait()
    nobody.close()
    await nobody.wait_closed()
    async with serve_edge("orders", broker, port):
        done = await sending
    assert done.returncode == 0, done.stderr
    assert "cannot be reached" in done.stderr
    assert len(await on_topic(unique)) == 1


async def test_an_edge_that_never_comes_is_given_up(send: Any, unique: str, tmp_path: Path) -> None:
    (tmp_path / "one").write_text(_ready(unique, 1))
    done = await send(str(tmp_path / "one"), "--edge", "http://127.0.0.1:1", "--retry-for", "1")
    assert done.returncode == 1
    assert "gave up after 1 s" in done.stderr
    assert "1 lines read are not confirmed" in done.stderr


async def test_an_edge_without_its_broker_is_given_up_too(
    send: Any, broker: Settings, unique: str, tmp_path: Path
) -> None:
    (tmp_path / "one").write_text(_ready(unique, 1))
    async with serve_edge("orders", broker.model_copy(update={"kafka": "127.0.0.1:1"})) as url:
        done = await send(str(tmp_path / "one"), "--edge", url, "--retry-for", "1", "--json")
    assert done.returncode == 1
    summary = json.loads(done.stdout)
    assert (summary["accepted"], summary["unconfirmed"]) == (0, 1)
    assert "503" in summary["stopped"]


async def test_a_key_is_needed_where_keys_are_kept(
    send: Any, broker: Settings, on_topic: OnTopic, unique: str, tmp_path: Path
) -> None:
    key, stored = new_key("test", [Right.WRITE], "/test")
    write_keys(tmp_path / "keys.json", KeyFile((stored,)))
    (tmp_path / "one").write_text(_ready(unique, 1) + "\n" + _ready(unique, 2, source="/other"))
    async with serve_edge("orders", broker.model_copy(update={"keys": tmp_path / "keys.json"})) as url:
        without = await send(str(tmp_path / "one"), "--edge", url)
        done = await send(str(tmp_path / "one"), "--edge", url, edge_key=key)
    assert without.returncode == 1
    assert "MILEPOST_EDGE_KEY" in without.stderr
    assert done.returncode == 1
    assert "one:2: /source: the key of 'test' writes only under '/test'" in done.stdout
    assert [record.event["id"] for record in await on_topic(unique)] == ["e-1"]


async def test_a_batch_too_large_for_the_edge_goes_in_halves(
    send: Any, broker: Settings, on_topic: OnTopic, unique: str, tmp_path: Path
) -> None:
    (tmp_path / "many").write_text("\n".join(_ready(unique, number) for number in range(100)))
    async with serve_edge("orders", broker.model_copy(update={"max_batch_events": 7})) as url:
        done = await send(str(tmp_path / "many"), "--edge", url)
    assert done.returncode == 0, done.stderr
    assert [record.event["id"] for record in await on_topic(unique)] == [f"e-{number}" for number in range(100)]
