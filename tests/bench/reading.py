"""How long reading takes over many orders: fills a database with them in SQL, then asks.

Run it with ``python tests/bench/reading.py --orders 10000000``; it starts an engine of its own.
"""

import argparse
import json
import math
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from stage import lone_engine

from milepost.domain import facts as f
from milepost.domain.kpis import GAUGES, KPI_NAMES
from milepost.domain.measures import BOUNDARIES, BUCKETS_PER_HISTOGRAM, GROWTH, HISTOGRAMS, MEASURES
from milepost.exporter.snapshot import look
from milepost.reading.gauges import read_gauges
from milepost.reading.kpis import answer
from milepost.reading.orders import find_order, find_orders
from milepost.reading.question import ask
from milepost.settings import Settings
from milepost.store.client import Store, reader, writer
from milepost.store.tables import EVENTS, KPIS, ORDERS

START = datetime(2026, 9, 1, tzinfo=UTC)
DAYS = 30
HUBS, ZONES_A_HUB, LEVELS, MERCHANTS, COURIERS_A_HUB, PARTITIONS = 50, 8, 3, 20, 40, 4

_LIFE = f"""
    number AS i,
    cityHash64(i) AS h,
    h % {HUBS} AS hub,
    concat('hub-', leftPad(toString(hub), 2, '0')) AS hub_id,
    concat('zone-', toString(hub * {ZONES_A_HUB} + bitShiftRight(h, 8) % {ZONES_A_HUB})) AS zone_id,
    ['same-day', 'express', 'scheduled'][bitShiftRight(h, 12) % {LEVELS} + 1] AS service_level,
    concat('merchant-', toString(bitShiftRight(h, 16) % {MERCHANTS})) AS merchant_id,
    concat('courier-', toString(hub * {COURIERS_A_HUB} + bitShiftRight(h, 21) % {COURIERS_A_HUB})) AS courier,
    toUInt16(bitShiftRight(h, 27) % {PARTITIONS}) AS partition,
    cityHash64(i, 1) AS r,
    -- Two peaks a day, from the sums of two draws.
    toInt64({{start:Int64}}) + if(r % 2 = 0, 9, 16) * 3600
        + bitShiftRight(r, 1) % 10800 + bitShiftRight(r, 20) % 10800 AS placed,
    600 + bitShiftRight(r, 40) % 1800 AS preparing,
    30 + bitShiftRight(r, 52) % 600 AS assigning,
    300 + cityHash64(i, 2) % 900 AS collecting,
    600 + cityHash64(i, 3) % 2400 AS driving,
    60 + cityHash64(i, 4) % 300 AS ringing,
    placed + preparing AS ready,
    ready + assigning AS assigned,
    assigned + collecting AS out,
    out + driving AS arrived,
    arrived + ringing AS delivered,
    intDiv(placed, 900) * 900 + 4500 AS deadline,
    delivered <= deadline AS kept,
    cityHash64(i, 5) AS q,
    1 + q % 5 AS score,
    q % 11 AS nps,
    delivered + 3600 AS answered,
    q % 10 < 3 AS answers
"""


_BOUNDARIES = f"CAST([{', '.join(map(str, BOUNDARIES))}], 'Array(UInt64)') AS boundaries"
_FIRST = len(BOUNDARIES) - math.log(BOUNDARIES[-1]) / math.log(GROWTH)


def _bucket(name: str, seconds: str) -> str:
    """The bucket ``seconds`` belong into, where ``_BOUNDARIES`` is there: nearly by the growth, then by its bounds."""
    first = HISTOGRAMS.index(name) * BUCKETS_PER_HISTOGRAM
    near = f"toUInt16({_FIRST} + log({seconds} * 1e6) / log({GROWTH}))"
    above, below = (
        f"(boundaries[{near} {step}] {sign} {seconds} * 1000000)" for step, sign in (("+ 1", "<="), ("", ">"))
    )
    return f"toUInt16({first} + {near} + {above} - {below})"


@dataclass(frozen=True)
class Contribution:
    """What one moment of an order's life puts into its minute."""

    moment: str
    measures: dict[str, str]
    buckets: tuple[str, ...] = ()
    courier: str = "courier"
    component: str = ""
    when: str = "1"


def _stage(name: str, moment: str, seconds: str, courier: str = "courier") -> Contribution:
    measures = {f"{name}_timed": "1", f"{name}_us": f"{seconds} * 1000000"}
    return Contribution(moment, measures, (_bucket(name, seconds),), courier)


CONTRIBUTIONS = (
    _stage("prepare", "ready", "preparing", "''"),
    _stage("assign", "assigned", "assigning"),
    _stage("collect", "out", "collecting"),
    _stage("transit", "arrived", "driving"),
    Contribution(
        "delivered",
        {
            **dict.fromkeys(("delivered", "delivery_timed", "in_full_known", "attempted", "tried", "closed"), "1"),
            **dict.fromkeys(("first_success", "door_timed"), "1"),
            "delivery_us": "(delivered - placed) * 1000000",
            "on_time": "kept",
            "in_full": "q % 20 > 0",
            "responded": "answers",
            "door_us": "ringing * 1000000",
            "priced": "1",
            "fee": "49000",
        },
        (_bucket("delivery", "(delivered - placed)"), _bucket("door", "ringing")),
    ),
    Contribution(
        "deadline",
        {
            "due": "1",
            "kept": "kept",
            "otif": "kept AND q % 20 > 0",
            "due_original": "1",
            "kept_original": "kept",
        },
    ),
    Contribution(
        "answered",
        {
            "scored": "1",
            "satisfied": "score >= 4",
            "score_sum": "score",
            "nps_answered": "1",
            "promoters": "nps >= 9",
            "detractors": "nps <= 6",
        },
        when="answers",
    ),
    Contribution("delivered", {"cost": "20000 + q % 60000"}, component="'labour'"),
    Contribution("delivered", {"cost": "5000 + q % 10000"}, component="'fuel'"),
)


def _tuple(contribution: Contribution) -> str:
    measures = ", ".join(f"toInt64({contribution.measures.get(name, '0')})" for name in MEASURES)
    buckets = "[" + ", ".join(contribution.buckets) + "]"
    counts = "[" + ", ".join("toInt64(1)" for _ in contribution.buckets) + "]"
    return (
        f"({contribution.when}, toDateTime(intDiv({contribution.moment}, 60) * 60, 'UTC'), {contribution.courier}, "
        f"{contribution.component or chr(39) * 2}, [{measures}], "
        f"CAST({buckets}, 'Array(UInt16)'), CAST({counts}, 'Array(Int64)'))"
    )


_KEYS = (
    "minute",
    "hub_id",
    "zone_id",
    "service_level",
    "merchant_id",
    "courier_id",
    "component",
    "activity",
    "partition",
)


def _minutes(orders: int, first: int) -> str:
    """Insert the minutes of ``orders`` orders, those numbered from ``first`` on."""
    contributions = ", ".join(_tuple(contribution) for contribution in CONTRIBUTIONS)
    sums = ", ".join(f"sum(c.5[{number}])" for number in range(1, len(MEASURES) + 1))
    return f"""
        INSERT INTO kpi_store ({", ".join(KPIS.columns)})
        WITH {_BOUNDARIES}
        SELECT 'minute', c.2 AS minute, hub_id, zone_id, service_level, merchant_id, c.3 AS courier_id,
            c.4 AS component, if(c.4 = '', '', 'delivery') AS activity, partition, {first + 1}, {sums},
            (sumMap(c.6, c.7) AS histogram).1, histogram.2
        FROM (SELECT {_LIFE} FROM numbers({first}, {orders})) ARRAY JOIN [{contributions}] AS c
        WHERE c.1
        GROUP BY {", ".join(_KEYS)}
    """


def _roll_up(source: str, target: str, floor: str, kept: tuple[str, ...]) -> str:
    """Insert the roll-up ``target`` of one day of ``source``'s rows, with the dimensions ``kept``."""
    dimensions = ("hub_id", "zone_id", "service_level", "merchant_id", "courier_id")
    keys = [f"{floor} AS m", *(name if name in kept else "''" for name in dimensions)]
    sums = ", ".join(f"sum({name})" for name in MEASURES)
    return f"""
        INSERT INTO kpi_store ({", ".join(KPIS.columns)})
        SELECT '{target}', {", ".join(keys)}, component, activity, partition, max(version), {sums},
            (sumMap(hist_bucket, hist_count) AS histogram).1, histogram.2
        FROM kpi_store
        WHERE grain = '{source}' AND minute >= {{start:DateTime('UTC')}} AND minute < {{end:DateTime('UTC')}}
        GROUP BY {", ".join(("m", *kept, "component", "activity", "partition"))}
    """


_MICROS = {"placed_at": "placed", "promised_until": "deadline", "deadline": "deadline", "agreed_until": "deadline",
           "ready_at": "ready", "assigned_at": "assigned"}  # fmt: skip
_REACHED = {"out_at": "out", "first_arrived_at": "arrived", "last_arrived_at": "arrived",
            "first_attempt_at": "delivered", "delivered_at": "delivered", "closed_at": "delivered"}  # fmt: skip
_FACTS = f.encode(
    [f.Ready(number, 10**15 + number, "/bench", f"event-{number}", 2**63 + number) for number in range(8)]
)


def _orders(orders: int, first: int) -> str:
    """Insert the order rows; one of fifty is still open."""
    values = {
        "order_id": "concat('order-', toString(i))",
        "partition": "partition",
        "version": str(first + 1),
        "state": "if(open, 'out', 'delivered')",
        "courier_id": "courier",
        "parcels": "1",
        "due": "1",
        "kept": "if(open, 0, kept)",
        "in_full": "1",
        "score": "if(answers, score, -1)",
        "nps": "if(answers, nps, -1)",
        "cost": "30000",
        "last_event_at": "delivered * 1000000",
        "events": "8",
        "measures": "range(20)",
        "facts": f"unhex('{_FACTS.hex()}')",
        **{name: f"{moment} * 1000000" for name, moment in _MICROS.items()},
        **{name: f"if(open, 0, {moment} * 1000000)" for name, moment in _REACHED.items()},
        **{name: name for name in ("hub_id", "zone_id", "service_level", "merchant_id")},
    }
    columns = ", ".join(
        f"{values.get(name, repr('') if 'String' in kind else '0')}" for name, kind in ORDERS.columns.items()
    )
    return f"""
        INSERT INTO orders_store ({", ".join(ORDERS.columns)})
        SELECT {columns} FROM (SELECT {_LIFE}, h % 977 < 20 AS open FROM numbers({first}, {orders}))
    """


def _events(orders: int, first: int) -> str:
    """Insert eight events for each of ``orders`` orders, a day apart in the log."""
    return f"""
        INSERT INTO events_store ({", ".join(EVENTS.columns)})
        SELECT concat('order-', toString(number)) AS subject, '/bench', concat('event-', toString(e)),
            'milepost.delivery.arrived.v1', {{start:Int64}} * 1000000 + e AS time, time, time, number % {PARTITIONS},
            number * 8 + e AS offset, 4611686018427387904 - offset, 0, cityHash64(number, e),
            concat('{{"order_id":"', subject, '","courier_id":"courier-', toString(number % 2000), '"}}')
        FROM numbers({first}, {orders}) ARRAY JOIN range(8) AS e
    """


def fill(store: Store, orders: int, say: Callable[[str], None], days: int = DAYS) -> None:
    """Fill the database with ``orders`` orders over the first ``days`` days, one insert a day and table."""
    a_day = orders // days
    for day in range(days):
        start = START + timedelta(days=day)
        began = time.monotonic()
        moment = {"start": int(start.timestamp())}
        _insert(store, _minutes(a_day, day * a_day), moment)
        _insert(store, _orders(a_day, day * a_day), moment)
        _insert(store, _events(a_day // 10, day * a_day), moment)
        say(f"day {day + 1} of {days}: {time.monotonic() - began:.1f} s")
    hub = ("hub_id",)
    shop = (*hub, "zone_id", "service_level", "merchant_id")
    for day in range(days + 1):
        start = START + timedelta(days=day)
        span = {"start": start, "end": start + timedelta(days=1)}
        _insert(store, _roll_up("minute", "hour", "toStartOfHour(minute)", hub), span)
        _insert(store, _roll_up("minute", "courier_day", "toStartOfDay(minute)", (*shop, "courier_id")), span)
        _insert(store, _roll_up("courier_day", "day", "minute", shop), span)
        say(f"roll-ups of day {day + 1}")


def _insert(store: Store, sql: str, parameters: dict[str, object]) -> None:
    store.command(sql, parameters, {"max_threads": 2, "max_memory_usage": 6_000_000_000})


ORDER = 7
"""One of the orders that have events."""
NOW = START + timedelta(days=DAYS - 1, hours=20, minutes=17, seconds=30)
"""The evening of the last day: a window that ends here starts and ends within an hour."""


@dataclass(frozen=True)
class Measured:
    """One question, how long it took in several tries, and its goal where there is one."""

    question: str
    milliseconds: tuple[float, ...]
    rows: int
    goal: float | None

    @property
    def median(self) -> float:
        """The middle of the tries."""
        return statistics.median(self.milliseconds)

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "question": self.question,
            "median_ms": round(self.median, 1),
            "max_ms": round(max(self.milliseconds), 1),
            "goal_ms": self.goal,
            "rows": self.rows,
        }


def measure(store: Store, tries: int) -> Iterator[Measured]:
    """Ask everything that has a goal, and what the exporter asks."""

    def kpis(**asked: Any) -> Callable[[], int]:
        return lambda: len(answer(store, ask(NOW, **asked), NOW).rows)

    month = {"window": "30d"}
    asked: tuple[tuple[str, float | None, Callable[[], int]], ...] = (
        ("24 h by hub, promise_kept", 300, kpis(by=["hub_id"], kpis=["promise_kept"])),
        ("24 h by hub, every KPI with quantiles", 300, kpis(by=["hub_id"], kpis=[",".join(KPI_NAMES)])),
        ("24 h by zone, otif", 2000, kpis(by=["zone_id"], kpis=["otif"])),
        ("24 h by zone, every KPI", 2000, kpis(by=["zone_id"], kpis=[",".join(KPI_NAMES)])),
        ("30 d by hub, every KPI", 2000, kpis(by=["hub_id"], kpis=[",".join(KPI_NAMES)], **month)),
        ("30 d by zone, promise_kept", 2000, kpis(by=["zone_id"], kpis=["promise_kept"], **month)),
        ("30 d by merchant and level, delivery_time", 2000,
         kpis(by=["merchant_id,service_level"], kpis=["delivery_time"], **month)),
        ("30 d by merchant, cost by component", 2000, kpis(by=["merchant_id,component"], **month)),
        ("30 d by courier, first_attempt_success", 2000,
         kpis(by=["courier_id"], kpis=["first_attempt_success"], **month)),
        ("30 d of one hub by courier, every KPI", 2000,
         kpis(by=["courier_id"], where=["hub_id=hub-07"], kpis=[",".join(KPI_NAMES)], **month)),
        ("30 d by zone, every KPI", 2000, kpis(by=["zone_id"], kpis=[",".join(KPI_NAMES)], **month)),
        ("open and overdue orders by hub", None, lambda: len(read_gauges(store, NOW, GAUGES, ("hub_id",)))),
        ("100 overdue orders", None, lambda: len(find_orders(store, NOW, "overdue").items)),
        ("one order's timeline", 100, lambda: int(find_order(store, f"order-{ORDER}", NOW) is not None)),
        ("the exporter's refresh", None, lambda: len(look(store, NOW).rendered)),
    )  # fmt: skip
    for question, goal, call in asked:
        call()
        taken, rows = [], 0
        for _ in range(tries):
            began = time.perf_counter()
            rows = call()
            taken.append(1000 * (time.perf_counter() - began))
        yield Measured(question, tuple(taken), rows, goal)


def main() -> None:
    """Start an engine, fill it where it is empty, ask, print a table and one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--orders", type=int, default=1_000_000)
    parser.add_argument("--data", type=Path, help="Keep the data here, and use what is there.")
    parser.add_argument("--tries", type=int, default=5)
    parser.add_argument("--port-base", type=int, default=Settings().port_base)
    arguments = parser.parse_args()
    with lone_engine(arguments.data, arguments.port_base) as (settings, _):
        with writer(settings) as store:
            if not store.query("SELECT count() FROM orders_store")[0][0]:
                fill(store, arguments.orders, lambda line: print(line, file=sys.stderr, flush=True))
            size = store.query("SELECT sum(rows), sum(bytes_on_disk) FROM system.parts WHERE active")[0]
            orders = store.query("SELECT count() FROM orders_store")[0][0]
        with reader(settings) as store:
            found = []
            for one in measure(store, arguments.tries):
                goal = "" if one.goal is None else f"goal {one.goal:,.0f} ms"
                print(f"{one.question:48} {one.median:9,.0f} ms  {goal}", flush=True)
                found.append(one.as_json())
    print(json.dumps({"orders": int(orders), "rows": int(size[0]), "bytes": int(size[1]), "questions": found}))


if __name__ == "__main__":
    main()
