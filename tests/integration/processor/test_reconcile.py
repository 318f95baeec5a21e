"""The independent check agrees with the processor, and finds what is wrong and who is behind it."""

import json
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from milepost.auditor.blame import Layer
from milepost.auditor.reconcile import Reconciliation, reconcile
from milepost.auditor.streamed import TooBusyError, read_with_cuts
from milepost.cli.reconcile import told
from milepost.contracts.reasons import DOOR_REASONS, NEVER_REACHED_REASONS
from milepost.reading.question import ask
from milepost.settings import Settings
from milepost.store.client import Store
from milepost.store.tables import KPIS, ORDERS

pytestmark = pytest.mark.needs_platform

FIRST = datetime(2026, 3, 2, 6, tzinfo=UTC)
SETTLE = 1.0
COURIERS = ("c1", "c2", "c3")
ANSWERS: list[dict[str, Any]] = [{"score": 5}, {"score": 3}, {"nps": 9}, {"nps": 2, "score": 1}]
ALL = {"window": "all"}
EVERYTHING = ["hub_id,zone_id,service_level,merchant_id,courier_id"]


def checked(store: Store, **question: Any) -> Reconciliation:
    now = datetime.now(UTC)
    return reconcile(store, ask(now, **question), now, SETTLE)


def _step(steps: int) -> str:
    return (FIRST + timedelta(minutes=7 * steps)).isoformat()


def random_lives(log: Any, seed: int, orders: int) -> None:
    """Orders to which anything may happen at any of a few moments: ties, parcels, changes, retractions, credits."""
    chance = random.Random(seed)
    for number in range(orders):
        order_id = f"r{seed}-{number}"
        parcels = chance.choice([[], [], ["p1"], ["p1", "p2"], ["p1", "p2", "p3"]])

        def lines(most: int, chance: random.Random = chance) -> list[dict[str, Any]]:
            return [{"sku": chance.choice("abc"), "quantity": chance.randint(1, 3)} for _ in range(most)]

        def some(parcels: list[str] = parcels, chance: random.Random = chance) -> dict[str, Any]:
            named = chance.sample([*parcels, "p9"], chance.randint(1, len(parcels) + 1)) if parcels else []
            return {"parcel_ids": named} if named and chance.random() < 0.8 else {}

        def courier(chance: random.Random = chance) -> dict[str, Any]:
            return {"courier_id": chance.choice(COURIERS)} if chance.random() < 0.6 else {}

        def promise(chance: random.Random = chance, least: int = 0) -> dict[str, Any]:
            until = least + chance.randint(0, 40)
            window = {"promised_from": _step(until - chance.randint(0, 6))} if chance.random() < 0.5 else {}
            return {"promised_until": _step(until), **window}

        ordered = lines(chance.randint(1, 3))
        kinds: dict[str, Callable[[int], dict[str, Any]]] = {
            "order.placed": lambda _at, ordered=ordered, parcels=parcels: {
                "hub_id": chance.choice(["h1", "h2"]), "lines": ordered, **promise(),
                **({"parcels": [{"parcel_id": one} for one in parcels]} if parcels else {}),
                **({"zone_id": chance.choice("xy")} if chance.random() < 0.7 else {}),
            },
            "order.promise_changed": lambda at: {
                **promise(least=at), "requested_by": chance.choice(["customer", "merchant", "carrier"]),
            },
            "order.cancelled": lambda _at: {"requested_by": chance.choice(["customer", "merchant", "carrier"])},
            "dispatch.ready": lambda _at: {},
            "dispatch.assigned": lambda _at: {"courier_id": chance.choice(COURIERS)},
            "dispatch.unassigned": lambda _at: {},
            "dispatch.departed": lambda _at: {},
            "delivery.picked_up": lambda _at: courier(),
            "delivery.arrived": lambda _at: courier(),
            "delivery.attempt_failed": lambda _at: {
                "reason_code": chance.choice(sorted(DOOR_REASONS | NEVER_REACHED_REASONS)), **courier(),
            },
            "delivery.delivered": lambda _at, ordered=ordered: {
                **courier(), **some(),
                **({"lines": [*(ordered if chance.random() < 0.7 else []), *lines(chance.randint(0, 1))]}
                   if chance.random() < 0.8 else {}),
            },
            "delivery.returned": lambda _at: {
                "disposition": chance.choice(["back_to_hub", "to_sender", "after_delivery"]), **some(),
            },
            "delivery.lost": lambda _at: some(),
            "feedback.submitted": lambda _at: chance.choice(ANSWERS),
        }  # fmt: skip
        names = ["order.placed"] * (chance.random() < 0.95) + chance.choices(
            [*kinds, *["delivery.delivered", "delivery.arrived", "delivery.picked_up"] * 3], k=chance.randint(0, 14)
        )
        sent = []
        for place, kind in enumerate(names):
            at = chance.randint(0, 40)
            event_id = f"{chance.choice('ab')}{place}"
            data = {"order_id": order_id, **kinds[kind](at)}
            if data.get("lines"):
                data["lines"] = [dict(line) for line in data["lines"]]
                if kind == "delivery.delivered" and chance.random() < 0.1:
                    data["lines"][0]["damaged"] = True
            log.event(kind, order_id, data, event_id, time=_step(at))
            sent.append(event_id)
        for place in range(chance.randint(0, 3)):
            data = {
                "order_id": order_id, "cost_id": chance.choice("kl"), "hub_id": chance.choice(["h1", "h3"]),
                "component": chance.choice(["fuel", "labour"]), "currency": "EUR",
                "amount": str(chance.randint(-50_000, 90_000) / 10_000), **courier(),
                **({"activity": "return"} if chance.random() < 0.3 else {}),
            }  # fmt: skip
            log.event("cost.recorded", order_id, data, f"k{place}", time=_step(chance.randint(0, 40)))
            sent.append(f"k{place}")
        for place in range(chance.choice([0, 0, 0, 1, 2])):
            if sent:
                log.retraction(order_id, chance.choice([*sent, "b0", f"x{place - 1}"]), f"x{place}")
        if chance.random() < 0.3:
            log.cost("route-1", chance.choice("mn"), str(chance.randint(-9, 99)), f"l{number}", route_id="route-1")


@pytest.fixture
async def city(parts: Any, database: Settings, store: Store) -> Store:
    """A database with a simulated city in it."""
    worker = parts.Worker(database, store, parts.city(150, "11"))
    await worker.assign()
    await worker.all(700)
    return store


@pytest.mark.parametrize(
    "question",
    [
        ALL,
        ALL | {"by": EVERYTHING},
        ALL | {"by": ["component", "activity", "zone_id"]},
        ALL | {"by": ["courier_id"], "where": ["hub_id=hub-01", "component=fuel"]},
        {"start": "2026-03-02T07:13Z", "end": "2026-03-03T10:41Z", "by": ["hub_id"]},
        {"start": "2026-03-02T00:00Z", "end": "2026-03-03T00:00Z", "by": ["zone_id"]},
        {"start": "2026-03-02T11:30Z", "end": "2026-03-02T11:47Z", "by": ["courier_id", "service_level"]},
    ],
)
async def test_a_city_has_no_drift(city: Store, question: dict[str, Any]) -> None:
    found = checked(city, **question)
    assert found.drift == []
    assert found.compared > 0
    assert found.frozen_until is None


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_whatever_happens_to_orders_there_is_no_drift(
    parts: Any, log: Any, database: Settings, store: Store, seed: int
) -> None:
    random_lives(log, seed, 150)
    worker = parts.Worker(database, store, log)
    await worker.assign()
    await worker.all(300)
    assert worker.sink.dead_letters == []
    for by in (EVERYTHING, ["courier_id", "component"], ["hub_id"]):
        found = checked(store, **ALL, by=by)
        assert told(found)[0].startswith("No drift"), told(found)
        assert found.compared > 5
    window = {"start": "2026-03-02T07:00Z", "end": "2026-03-02T09:00Z", "by": ["courier_id"]}
    assert checked(store, **window).drift == []


def change(store: Store, table: Any, where: str, **values: str) -> None:
    """Rewrite the first row of ``table`` under the same version, as nobody should."""
    columns = ", ".join(f"{values.get(name, name)} AS {name}_" for name in table.columns)
    store.command(
        f"INSERT INTO {table.name} ({', '.join(table.columns)}) "
        f"SELECT {columns} FROM {table.name} FINAL WHERE {where} ORDER BY ALL LIMIT 1"
    )


async def test_a_wrong_minute_is_found_with_its_orders(city: Store) -> None:
    ((minute, hub),) = city.query(
        "SELECT minute, hub_id FROM kpi_store FINAL WHERE grain = 'minute' AND delivered = 1 ORDER BY ALL LIMIT 1"
    )
    change(city, KPIS, f"grain = 'minute' AND delivered = 1 AND minute = '{minute:%F %T}'", delivered="delivered + 1")
    start, end = minute - timedelta(minutes=3), minute + timedelta(minutes=4)
    moments = {"start": start.replace(tzinfo=UTC).isoformat(), "end": end.replace(tzinfo=UTC).isoformat()}
    found = checked(city, **moments, by=["hub_id"])
    ((drift),) = found.drift
    assert (drift.measure, drift.dimensions, drift.streamed) == ("delivered", {"hub_id": hub}, drift.recomputed + 1)
    assert "on_time" in drift.kpis
    assert found.behind is not None
    assert found.behind.layer is Layer.MINUTES
    assert [one.replace(tzinfo=UTC) for one in found.behind.minutes] == [minute.replace(tzinfo=UTC)]
    behind = {
        row[0]
        for row in city.query(f"SELECT order_id FROM orders WHERE toStartOfMinute(delivered_at) = '{minute:%F %T}'")
    }
    assert {order.id for order in found.behind.orders} <= behind
    assert found.behind.orders


async def test_a_wrong_roll_up_is_found(city: Store) -> None:
    change(city, KPIS, "grain = 'hour' AND kept > 0", kept="kept - 1")
    found = checked(city, **ALL)
    assert [(one.measure, one.streamed - one.recomputed) for one in found.drift] == [("kept", -1)]
    lines = told(found)
    assert lines[0].startswith("DRIFT in 1 numbers")
    assert "milepost rebuild" in lines[2]
    assert found.behind is not None
    assert found.behind.layer is Layer.ROLL_UPS


async def test_a_histogram_that_lost_a_duration_is_found(city: Store) -> None:
    change(city, KPIS, "grain = 'hour' AND delivered > 0", hist_count="arrayMap(n -> n - 1, hist_count)")
    found = checked(city, **ALL)
    assert {one.measure.split()[1] for one in found.drift} == {"histogram"}


async def test_a_wrong_order_is_named(city: Store) -> None:
    ((order_id,),) = city.query("SELECT order_id FROM orders_store FINAL WHERE measures[1] = 1 ORDER BY ALL LIMIT 1")
    change(
        city,
        ORDERS,
        f"order_id = '{order_id}'",
        measures="arrayMap((m, i) -> if(i = 1, 0, m), measures, arrayEnumerate(measures))",
    )
    change(city, KPIS, "grain = 'hour' AND delivered > 0", delivered="delivered - 1")
    found = checked(city, **ALL)
    assert found.behind is not None
    assert found.behind.layer is Layer.ORDERS
    assert [(one.id, one.stored, one.recomputed) for one in found.behind.orders] == [
        (order_id, {"delivered": 0}, {"delivered": 1})
    ]
    assert any(line.strip().startswith(f"{order_id}: delivered 0 instead of 1") for line in told(found))


@pytest.mark.parametrize("lost", ["type = 'milepost.delivery.delivered.v1'", "1"])
async def test_an_event_lost_from_the_log_names_its_order(city: Store, lost: str) -> None:
    ((order_id,),) = city.query("SELECT order_id FROM orders WHERE state = 'delivered' ORDER BY order_id LIMIT 1")
    ((at,),) = city.query(f"SELECT delivered_at FROM orders WHERE order_id = '{order_id}'")
    city.command(f"DELETE FROM events_store WHERE subject = '{order_id}' AND {lost}")
    minute = at.replace(second=0, microsecond=0, tzinfo=UTC)
    found = checked(city, start=minute.isoformat(), end=(minute + timedelta(minutes=1)).isoformat())
    assert "delivered" in {one.measure for one in found.drift}
    assert found.behind is not None
    assert order_id in {one.id for one in found.behind.orders}


async def test_what_the_next_flush_mends_is_no_drift(city: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    ((minute, hub),) = city.query(
        "SELECT minute, hub_id FROM kpi_store FINAL WHERE grain = 'hour' AND due > 0 AND partition = 1 "
        "ORDER BY ALL LIMIT 1"
    )
    place = f"grain = 'hour' AND due > 0 AND minute = '{minute:%F %T}' AND hub_id = '{hub}' AND partition = 1"
    change(city, KPIS, place, due="due + 1")
    query, asked = city.query, []

    def mended(sql: str, *args: Any, **options: Any) -> Any:
        if "progress_store" in sql:
            asked.append(sql)
            change(city, KPIS, place, due="due - 1")
        return query(sql, *args, **options)

    monkeypatch.setattr(city, "query", mended)
    assert checked(city, **ALL).drift == []
    assert len(asked) == 1


async def test_both_sides_are_read_as_of_the_same_cut(
    parts: Any, database: Settings, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A flush that comes while the numbers are being read, and events that lie beyond the cut, make no difference."""
    log = parts.city(60, "5", rubbish=0)
    worker = parts.Worker(database, store, log)
    await worker.assign()
    await worker.read(100)
    await worker.engine.flush()
    seen = store.query("SELECT count() FROM events")
    ahead = parts.Worker(database, store, log)
    await ahead.assign()
    ahead.sink.fate = parts.Fate("before")
    await ahead.read(100)
    with pytest.raises(parts.CrashError):
        await ahead.engine.flush()
    assert store.query("SELECT count() FROM events") > seen
    assert checked(store, **ALL, by=["hub_id"]).drift == []

    query, cuts = store.query, []

    def flushing(sql: str, *args: Any, **options: Any) -> Any:
        found = query(sql, *args, **options)
        if "sum(cost)" in sql and not cuts:
            cuts.append(query("SELECT max(version) + 1 FROM kpi_store WHERE grain = 'cut' AND partition = 0")[0][0])
            store.command(f"INSERT INTO kpi_store (grain, partition, version) VALUES ('cut', 0, {cuts[0]})")
        return found

    monkeypatch.setattr(store, "query", flushing)
    _, read_as_of = read_with_cuts(store, ask(datetime.now(UTC), **ALL))
    assert read_as_of[0] == cuts[0]


async def test_numbers_that_never_rest_are_not_judged(city: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    from milepost.auditor import streamed

    moving = iter(range(1_000_000))
    monkeypatch.setattr(streamed, "cuts", lambda _store: {0: next(moving)})
    with pytest.raises(TooBusyError):
        read_with_cuts(city, ask(datetime.now(UTC), window="1h"))


async def test_frozen_minutes_are_left_out_and_said_so(city: Store) -> None:
    change(
        city,
        ORDERS,
        "last_event_at < toUnixTimestamp64Micro(toDateTime64('2026-03-03 00:00:00', 6, 'UTC')) "
        "AND deadline < last_event_at",
        state="'expired'",
    )
    change(city, KPIS, "grain = 'hour' AND minute < '2026-03-03' AND due > 0", due="due + 7")
    found = checked(city, **ALL)
    assert found.frozen_until == datetime(2026, 3, 3, tzinfo=UTC) == found.start
    assert found.drift == []
    assert "2026-03-03 are left out" in told(found)[0]
    wholly = checked(city, start="2026-03-02T00:00Z", end="2026-03-02T05:00Z")
    assert (wholly.start, wholly.compared) == (wholly.end, 0)


async def test_the_command_says_it_all(city: Store, installation: Settings, milepost: Callable[..., Any]) -> None:
    done = milepost(installation, "reconcile", "--window", "all", "--by", "hub_id", "--wait")
    assert done.stdout.startswith("No drift: from the beginning")
    change(city, KPIS, "grain = 'hour' AND delivered > 0", delivered="delivered + 1")
    done = milepost(installation, "reconcile", "--window", "all", "--json", check=False)
    assert done.returncode == 1
    answer = json.loads(done.stdout)
    assert [one["measure"] for one in answer["drift"]] == ["delivered"]
    assert answer["behind"]["layer"] == "roll-ups"
    assert milepost(installation, "reconcile", "--by", "nothing", check=False).returncode == 2
