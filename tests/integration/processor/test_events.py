"""Single events through the engine: identities, conflicts, retractions, costs, tests, personal data, extremes."""

import json
from typing import Any

import pytest

from milepost.bus.partitions import partition_of

pytestmark = pytest.mark.needs_platform


@pytest.fixture
async def flushes(database: Any, store: Any, parts: Any, log: Any) -> Any:
    """Reads and writes what has been produced since, and checks the whole store; each a flush of a worker anew."""

    async def flush(*, anew: bool = True) -> Any:
        if anew or not hasattr(flush, "worker"):
            flush.worker = parts.Worker(database, store, log)  # type: ignore[attr-defined]
            await flush.worker.assign()  # type: ignore[attr-defined]
        await flush.worker.all()  # type: ignore[attr-defined]
        parts.check(store, log)
        return flush.worker  # type: ignore[attr-defined]

    return flush


def _sum(store: Any, measure: str, view: str = "kpi_minutes") -> int:
    return int(store.query(f"SELECT sum({measure}) FROM {view}")[0][0])


@pytest.mark.parametrize("anew", [True, False])
async def test_a_retraction_of_an_event_in_an_earlier_flush(store: Any, log: Any, flushes: Any, anew: bool) -> None:
    log.placed("o1")
    log.event("delivery.delivered", "o1", {"order_id": "o1"}, "d1", time="2026-03-02T11:00:00Z")
    log.cost("c1", "k1", "2.5", "m1", courier_id="c1")
    log.cost("c1", "k1", "4", "m2", courier_id="c1")
    await flushes()
    assert (_sum(store, "delivered"), _sum(store, "cost")) == (1, 40_000)
    log.retraction("o1", "d1")
    log.retraction("c1", "m2")
    await flushes(anew=anew)
    for view in ("kpi_minutes", "kpi_hours", "kpi_days", "kpi_courier_days"):
        assert (_sum(store, "delivered", view), _sum(store, "cost", view)) == (0, 25_000)
    log.retraction("c1", "m1")
    await flushes(anew=anew)
    assert _sum(store, "cost") == 0
    assert store.query("SELECT count() FROM ledger") == [(0,)]
    assert store.query("SELECT count() FROM orders WHERE state = 'placed'") == [(1,)]


async def test_a_retraction_long_before_its_target(store: Any, log: Any, flushes: Any) -> None:
    log.retraction("o1", "d1")
    log.retraction("c1", "m1")
    await flushes()
    log.placed("o1")
    log.event("delivery.delivered", "o1", {"order_id": "o1"}, "d1")
    log.cost("c1", "k1", "2.5", "m1", courier_id="c1")
    await flushes()
    assert (_sum(store, "delivered"), _sum(store, "due"), _sum(store, "cost")) == (0, 1, 0)


async def test_a_retraction_cannot_be_retracted(store: Any, log: Any, flushes: Any) -> None:
    log.cost("h1", "k1", "2.5", "m1")
    log.retraction("h1", "m1", "r1")
    await flushes()
    log.retraction("h1", "r1", "r2")
    await flushes()
    assert _sum(store, "cost") == 0


async def test_the_same_event_again_is_nothing_and_another_content_a_conflict(
    store: Any, log: Any, flushes: Any
) -> None:
    log.placed("o1", id="p1")
    log.placed("o1", id="p1", time="2026-03-02T11:00:00+01:00")
    conflict = log.placed("o1", id="p1", time="2026-03-02T10:00:01Z")
    cost = log.cost("h1", "k1", "1", "m1")
    worker = await flushes()
    assert [(one.record.offset, one.reason) for one in worker.sink.dead_letters] == [(conflict.offset, "conflict")]
    log.placed("o1", id="p1")
    again = log.event("dispatch.ready", "o1", {"order_id": "o1"}, "p1")
    dearer = log.cost("h1", "k1", "1.0001", "m1")
    log.cost("h1", "k1", "1.000", "m1")
    worker = await flushes()
    assert {(one.record.offset, one.reason, one.source, one.id) for one in worker.sink.dead_letters} == {
        (again.offset, "conflict", "/s", "p1"),
        (dearer.offset, "conflict", "/s", "m1"),
    }
    assert _sum(store, "cost") == 10_000
    assert store.query("SELECT count(), min(offset) FROM events WHERE subject = 'h1'") == [(1, cost.offset)]
    assert store.query("SELECT subject, record_value FROM dead_letters WHERE id = 'm1'") == [
        ("h1", dearer.value.decode())
    ]


async def test_the_same_source_and_id_of_two_subjects_are_two_events(store: Any, log: Any, flushes: Any) -> None:
    for number in range(8):
        log.placed(f"o{number}", id="same")
        log.cost(f"h{number}", "k1", "1", "same-cost") if number == 1 else None
    await flushes()
    assert _sum(store, "due") == 8


async def test_the_same_cost_id_of_several_subjects_are_several_costs(store: Any, log: Any, flushes: Any) -> None:
    log.cost("h1", "k1", "1")
    log.cost("r1", "k1", "10", route_id="r1")
    log.cost("c1", "k1", "100", courier_id="c1")
    log.cost("o1", "k1", "1000", order_id="o1")
    await flushes()
    assert _sum(store, "cost") == 11_110_000
    assert _sum(store, "cost", "(SELECT cost FROM kpi_minutes WHERE courier_id = 'c1')") == 1_000_000


async def test_a_subject_that_is_an_order_and_a_hub(store: Any, log: Any, flushes: Any) -> None:
    log.placed("h1", id="p1")
    log.cost("h1", "k1", "1", "m1")
    log.cost("h1", "k1", "10", "m2", order_id="h1")
    await flushes()
    assert (_sum(store, "due"), _sum(store, "cost")) == (1, 110_000)
    log.retraction("h1", "m1")
    await flushes()
    assert (_sum(store, "due"), _sum(store, "cost")) == (1, 100_000)
    log.retraction("h1", "p1")
    await flushes()
    assert (_sum(store, "due"), _sum(store, "cost")) == (0, 100_000)


async def test_a_cost_of_an_order_joins_its_dimensions_when_the_order_is_known(
    store: Any, log: Any, flushes: Any
) -> None:
    log.cost("o1", "k1", "7", order_id="o1")
    await flushes()
    assert store.query("SELECT merchant_id, zone_id, cost FROM kpi_days WHERE cost != 0") == [("", "", 70_000)]
    until = "2026-03-02T12:00:00Z"
    lines = [{"sku": "a", "quantity": 1}]
    data = {
        "order_id": "o1",
        "hub_id": "h2",
        "promised_until": until,
        "lines": lines,
        "zone_id": "z",
        "merchant_id": "m",
    }
    log.event("order.placed", "o1", data)
    await flushes()
    rows = store.query("SELECT hub_id, merchant_id, zone_id, cost FROM kpi_days WHERE cost != 0")
    assert rows == [("h1", "m", "z", 70_000)]


async def test_test_events_are_in_the_log_and_in_no_kpi(store: Any, log: Any, flushes: Any) -> None:
    log.placed("o1", testmode=True)
    log.event("delivery.delivered", "o1", {"order_id": "o1"}, testmode=True)
    log.event("cost.recorded", "h1", json.loads(log.cost("h1", "k", "1").value)["data"], testmode=True)
    await flushes()
    assert store.query("SELECT sum(testmode), count() FROM events") == [(3, 4)]
    assert _sum(store, "due + delivered + closed") == 0
    assert store.query("SELECT count() FROM orders") == [(0,)]
    assert _sum(store, "cost") == 10_000


async def test_a_test_retraction_retracts_nothing(store: Any, log: Any, flushes: Any) -> None:
    log.placed("o1", id="p1")
    retraction = {"retracts": {"source": "/s", "id": "p1"}, "reason": "did_not_occur"}
    log.event("event.retracted", "o1", retraction, testmode=True)
    await flushes()
    assert _sum(store, "due") == 1


async def test_personal_data_is_only_where_it_can_be_erased(store: Any, log: Any, flushes: Any) -> None:
    secrets = {
        "customer_ref": "customer-XQ1",
        "dropoff": {"lat": 52.123456, "lon": 13.1},
        "ext": {"phone": "phone-XQ2"},
    }
    placed = json.loads(log.placed("o1").value)["data"]
    log.event("order.placed", "o2", {**placed, "order_id": "o2", **secrets}, "p2")
    log.event("delivery.attempt_failed", "o2", {"order_id": "o2", "reason_code": "other", "note": "note-XQ3"})
    proof = {"kind": "photo", "ref": "photo-XQ4"}
    log.event("delivery.delivered", "o2", {"order_id": "o2", "proof": proof, "ext": {"who": "XQ5"}})
    log.event("feedback.submitted", "o2", {"order_id": "o2", "score": 5, "comment": "comment-XQ6"})
    await flushes()
    kept = json.dumps(store.query("SELECT customer_ref, fields FROM personal ORDER BY id"))
    assert [word in kept for word in ("XQ1", "52.123456", "XQ2", "XQ3", "XQ4", "XQ5", "XQ6")] == [True] * 7
    for table in ("events_store", "orders_store", "ledger_store", "kpi_store", "dead_letters_store"):
        for row in store.query(f"SELECT * FROM {table}", binary=["facts"] if table in _FACTS else ()):
            text = repr(row)
            assert "XQ" not in text, table
            assert "52.123456" not in text, table
    assert store.query("SELECT count() FROM personal WHERE customer_ref = 'customer-XQ1'") == [(1,)]


_FACTS = ("orders_store", "ledger_store")


async def test_an_order_of_many_events(store: Any, log: Any, flushes: Any) -> None:
    log.placed("o1")
    for number in range(700):
        minute = f"{number // 60 + 10:02d}:{number % 60:02d}"
        log.event(
            "delivery.eta_updated",
            "o1",
            {"order_id": "o1", "eta": "2026-03-02T23:00:00Z"},
            time=f"2026-03-02T{minute}:00Z",
        )
    await flushes()
    for _ in range(3):
        log.event("delivery.attempt_failed", "o1", {"order_id": "o1", "reason_code": "not_home"})
        await flushes()
    assert store.query("SELECT events, failed_attempts FROM orders") == [(704, 3)]


async def test_extremes_of_time_and_amount(store: Any, log: Any, flushes: Any) -> None:
    order = {"hub_id": "h1", "lines": [{"sku": "a", "quantity": 1_000_000_000}] * 1000}
    old = {
        **order,
        "order_id": "old",
        "promised_from": "0001-01-01T00:00:00Z",
        "promised_until": "2000-01-01T00:00:00Z",
    }
    log.event("order.placed", "old", old, time="2000-01-01T00:00:00Z")
    far = {
        **order,
        "order_id": "far",
        "promised_from": "1970-01-01T00:00:00Z",
        "promised_until": "2031-03-02T10:00:00Z",
    }
    log.event("order.placed", "far", far)
    log.event("delivery.eta_updated", "far", {"order_id": "far", "eta": "9999-12-31T23:59:59.999999Z"})
    log.event("delivery.eta_updated", "old", {"order_id": "old", "eta": "0001-01-01T00:00:00Z"})
    lines = [{"sku": "a", "quantity": 1_000_000_000}] * 1000
    log.event("delivery.delivered", "old", {"order_id": "old", "lines": lines}, time="2026-10-26T07:43:20Z")
    log.cost("h1", "k1", "1000000000")
    log.cost("h1", "k2", "-999999999.9999")
    log.cost("x" * 128, "y" * 128, "-0.0001", courier_id="x" * 128)
    assert (await flushes()).sink.dead_letters == []
    assert (_sum(store, "due"), _sum(store, "kept"), _sum(store, "in_full")) == (2, 0, 1)
    assert _sum(store, "cost") == 0
    rows = store.named("SELECT * FROM orders ORDER BY order_id")
    assert [row["deadline"].year for row in rows] == [2031, 2000]
    assert store.query("SELECT minute FROM kpi_days WHERE due > 0 ORDER BY minute")[1][0].year == 2031


async def test_records_in_a_partition_that_is_not_their_subjects(
    database: Any, store: Any, parts: Any, log: Any
) -> None:
    right = partition_of(b"o1", 4)
    wrong = (right + 1) % 4
    log.placed("o1")
    event = {"specversion": "1.0", "id": "x", "source": "/s", "time": "2026-03-02T10:00:00Z", "subject": "o1"}
    delivered = {**event, "type": "milepost.delivery.delivered.v1", "data": {"order_id": "o1"}}
    log.produce(json.dumps(delivered).encode(), "o1", wrong)
    cost = {"cost_id": "k", "hub_id": "h1", "component": "fuel", "amount": "1", "currency": "EUR"}
    hubs = (partition_of(b"h1", 4) + 1) % 4
    stray = {**event, "type": "milepost.cost.recorded.v1", "subject": "h1", "data": cost}
    log.produce(json.dumps(stray).encode(), "o1", hubs)
    retraction = {"retracts": {"source": "/s", "id": "x"}, "reason": "did_not_occur"}
    log.produce(
        json.dumps({**event, "id": "y", "type": "milepost.event.retracted.v1", "data": retraction}).encode(),
        "o1",
        wrong,
    )
    worker = parts.Worker(database, store, log, partition_count=lambda: 4)
    await worker.assign()
    await worker.all()
    assert sorted((partition, reason) for (partition, _), reason in parts.stored(store).rejected.items()) == sorted(
        [(wrong, "misplaced"), (hubs, "misplaced"), (wrong, "misplaced")]
    )
    assert (_sum(store, "due"), _sum(store, "delivered"), _sum(store, "cost")) == (1, 0, 0)
    assert store.query("SELECT order_id, partition, events FROM orders") == [("o1", right, 1)]
    assert store.query("SELECT count() FROM events") == [(1,)]


async def test_dead_letters_are_published_before_they_are_passed_by(
    database: Any, store: Any, parts: Any, log: Any
) -> None:
    record = log.produce(b"rubbish", partition=0)
    worker = parts.Worker(database, store, log)
    await worker.assign()
    await worker.read()
    worker.sink.fate = parts.Fate("after")
    with pytest.raises(parts.CrashError):
        await worker.engine.flush()
    heir = parts.Worker(database, store, log)
    await heir.assign()
    await heir.all()
    assert [one.record for one in (worker.sink.dead_letters + heir.sink.dead_letters)] == [record]
