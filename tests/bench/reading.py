"""How long reading takes over many orders: fills a database with them in SQL, then asks.

Run it with ``python tests/bench/reading.py --orders 10000000``; it starts an engine of its own.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from milepost.domain.measures import BUCKETS_PER_HISTOGRAM, GROWTH, HISTOGRAMS, MEASURES
from milepost.settings import Settings
from milepost.store.client import Store, reader, writer
from milepost.store.migrations import apply
from milepost.store.tables import KPIS, ORDERS

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


def _bucket(name: str, seconds: str) -> str:
    first = HISTOGRAMS.index(name) * BUCKETS_PER_HISTOGRAM
    return f"toUInt16({first} + intDiv(toUInt32(1000 * log({seconds} * 1e6)), {int(1000 * (GROWTH - 1))}))"


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


_KEYS = ("minute", "hub_id", "zone_id", "service_level", "merchant_id", "courier_id", "component", "activity", "partition")


def _minutes(orders: int, first: int) -> str:
    """Insert the minutes of ``orders`` orders, those numbered from ``first`` on."""
    contributions = ", ".join(_tuple(contribution) for contribution in CONTRIBUTIONS)
    sums = ", ".join(f"sum(c.5[{number}])" for number in range(1, len(MEASURES) + 1))
    return f"""
        INSERT INTO kpi_store ({", ".join(KPIS.columns)})
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
_REACHED = {"out_at": "out", "first_arrived_at": "arrived", "last_arrived_at": "arrived", "first_attempt_at": "delivered",
            "delivered_at": "delivered", "closed_at": "delivered"}  # fmt: skip


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
        "facts": "concat(hex(h), repeat('facts of it ', 24))",
        **{name: f"{moment} * 1000000" for name, moment in _MICROS.items()},
        **{name: f"if(open, 0, {moment} * 1000000)" for name, moment in _REACHED.items()},
        **{name: name for name in ("hub_id", "zone_id", "service_level", "merchant_id")},
    }
    columns = ", ".join(f"{values.get(name, repr('') if 'String' in kind else '0')}" for name, kind in ORDERS.columns.items())
    return f"""
        INSERT INTO orders_store ({", ".join(ORDERS.columns)})
        SELECT {columns} FROM (SELECT {_LIFE}, h % 977 < 20 AS open FROM numbers({first}, {orders}))
    """


def fill(store: Store, orders: int, say: Callable[[str], None]) -> None:
    """Fill the database with ``orders`` orders over ``DAYS`` days, one insert a day and table."""
    a_day = orders // DAYS
    for day in range(DAYS):
        start = START + timedelta(days=day)
        began = time.monotonic()
        moment = {"start": int(start.timestamp())}
        _insert(store, _minutes(a_day, day * a_day), moment)
        _insert(store, _orders(a_day, day * a_day), moment)
        say(f"day {day + 1} of {DAYS}: {time.monotonic() - began:.1f} s")
    hub = ("hub_id",)
    shop = (*hub, "zone_id", "service_level", "merchant_id")
    for day in range(DAYS + 1):
        start = START + timedelta(days=day)
        span = {"start": start, "end": start + timedelta(days=1)}
        _insert(store, _roll_up("minute", "hour", "toStartOfHour(minute)", hub), span)
        _insert(store, _roll_up("minute", "courier_day", "toStartOfDay(minute)", (*shop, "courier_id")), span)
        _insert(store, _roll_up("courier_day", "day", "minute", shop), span)
        say(f"roll-ups of day {day + 1}")


def _insert(store: Store, sql: str, parameters: dict[str, object]) -> None:
    store.command(sql, parameters, {"max_threads": 2, "max_memory_usage": 6_000_000_000})
