"""The auditor over the real engine: what it serves from its start, canaries that come and canaries that do not."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from asgi_lifespan import LifespanManager
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from milepost.auditor.app import create_app
from milepost.auditor.audits import MOST_LAG, Audits
from milepost.auditor.canary import LIFE, SOURCE, Canary, events
from milepost.contracts.event import decode
from milepost.edge.client import Answer
from milepost.processor.arrival.intake import PRECEDENCE_OF_FIRST
from milepost.settings import Settings
from milepost.store.client import Store, writer
from milepost.store.tables import EVENTS, KPIS, PROGRESS

pytestmark = pytest.mark.needs_platform


@pytest.fixture
def store(installation: Settings) -> Any:
    with writer(installation) as client:
        for table in (EVENTS, KPIS, PROGRESS):
            client.command(f"TRUNCATE TABLE {table.name}")
        yield client


def values(text: str) -> dict[str, float]:
    return {sample.name: sample.value for family in text_string_to_metric_families(text) for sample in family.samples}


def told(registry: CollectorRegistry, name: str) -> float:
    value = registry.get_sample_value(name)
    assert value is not None
    return value


@asynccontextmanager
async def served(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(settings)
    async with (
        LifespanManager(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://auditor") as client,
    ):
        yield client


class Way:
    """Instead of an edge, a broker and a processor: events go into the log, or nowhere."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.open = True
        self.sent: list[bytes] = []

    async def post(self, posted: list[bytes]) -> Answer:
        self.sent += posted
        for body in posted if self.open else ():
            event = json.loads(body)
            known = {
                "subject": event["subject"], "source": event["source"], "id": event["id"], "type": event["type"],
                "time": time.time_ns() // 1000, "recorded": 0, "appended": time.time_ns() // 1000, "partition": 0,
                "offset": 1, "precedence": PRECEDENCE_OF_FIRST, "testmode": 1, "digest": 0, "data": "{}",
            }  # fmt: skip
            self.store.insert(EVENTS, [tuple(known[name] for name in EVENTS.columns)])
        return Answer(accepted=len(posted))


async def test_every_series_is_there_from_the_start(installation: Settings) -> None:
    nowhere = {"edge": "http://127.0.0.1:9", "clickhouse": "http://127.0.0.1:9", "canary_seconds": 1.0}
    async with served(installation.model_copy(update=nowhere)) as client:
        found = values((await client.get("/metrics")).text)
        names = ("drift", "last_success_timestamp_seconds", "seconds")
        assert [found[f"milepost_reconcile_{name}"] for name in names] == [0, 0, 0]
        assert found["milepost_canary_seconds"] == 0
        first = found["milepost_canary_age_seconds"]
        assert (await client.get("/healthz")).status_code == 200
        missing: list[str] = []
        while len(missing) < 2:
            await asyncio.sleep(0.05)
            ready = await client.get("/readyz")
            missing = ready.json()["missing"]
        assert ready.status_code == 503
        assert values((await client.get("/metrics")).text)["milepost_canary_age_seconds"] > first


async def test_a_canary_that_comes_is_young_and_one_that_does_not_grows_old(store: Store) -> None:
    registry = CollectorRegistry()
    way = Way(store)
    canary = Canary(store, way, registry)  # type: ignore[arg-type]
    assert await canary.fly(10)
    assert canary.fault is None
    assert 0 < told(registry, "milepost_canary_seconds") < 10
    young = told(registry, "milepost_canary_age_seconds")
    way.open = False
    assert not await canary.fly(0.5)
    assert canary.fault is not None
    assert told(registry, "milepost_canary_age_seconds") > young + 0.4
    # Another auditor, after a restart, does not take a broken way for a new one.
    again = CollectorRegistry()
    other = Canary(store, way, again)  # type: ignore[arg-type]
    assert not await other.fly(0.1)
    assert told(again, "milepost_canary_age_seconds") > young + 0.4


async def test_a_canary_of_which_a_part_is_missing_has_not_come(store: Store) -> None:
    way = Way(store)
    whole = way.post

    async def partly(posted: list[bytes]) -> Answer:
        return await whole(posted[:-1])

    way.post = partly  # type: ignore[method-assign]
    assert not await Canary(store, way, CollectorRegistry()).fly(0.5)  # type: ignore[arg-type]


def test_the_edge_takes_a_canary() -> None:
    from datetime import UTC, datetime

    now = datetime.now(UTC)
    taken = [decode(body, "EUR", now) for body in events("canary-1", now)]
    assert [event.type.name for event in taken] == [f"milepost.{kind}.v1" for kind in LIFE]
    assert all(event.testmode and event.source == SOURCE for event in taken)


def test_an_audit_finds_drift_and_says_so(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    registry = CollectorRegistry()
    audits = Audits(store, registry)
    audits.audit()
    assert told(registry, "milepost_reconcile_drift") == 0
    first = told(registry, "milepost_reconcile_last_success_timestamp_seconds")
    assert first > 0
    minute = int(time.time()) // 60 * 60 - 7_200
    row = {name: 0 if "Int" in kind else [] if "Array" in kind else "" for name, kind in KPIS.columns.items()}
    row |= {"grain": 1, "minute": minute, "hub_id": "h1", "version": 1, "due": 1}
    hour = row | {"grain": 2, "minute": minute // 3600 * 3600}
    store.insert(KPIS, [tuple(row.values()), tuple(hour.values())])
    audits.audit()
    assert told(registry, "milepost_reconcile_drift") == 1
    assert told(registry, "milepost_reconcile_last_success_timestamp_seconds") > first
    assert "due {'hub_id': 'h1'} streamed 1, recomputed 0" in caplog.text


def test_nothing_is_audited_while_the_processor_is_far_behind(store: Store) -> None:
    registry = CollectorRegistry()
    audits = Audits(store, registry)
    progress: dict[str, Any] = dict.fromkeys(PROGRESS.columns, 0)
    store.insert(PROGRESS, [tuple((progress | {"end_offset": MOST_LAG + 1}).values())])
    audits.audit()
    assert told(registry, "milepost_reconcile_last_success_timestamp_seconds") == 0
    assert audits.fault is not None
    assert "behind" in audits.fault
