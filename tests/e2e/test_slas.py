"""Promises broken by the clock, through the whole product, from the edge to the SLA topic; also over a kill -9."""

import json
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaConsumer, TopicPartition
from spine import PROCESSOR, Spine

from milepost.contracts.topics import SLA
from milepost.settings import Settings

pytestmark = [pytest.mark.needs_platform, pytest.mark.embedded_only]

POLICIES = """
format: 1
policies:
  - name: default
    match: {}
    promise: {grace: 0s}
    stages: {prepare: 3s}
"""


@pytest.fixture(scope="module")
def spine(tmp_path_factory: pytest.TempPathFactory, free_settings: Any, milepost: Any) -> Iterator[Spine]:
    settings: Settings = free_settings()
    with Spine(tmp_path_factory.mktemp("slas"), settings, milepost) as running:
        yield running


def event(order: str, kind: str, data: dict[str, Any]) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": f"{order}-{kind}",
        "source": "/test",
        "type": f"milepost.{kind}.v1",
        "time": datetime.now(UTC).isoformat(),
        "subject": order,
        "data": {"order_id": order, **data},
    }


def place(spine: Spine, folder: Path, orders: list[str], seconds: float) -> None:
    """Place orders that are due in so many seconds."""
    until = (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()
    data = {"hub_id": "BER-1", "promised_until": until, "lines": [{"sku": "x", "quantity": 1}]}
    send(spine, folder, [event(order, "order.placed", data) for order in orders])


def send(spine: Spine, folder: Path, events: list[dict[str, Any]]) -> None:
    file = folder / f"{time.monotonic_ns()}.jsonl"
    file.write_text("".join(json.dumps(one) + "\n" for one in events))
    assert spine.send(file)["accepted"] == len(events)


def told(settings: Settings) -> list[dict[str, Any]]:
    """Everything on the SLA topic."""
    consumer = KafkaConsumer(bootstrap_servers=settings.kafka_servers, enable_auto_commit=False)
    try:
        places = [TopicPartition(SLA.name, number) for number in range(settings.partitions)]
        consumer.assign(places)
        consumer.seek_to_beginning()
        ends = consumer.end_offsets(places)
        found = []
        while any(consumer.position(one) < ends[one] for one in places):
            for records in consumer.poll(500).values():
                found += [json.loads(record.value) for record in records]
    finally:
        consumer.close()
    return found


def lives(spine: Spine, prefix: str) -> dict[str, list[tuple[str, str, str]]]:
    """What is stored of the orders that begin with ``prefix``."""
    with spine.store() as store:
        rows = store.query(
            "SELECT order_id, rule, state, cause FROM sla_events WHERE startsWith(order_id, {prefix:String}) "
            "ORDER BY order_id, rule, rank",
            {"prefix": prefix},
        )
    found: dict[str, list[tuple[str, str, str]]] = {}
    for order, *life in rows:
        found.setdefault(order, []).append(tuple(life))
    return found


def test_a_promise_that_nobody_speaks_of_is_broken_at_its_moment(spine: Spine, tmp_path: Path) -> None:
    orders = [f"quiet-{number}" for number in range(12)]
    place(spine, tmp_path, orders, 12)
    send(spine, tmp_path, [event(order, "delivery.delivered", {}) for order in orders[:4]])
    late = orders[4:]
    spine.wait(lambda: len(lives(spine, "quiet-")) == len(late), "broken promises are stored")
    assert lives(spine, "quiet-") == {order: [("promise", "breached", "late")] for order in late}
    messages = [one for one in told(spine.settings) if one["subject"].startswith("quiet-")]
    assert Counter(one["subject"] for one in messages) == dict.fromkeys(late, 1)
    assert {one["type"] for one in messages} == {"milepost.sla.breached.v1"}
    assert {one["data"]["hub_id"] for one in messages} == {"BER-1"}
    assert all(one["time"] == one["data"]["due"] for one in messages)
    send(spine, tmp_path, [event(order, "delivery.delivered", {}) for order in late])
    spine.wait(lambda: all(len(life) == 2 for life in lives(spine, "quiet-").values()), "late deliveries resolve them")
    ends = {life[1] for life in lives(spine, "quiet-").values()}
    assert ends == {("promise", "resolved", "met_late")}


def test_kill_9_before_the_moment_and_each_is_told_under_one_id(spine: Spine, tmp_path: Path) -> None:
    orders = [f"killed-{number}" for number in range(40)]
    place(spine, tmp_path, orders, 3)
    spine.catch_up()
    spine.platform.kill(PROCESSOR)
    time.sleep(3)
    spine.platform.start(PROCESSOR)
    spine.wait(lambda: len(lives(spine, "killed-")) == len(orders), "broken promises are stored")
    assert {tuple(life) for life in lives(spine, "killed-").values()} == {(("promise", "breached", "late"),)}
    ids = {one["id"] for one in told(spine.settings) if one["subject"].startswith("killed-")}
    assert len(ids) == len(orders)


def test_policies_take_effect_while_it_runs(spine: Spine, tmp_path: Path) -> None:
    file = tmp_path / "policies.yml"
    file.write_text(POLICIES)
    place(spine, tmp_path, ["ruled"], 600)
    spine.command("sla", "apply", str(file), "--comment", "a tighter limit")
    spine.wait(lambda: "ruled" in lives(spine, "ruled"), "the new limit is broken")
    assert lives(spine, "ruled") == {"ruled": [("prepare", "breached", "late")]}
    shown = json.loads(spine.command("sla", "ls", "--rule", "prepare", "--json"))
    assert "ruled" in {item["order_id"] for item in shown["items"]}
