"""Personal data lies in two places only, and goes from both without changing a number."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from kafka import KafkaProducer
from spine import EDGE, PROCESSOR, Spine

from milepost.contracts.topics import LIFECYCLE
from milepost.edge.media_types import BATCH
from milepost.embedded.process import environment
from milepost.settings import Service, Settings
from milepost.store.client import Store
from milepost.store.erasures import NOTE, reapply_erasures

pytestmark = [pytest.mark.needs_platform, pytest.mark.embedded_only]

REF = 'Ünal "Zett" 7431'
SECRET = "PLANTED"
HOLDERS = {"personal_store", "dead_letters_store"}
SKU = {"sku": "s", "quantity": 1}


def event(kind: str, order: str, minute: int, **data: Any) -> dict[str, Any]:
    """An event with a planted text in the sender's own fields."""
    return {
        "specversion": "1.0",
        "id": f"{order}-{kind}-{minute}",
        "source": "/shop",
        "type": f"milepost.{kind}.v1",
        "time": f"2026-03-02T10:{minute:02}:00Z",
        "subject": order,
        "data": {"order_id": order, "ext": {"phone": f"{SECRET}-ext-{order}"}, **data},
    }


def life(order: str, ref: str) -> list[dict[str, Any]]:
    """A whole life, with every kind of personal data planted in it."""
    until = "2026-03-02T11:00:00Z"
    place = {"lat": 52.5163, "lon": 13.37775831}
    return [
        event(
            "order.placed", order, 0, hub_id="h1", promised_until=until, lines=[SKU], customer_ref=ref, dropoff=place
        ),
        event("dispatch.assigned", order, 5, courier_id="c1"),
        event("delivery.arrived", order, 20, position=place),
        event("delivery.attempt_failed", order, 21, reason_code="not_home", note=f"{SECRET}-note-{order}"),
        event("delivery.delivered", order, 40, lines=[SKU], proof={"kind": "photo", "ref": f"{SECRET}-proof-{order}"}),
        event("feedback.submitted", order, 50, score=2, comment=f"{SECRET}-comment-{order}"),
    ]


def broken(order: str, ref: str) -> list[bytes]:
    """What another producer put on the topic of this order: refused, half of it, and no event at all."""
    refused = event("order.placed", order, 1, hub_id="h1", lines=[], customer_ref=ref)
    return [
        json.dumps(refused).encode(),
        json.dumps(refused, ensure_ascii=False).encode()[:-4],
        json.dumps({"order": order, "caller": f"{SECRET}-call-{order}"}).encode(),
        f"{SECRET}-fax-{order}\tplease call {order}.\xff".encode("latin-1"),
    ]


def holders(store: Store, *texts: str) -> set[str]:
    """The tables in which one of ``texts`` stands, in whatever column, all versions of all rows."""
    wanted = [form for text in texts for form in (text.encode(), json.dumps(text)[1:-1].encode())]
    found = set()
    tables = "SELECT name FROM system.tables WHERE database = currentDatabase() AND engine LIKE '%MergeTree'"
    for (table,) in store.query(tables):
        whole = b"".join(store.stream_text(f"SELECT * FROM {table}")).replace(b"\\\\", b"\\")
        if any(one in whole for one in wanted):
            found.add(table)
    return found


def kpis(spine: Spine) -> list[Any]:
    """Every number there is, by every dimension."""
    by = (None, "hub_id", "zone_id", "courier_id")
    return [spine.ask(window="all", **({"by": [one]} if one else {})) for one in by]


def test_personal_data_is_where_it_may_be_and_goes_when_told(
    tmp_path: Path, free_settings: Callable[[], Settings], milepost: Callable[..., Any]
) -> None:
    settings = free_settings()
    with Spine(tmp_path / "platform", settings, milepost) as spine, spine.store() as store:
        orders = {"e-1": REF, "e-2": REF, "e-12": "another", "e-3": "a third"}
        lives = [one for order, ref in orders.items() for one in life(order, ref)]
        letters = [one for order, ref in orders.items() for one in broken(order, ref)]
        refused = event("order.placed", "e-9", 0, note=f"{SECRET}-refused", hub_id=f"{SECRET} hub")
        post(settings, [*lives, refused], 207)
        append(settings, letters)
        spine.catch_up()

        assert holders(store, SECRET, REF, "13.37775831") == HOLDERS
        logs = {path.name: path.read_text(errors="replace") for path in (tmp_path / "platform" / "logs").iterdir()}
        assert {f"{EDGE}.log", f"{PROCESSOR}.log"} <= set(logs)
        for service in (Service.ORDERS, Service.PROCESSOR):
            logs[service] = httpx.get(f"{settings.url_of(service)}/metrics").text
        assert [name for name, text in logs.items() if SECRET in text or REF in text or "13.37775831" in text] == []

        before = kpis(spine)
        ofs = store.query("SELECT count() FROM personal WHERE subject IN ('e-12')")
        assert erase(settings, "--customer-ref", "-", said=REF) == {"orders": 2, "rows": 12, "dead_letters": 8}
        assert erase(settings, "--order", "e-3") == {"orders": 1, "rows": 6, "dead_letters": 4}
        assert kpis(spine) == before
        gone = [
            f"{SECRET}-{what}-{order}"
            for what in ("ext", "note", "proof", "comment", "call", "fax")
            for order in ("e-3",)
        ]
        assert holders(store, REF, *gone) == set()
        assert holders(store, "another", f"{SECRET}-fax-e-12", f"{SECRET}-note-e-12") == HOLDERS
        assert store.query("SELECT count() FROM personal WHERE subject IN ('e-12')") == ofs
        states = "SELECT state, note, count() FROM dead_letters GROUP BY state, note ORDER BY state"
        assert store.query(states) == [("dropped", NOTE, 12), ("open", "", 4)]

        # All of it comes again, and something new: it is counted, and nobody sees the personal part of it.
        late = event("delivery.attempt_failed", "e-1", 30, reason_code="address", note=f"{SECRET}-late")
        post(settings, [*life("e-1", REF), late], 202)
        append(settings, broken("e-1", REF))
        spine.catch_up()
        assert store.query("SELECT events FROM orders WHERE order_id = 'e-1'") == [(7,)]
        assert store.query("SELECT count() FROM personal WHERE subject IN ('e-1', 'e-2', 'e-3')") == [(0,)]
        assert reapply_erasures(store).personal == 1
        assert holders(store, f"{SECRET}-late", f'{SECRET}-ext-e-1"', f'{SECRET}-call-e-1"') == set()
        assert "nothing" not in milepost(settings, "erase", "--order", "no such id", check=False).stdout
        assert milepost(settings, "erase", "--order", "e-12", "--json", check=False).returncode == 2


def post(settings: Settings, events: list[dict[str, Any]], status: int) -> None:
    """Send events to the edge."""
    answer = httpx.post(f"{settings.edge_url}/v1/events", content=json.dumps(events), headers={"content-type": BATCH})
    assert answer.status_code == status, answer.text


def append(settings: Settings, values: list[bytes]) -> None:
    """Put records straight on the topic, by no key of theirs."""
    producer = KafkaProducer(bootstrap_servers=settings.kafka_servers, acks="all")
    for value in values:
        producer.send(LIFECYCLE.name, value, b"x")
    producer.flush(30)
    producer.close()


def erase(settings: Settings, *arguments: str, said: str = "") -> dict[str, int]:
    """``milepost erase``, what it must not find in a command line said on standard input."""
    done = subprocess.run(
        [sys.executable, "-m", "milepost.cli", "erase", *arguments, "--yes", "--json"],
        input=said + "\n", env=environment(settings), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, REF in done.stdout + done.stderr) == (0, False), done.stderr
    found: dict[str, int] = json.loads(done.stdout)
    assert found.pop("topic_retention_days") == settings.topic_retention_days
    return found
