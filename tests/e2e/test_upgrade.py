"""What an earlier release left behind goes on under this one: its database, its topics, the events still to come."""

import base64
import json
import lzma
import time
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import Any

import clickhouse_connect
import pytest
from kafka import KafkaProducer
from kafka.admin import KafkaAdminClient
from spine import Spine, differences

from milepost.settings import Settings
from milepost.store.client import administrator, writer
from milepost.store.migration_files import Migration, available

pytestmark = pytest.mark.needs_platform

RECORDED = Path(__file__).parents[1] / "fixtures" / "upgrade"
RELEASES = sorted(path.name for path in RECORDED.iterdir() if path.is_dir())


class Recording:
    """What one release left behind."""

    def __init__(self, release: str) -> None:
        self.folder = RECORDED / release
        self.manifest: dict[str, Any] = json.loads((self.folder / "manifest.json").read_text())

    def plain(self, name: str) -> bytes:
        """A file of the recording, as it was before it was compressed."""
        return lzma.decompress((self.folder / f"{name}.xz").read_bytes())

    def truth(self) -> dict[str, Any]:
        """The true KPIs once all is sent."""
        found: dict[str, Any] = json.loads(self.plain("truth.json"))
        windows = (window["rows"] for window in found["windows"])
        for row in chain(found["overall"], *found["by"].values(), *windows):
            # 0.1.0 wrote 0 where nothing is known.
            if row.get("coverage") == 0:
                row["value"] = None
        return found

    def put_back_topics(self, settings: Settings) -> None:
        """Make the topics, and append every record again: each gets the offset it had."""
        admin = KafkaAdminClient(bootstrap_servers=settings.kafka_servers)
        admin.create_topics(
            {
                name: {"num_partitions": len(ends), "replication_factor": 1}
                for name, ends in self.manifest["topics"].items()
            }
        )
        admin.wait_for_topics(list(self.manifest["topics"]))
        admin.close()
        producer = KafkaProducer(bootstrap_servers=settings.kafka_servers, acks="all", linger_ms=20)
        sent = []
        for name in self.manifest["topics"]:
            for line in self.plain(f"topics/{name}.jsonl").splitlines():
                one = json.loads(line)
                headers = [(header, _raw(value) or b"") for header, value in one["headers"]]
                # This client sends no record that has neither key nor value.
                key = b"" if one["key"] is one["value"] is None else _raw(one["key"])
                future = producer.send(name, _raw(one["value"]), key, headers=headers, partition=one["partition"])
                sent.append((one["offset"], future))
        producer.flush(30)
        producer.close()
        assert [future.get(1).offset for _, future in sent] == [offset for offset, _ in sent]

    def put_back_database(self, settings: Settings) -> None:
        """Make the database with that release's own statements, and put every row back."""
        with administrator(settings) as server, writer(settings) as store:
            server.command(f"CREATE DATABASE {settings.database}")
            client = clickhouse_connect.get_client(dsn=settings.clickhouse_url, database=settings.database)
            store.command(self.plain("schema/schema_migrations.sql").decode())
            for number, name in enumerate(self.manifest["migrations"], start=1):
                for statement in Migration(number, name, self.plain(f"schema/{name}").decode()).statements:
                    store.command(statement)
            for table, rows in self.manifest["rows"].items():
                if rows:
                    client.raw_insert(table, insert_block=self.plain(f"database/{table}.native"), fmt="Native")
                    # Of several versions in one insert ClickHouse keeps the last at once.
                    assert store.query(f"SELECT count() > 0 FROM {table}") == [(True,)], table
            client.close()


def _raw(text: str | dict[str, str] | None) -> bytes | None:
    if text is None:
        return None
    return base64.b64decode(text["base64"]) if isinstance(text, dict) else text.encode()


def _has_what_came_with_this_release(spine: Spine) -> None:
    """Its rules count more of the same log: without being told, the partitions are counted anew from there."""

    def fees() -> float:
        (row,) = spine.ask(window="all", kpis=["fee_per_delivery"])
        return float(row["coverage"])

    deadline = time.monotonic() + 60
    while fees() < 0.4 and time.monotonic() < deadline:
        time.sleep(0.5)
    assert fees() > 0.4
    assert spine.command("reconcile", "--wait", "--window", "all", "--by", "hub_id").startswith("No drift")


@pytest.mark.parametrize("release", RELEASES)
def test_a_released_migration_never_changes(release: str) -> None:
    recording = Recording(release)
    today = {f"{one.number:04}_{one.name}.sql": one for one in available()}
    for number, name in enumerate(recording.manifest["migrations"], start=1):
        then = Migration(number, name, recording.plain(f"schema/{name}").decode())
        assert today[name].checksum == then.checksum, name


@pytest.mark.embedded_only
@pytest.mark.parametrize("release", RELEASES)
def test_what_a_release_left_behind_goes_on(
    release: str, tmp_path: Path, free_settings: Callable[[], Settings], milepost: Callable[..., Any]
) -> None:
    recording = Recording(release)
    settings = free_settings()
    spine = Spine(tmp_path / "platform", settings, milepost)
    spine.platform.start_infrastructure()
    try:
        recording.put_back_topics(settings)
        recording.put_back_database(settings)
        with spine.store() as store:
            letters = "SELECT partition, offset, reason, detail, record_key, record_value FROM {} ORDER BY ALL"
            before = store.query(letters.format("dead_letters"))
        spine.command("topics", "apply")
        spine.command("migrate", "apply")
        spine.start_services()
        rest = tmp_path / "rest.jsonl"
        rest.write_bytes(recording.plain("rest.jsonl"))
        summary = spine.send(rest)
        assert (summary["accepted"], summary["refused"]) == (recording.manifest["rest"], 0)
        spine.catch_up()

        truth = recording.truth()
        then = sorted({row["kpi"] for row in truth["overall"]})
        assert differences(spine.ask(window="all", kpis=then), truth["overall"]) == []
        for dimension, rows in truth["by"].items():
            assert differences(spine.ask(window="all", by=[dimension], kpis=then), rows) == [], dimension
        for window in truth["windows"]:
            found = spine.ask(start=window["from"], end=window["to"], kpis=then)
            assert differences(found, window["rows"]) == [], window["from"]
        _has_what_came_with_this_release(spine)
        with spine.store() as store:
            after = store.query(letters.format("dead_letters"))
            assert set(before) <= set(after)
            assert len(after) > len(before)
            assert store.query("SELECT DISTINCT state FROM dead_letters") == [("open",)]
            assert store.query("SELECT count() > 0 FROM personal") == [(True,)]
    finally:
        spine.platform.stop()
