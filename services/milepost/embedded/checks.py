"""What is wrong with this installation, looked at piece by piece; each finding says what would mend it."""

import http.client
import importlib.util
import json
import shutil
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from urllib.parse import urlsplit

from milepost.embedded import jars, jvm, parts, ports
from milepost.settings import EDGE_SERVICES, Service, Settings

LEAST_FREE_GIB = 1.0
COMFORTABLE_FREE_GIB = 5.0
MOST_SKEW_SECONDS = 5.0
_ASK_SECONDS = 3.0


class Level(StrEnum):
    """How bad a finding is; only a fault makes the command fail."""

    OK = "ok"
    NOTE = "note"
    FAULT = "fault"


@dataclass(frozen=True)
class Finding:
    """One thing looked at: what was found, and what to do about it where it is not in order."""

    check: str
    level: Level
    found: str
    hint: str = ""


def examine(settings: Settings, data: Path) -> Iterator[Finding]:
    """Look at everything, cheapest first."""
    if settings.kafka is None or settings.clickhouse is None:
        yield from _packages()
    yield _disk(data)
    yield from _broker(settings)
    yield from _database(settings)
    for service in (*EDGE_SERVICES, Service.PROCESSOR, Service.EXPORTER, Service.INSIGHTS, Service.AUDITOR):
        yield _service(service, settings)
    yield from _monitoring(settings)


def _packages() -> Iterator[Finding]:
    try:
        yield Finding("java", Level.OK, str(jvm.java()))
    except jvm.JavaNotFoundError as error:
        yield Finding("java", Level.FAULT, "none found", str(error))
    found = jars.cached_classpath()
    if found:
        yield Finding(
            "kafka jars", Level.OK, f"{len(found)} jars of Kafka {jars.KAFKA_VERSION} in {jvm.cache_folder()}"
        )
    else:
        yield Finding("kafka jars", Level.NOTE, "not fetched yet", "the first `milepost up` fetches them, 45 MB")
    if importlib.util.find_spec("chdb") is None:
        yield Finding("clickhouse engine", Level.FAULT, "chdb is missing", "pip install 'milepost[embedded]'")
    else:
        yield Finding("clickhouse engine", Level.OK, "chdb is installed")


def _disk(data: Path) -> Finding:
    folder = data
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free / 2**30
    found = f"{free:.1f} GiB free for {data}"
    if free < LEAST_FREE_GIB:
        return Finding("disk", Level.FAULT, found, "free some space, or keep the data elsewhere with --data")
    return Finding("disk", Level.OK if free >= COMFORTABLE_FREE_GIB else Level.NOTE, found)


def _broker(settings: Settings) -> Iterator[Finding]:
    from milepost.bus import topics

    where = settings.kafka_servers
    if not _open(where.split(",")[0]):
        yield Finding(
            "kafka", Level.FAULT, f"nothing answers at {where}", "start it (`milepost up`), or set MILEPOST_KAFKA"
        )
        return
    try:
        states = topics.look(settings)
    except topics.TopicsError as error:
        yield Finding("kafka", Level.FAULT, str(error), "is it a Kafka broker, and is it up?")
        return
    yield Finding("kafka", Level.OK, where)
    for state in states:
        name = f"topic {state.topic.name}"
        if not state.exists:
            yield Finding(name, Level.FAULT, "missing", "milepost topics apply")
        elif state.differs:
            differs = ", ".join(f"{key} is {found}, not {wanted}" for key, (found, wanted) in state.differs.items())
            yield Finding(name, Level.FAULT, differs, "milepost topics apply")
        else:
            yield Finding(name, Level.OK, f"{state.partitions} partitions, as declared")


def _database(settings: Settings) -> Iterator[Finding]:
    from milepost.store.client import writer
    from milepost.store.errors import StoreError
    from milepost.store.migrations import statuses

    where = settings.clickhouse_url
    try:
        with writer(settings) as store:
            store.ping()
            yield Finding("clickhouse", Level.OK, where)
            before = time.time()
            clock = float(store.query("SELECT toUnixTimestamp64Micro(now64(6)) / 1e6")[0][0])
            yield _skew(clock, before, time.time())
            waiting = [str(status.migration) for status in statuses(store) if status.state != "applied"]
    except StoreError as error:
        hint = "start it (`milepost up`), or set MILEPOST_CLICKHOUSE"
        yield Finding("clickhouse", Level.FAULT, str(error), hint)
        return
    if waiting:
        yield Finding("schema", Level.FAULT, f"not applied: {', '.join(waiting)}", "milepost migrate apply")
    else:
        yield Finding("schema", Level.OK, f"database {settings.database} is up to date")


def _skew(clock: float, before: float, after: float) -> Finding:
    skew = max(before - clock, clock - after, 0.0)
    if skew > MOST_SKEW_SECONDS:
        hint = "let both machines keep time (chrony, systemd-timesyncd)"
        return Finding("clock", Level.FAULT, f"{skew:.1f} s apart from ClickHouse's", hint)
    return Finding("clock", Level.OK, "agrees with ClickHouse's")


def _service(service: Service, settings: Settings) -> Finding:
    name = service.value
    url = settings.insights_url if service is Service.INSIGHTS else settings.url_of(service)
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=_ASK_SECONDS)
    try:
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        body = answer.read()
    except (OSError, http.client.HTTPException):
        if not ports.is_free(settings.port_of(service)):
            return Finding(
                name, Level.FAULT, f"what has {url} is not Milepost", "free the port, or move with --port-base"
            )
        return Finding(name, Level.FAULT, f"nothing answers at {url}", f"`milepost up`, or `milepost run {name}`")
    finally:
        connection.close()
    if answer.status == http.HTTPStatus.OK:
        return Finding(name, Level.OK, f"ready at {url}")
    return Finding(name, Level.FAULT, f"not ready: {_missing(body)}", f"its log says more; {url}/readyz")


def _missing(body: bytes) -> str:
    try:
        told = json.loads(body)
    except ValueError:
        return body.decode(errors="replace")[:200]
    missing = told.get("missing") if isinstance(told, dict) else None
    return ", ".join(map(str, missing)) if isinstance(missing, list) and missing else str(told)


def _monitoring(settings: Settings) -> Iterator[Finding]:
    hint = "Debian: apt install prometheus prometheus-alertmanager"
    for name, program, url in zip(
        ("prometheus", "alertmanager"),
        parts.programs(),
        (settings.prometheus_url, settings.alertmanager_url),
        strict=True,
    ):
        if _open(urlsplit(url).netloc):
            yield Finding(name, Level.OK, f"answers at {url}")
        elif program is None:
            yield Finding(name, Level.NOTE, "not installed: no alerts", hint)
        else:
            yield Finding(name, Level.NOTE, f"installed, but nothing answers at {url}", "`milepost up` starts it")


def _open(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), _ASK_SECONDS).close()
    except (OSError, ValueError):
        return False
    return True
