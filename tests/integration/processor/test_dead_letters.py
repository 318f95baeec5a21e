"""Dead letters in the store: what operators decide, what the processor repeats, and what makes it fail."""

import json
from typing import Any

import pytest

from milepost.bus.partitions import partition_of
from milepost.bus.replays import Place, Replay
from milepost.processor.arrival import intake
from milepost.processor.writing import flush
from milepost.reading.dead_letters import Letter, letters_at, mark_dropped, mark_replayed

pytestmark = pytest.mark.needs_platform

ORDER = "o1"
HOME = partition_of(ORDER.encode(), 4)


def letter(store: Any, record: Any) -> Letter:
    """The letter of a record."""
    (found,) = letters_at(store, [Place(record.topic, record.partition, record.offset)])
    return found


def replay(log: Any, store: Any, one: Letter) -> Any:
    """What the command does: the bytes as they came, by their subject, and then the mark."""
    key = one.subject or one.record_key.decode()
    copy = log.produce(one.record_value, key)
    copy.headers = Replay(one.place, one.attempts + 1).headers
    mark_replayed(store, [one])
    return copy


def state(store: Any, record: Any) -> tuple[str, int, str]:
    found = letter(store, record)
    return found.state, found.attempts, found.reason


class Poison:
    """A fault of ours: whatever is told of one subject raises, as long as it lasts."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.bad_ids: set[str] = set()
        fold, current = flush.fold, flush.cost_contributions

        def folding(facts: Any) -> Any:
            if any(fact.id in self.bad_ids for fact in facts):
                raise ZeroDivisionError("a fault of ours")
            return fold(facts)

        def costing(cost: Any) -> Any:
            if cost is not None and cost.id in self.bad_ids:
                raise ZeroDivisionError("a fault of ours")
            return current(cost)

        patch.setattr(flush, "fold", folding)
        patch.setattr(flush, "cost_contributions", costing)


@pytest.fixture
def poison(monkeypatch: pytest.MonkeyPatch) -> Poison:
    """A fault in the processor's own code; no event is known that has one."""
    return Poison(monkeypatch)


@pytest.fixture
async def worker(database: Any, store: Any, parts: Any, log: Any) -> Any:
    """A worker that has all partitions."""
    one = parts.Worker(database, store, log, partition_count=lambda: 4)
    await one.assign()
    return one


def _sum(store: Any, measure: str) -> int:
    return int(store.query(f"SELECT sum({measure}) FROM kpi_minutes")[0][0])


async def test_every_reason_is_kept_with_the_bytes_as_they_came(
    store: Any, log: Any, worker: Any, poison: Poison
) -> None:
    log.placed("ok")
    rubbish = log.produce(b"\xff\x00", partition=0)
    wrong = log.produce(b"{}", partition=1)
    unknown = log.event("order.vanished", "ok", {"order_id": "ok"})
    log.placed(ORDER, id="p1")
    conflict = log.placed(ORDER, id="p1", time="2026-03-02T10:00:01Z")
    poison.bad_ids = {"bad"}
    failed = log.event("dispatch.ready", ORDER, {"order_id": ORDER}, "bad")
    stray = log.placed("stray")
    log.records[stray.partition].pop()
    stray = log.produce(stray.value, "stray", (stray.partition + 1) % 4)
    await worker.all()
    found = {letter(store, one).reason: one for one in (rubbish, wrong, unknown, conflict, failed, stray)}
    assert set(found) == {"not_json", "invalid", "unknown_type", "conflict", "failed", "misplaced"}
    for record in found.values():
        one = letter(store, record)
        assert (one.record_value, one.state, one.attempts) == (record.value, "open", 1)
        assert 0 < one.first_seen == one.last_seen
        assert one.detail


async def test_what_makes_us_fail_stops_nothing_else_and_counts_once_after_the_fix(
    store: Any, log: Any, worker: Any, poison: Poison, parts: Any
) -> None:
    poison.bad_ids = {"bad"}
    log.placed(ORDER)
    bad = log.event("delivery.delivered", ORDER, {"order_id": ORDER}, "bad", time="2026-03-02T11:00:00Z")
    log.event("dispatch.ready", ORDER, {"order_id": ORDER}, "ready")
    log.placed("o2")
    await worker.all()
    one = letter(store, bad)
    assert (one.reason, one.subject, one.source, one.id) == ("failed", ORDER, "/s", "bad")
    assert one.detail.startswith("ZeroDivisionError: a fault of ours\n")
    assert "in folding" in one.detail
    assert (_sum(store, "due"), _sum(store, "delivered")) == (2, 0)
    assert store.query("SELECT events FROM orders WHERE order_id = 'o1'") == [(2,)]
    assert store.query("SELECT count() FROM events WHERE id = 'bad'") == [(0,)]

    replay(log, store, one)
    await worker.all()
    again = letter(store, bad)
    assert (again.state, again.attempts, again.first_seen) == ("open", 2, one.first_seen)
    assert again.last_seen > one.last_seen
    assert store.query("SELECT count() FROM dead_letters") == [(1,)]

    poison.bad_ids = set()
    copy = replay(log, store, again)
    replay(log, store, again)
    await worker.all()
    assert state(store, bad) == ("replayed", 3, "failed")
    assert (_sum(store, "due"), _sum(store, "delivered")) == (2, 1)
    assert store.query("SELECT partition, offset FROM events WHERE id = 'bad'") == [(copy.partition, copy.offset)]
    log.records[HOME][bad.offset].value = b""  # The first copies never counted.
    assert parts.expected(log).orders.keys() == {ORDER, "o2"}


async def test_a_cost_that_makes_us_fail_leaves_the_others_of_its_subject(
    store: Any, log: Any, worker: Any, poison: Poison
) -> None:
    log.cost("h1", "k1", "1", "m1")
    await worker.all()
    poison.bad_ids = {"z-bad"}
    bad = log.cost("h1", "k1", "10", "z-bad")
    log.cost("h1", "k2", "100", "m2")
    await worker.all()
    assert state(store, bad) == ("open", 1, "failed")
    assert _sum(store, "cost") == 1_010_000
    log.cost("h1", "k1", "2", "m3")
    await worker.all()
    assert _sum(store, "cost") == 1_020_000
    poison.bad_ids = set()
    replay(log, store, letter(store, bad))
    await worker.all()
    # The latest of a cost is the latest by its time, then source and id, wherever its copy stands.
    assert _sum(store, "cost") == 1_100_000
    assert store.query("SELECT count() FROM events WHERE subject = 'h1'") == [(4,)]


async def test_a_record_that_cannot_even_be_read_without_failing(
    store: Any, log: Any, worker: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = intake.fact_of

    def broken(event: Any, *more: Any) -> Any:
        if event.id == "bad":
            raise KeyError("forgotten")
        return whole(event, *more)

    monkeypatch.setattr(intake, "fact_of", broken)
    bad = log.placed(ORDER, id="bad")
    log.placed("o2")
    await worker.all()
    assert state(store, bad) == ("open", 1, "failed")
    assert letter(store, bad).subject == ORDER
    assert _sum(store, "due") == 1


async def test_a_worker_out_of_memory_ends_instead_of_blaming_an_event(
    store: Any, log: Any, worker: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def exhausted(_: Any) -> Any:
        raise MemoryError

    monkeypatch.setattr(flush, "fold", exhausted)
    log.placed(ORDER)
    with pytest.raises(MemoryError):
        await worker.all()
    assert store.query("SELECT count() FROM dead_letters") == [(0,)]


async def test_a_repeated_flush_undoes_no_decision_and_moves_no_first_sight(
    database: Any, store: Any, parts: Any, log: Any
) -> None:
    dropped, replayed = log.produce(b"rubbish", partition=0), log.produce(b"{}", partition=0)
    worker = parts.Worker(database, store, log)
    await worker.assign()
    await worker.read()
    worker.sink.fate = parts.Fate("before")
    with pytest.raises(parts.CrashError):
        await worker.engine.flush()
    first = letter(store, dropped), letter(store, replayed)
    mark_dropped(store, [first[0]], "a test of the sender's")
    mark_replayed(store, [first[1]])
    heir = parts.Worker(database, store, log)
    await heir.assign()
    await heir.all()
    assert len(heir.sink.dead_letters) == 2
    after = letter(store, dropped), letter(store, replayed)
    assert [(one.state, one.note, one.attempts) for one in after] == [
        ("dropped", "a test of the sender's", 1),
        ("replayed", "", 2),
    ]
    assert [one.first_seen for one in after] == [one.first_seen for one in first]


async def test_of_repeated_first_sights_the_first_stays(database: Any, store: Any, parts: Any, log: Any) -> None:
    record = log.produce(b"rubbish", partition=0)
    for _ in range(2):
        worker = parts.Worker(database, store, log)
        await worker.assign()
        await worker.read()
        worker.sink.fate = parts.Fate("before")
        with pytest.raises(parts.CrashError):
            await worker.engine.flush()
    rows = store.query("SELECT first_seen FROM dead_letters_store ORDER BY first_seen")
    assert letter(store, record).first_seen == rows[0][0]


async def test_a_copy_that_fails_before_the_command_has_said_so_is_open(store: Any, log: Any, worker: Any) -> None:
    record = log.produce(b"rubbish", "k")
    await worker.all()
    before = letter(store, record)
    copy = log.produce(before.record_value, "k")
    copy.headers = Replay(before.place, 2).headers
    await worker.all()
    assert state(store, record) == ("open", 2, "not_json")
    mark_replayed(store, [before])
    assert state(store, record) == ("open", 2, "not_json")
    mark_dropped(store, [letter(store, record)], "rubbish for good")
    assert letter(store, record).note == "rubbish for good"
    await worker.sink.write(worker.sink.batch)
    assert state(store, record) == ("dropped", 2, "not_json")


@pytest.mark.parametrize(
    "headers",
    [
        Replay(Place("milepost.lifecycle.v1", 0, 999), 2).headers,
        Replay(Place("milepost.lifecycle.v1", 0, 0), 2).headers,
        [("replay-topic", b"milepost.lifecycle.v1"), ("replay-partition", b"0"), ("replay-offset", b"0")],
        [
            ("replay-topic", b"t"),
            ("replay-partition", b"0"),
            ("replay-offset", b"-1"),
            ("replay-attempt", b"9" * 30),
        ],
    ],
    ids=["of nothing", "of other bytes", "incomplete", "absurd"],
)
async def test_who_claims_to_be_a_copy_and_is_none_is_a_letter_of_its_own(
    store: Any, log: Any, worker: Any, headers: Any
) -> None:
    first = log.produce(b"rubbish", partition=0)
    await worker.all()
    forged = log.produce(b"other rubbish", partition=0)
    forged.headers = headers
    await worker.all()
    assert state(store, forged) == ("open", 1, "not_json")
    assert state(store, first) == ("open", 1, "not_json")


async def test_a_misplaced_record_counts_once_where_it_belongs(store: Any, log: Any, worker: Any, parts: Any) -> None:
    stray = log.placed(ORDER)
    log.records[HOME].pop()
    stray = log.produce(stray.value, "another key", (HOME + 1) % 4)
    await worker.all()
    assert state(store, stray)[2] == "misplaced"
    one = letter(store, stray)
    copy = replay(log, store, one)
    assert copy.partition == HOME
    replay(log, store, one)
    await worker.all()
    assert state(store, stray) == ("replayed", 2, "misplaced")
    assert _sum(store, "due") == 1
    assert json.loads(copy.value)["subject"] == ORDER
    parts.check(store, log)
