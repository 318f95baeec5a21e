"""An edge service dies between the broker's acknowledgement and its own answer: two copies, one of which counts."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from fault_proxy import FaultProxy, Request, Treatment, forward, lose_answer

from milepost.edge.client import EdgeClient
from milepost.embedded.process import Part, environment, spawn, stop, wait_ready
from milepost.settings import Service, Settings
from milepost.simulator.simulation import Options, simulate
from milepost.store.client import Store

from ..edge.conftest import read_topic  # noqa: TID252 - the topic as the edge's own tests read it
from ..processor.conftest import START  # noqa: TID252

pytestmark = [pytest.mark.needs_platform, pytest.mark.embedded_only]


async def test_an_answer_that_is_lost_and_a_batch_sent_again(
    installation: Settings, database: Settings, store: Store, log: Any, parts: Any, unique: str, tmp_path: Path
) -> None:
    events = list(
        simulate(Options(orders=20, seed="edge", start=START, hubs=1, days=0.5, order_prefix=unique, conflicts=False))
    )
    events = [event for event in events if json.loads(event)["subject"].startswith(unique)]
    port = database.port_of(Service.ORDERS)
    command = (sys.executable, "-m", "milepost.cli", "run", Service.ORDERS.value)
    edge = Part("edge", command, port, "/readyz", environment=environment(installation))
    process = spawn(edge, tmp_path / "edge.log")
    lost: list[Request] = []

    def once(request: Request) -> Treatment:
        if lost:
            return forward
        lost.append(request)
        return lose_answer

    try:
        wait_ready(edge, process, 60, tmp_path / "edge.log")
        async with FaultProxy(port) as proxy, EdgeClient(proxy.url) as client:
            with proxy.ruled(once):
                answer = await client.post(events)
    finally:
        stop(process, 3.0)
    assert (answer.accepted, answer.refused) == (len(events), [])
    found = await read_topic(database, unique)
    assert len(found) == 2 * len(events), "each batch was published twice"
    for record in found:
        log.produce(record.value, record.key)
    worker = parts.Worker(database, store, log)
    await worker.assign()
    await worker.all(most=30)
    parts.check(store, log)
    identities = {(event["subject"], event["source"], event["id"]) for event in map(json.loads, events)}
    assert store.query("SELECT count() FROM events") == [(len(identities),)]
    assert store.query("SELECT count() FROM dead_letters") == [(0,)]
