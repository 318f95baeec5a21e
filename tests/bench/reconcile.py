"""How long `milepost reconcile` takes over a long log: fills a database in SQL, then reconciles windows of it.

Run it with ``python tests/bench/reconcile.py`` (10 million events of 1.37 million orders); it starts an engine.
The KPI rows and the log say the same, so any drift that it finds is a fault.
"""

import argparse
import json
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import reading
from stage import lone_engine

from milepost.auditor.reconcile import RECOUNT_SECONDS, reconcile
from milepost.reading.question import ask
from milepost.settings import Settings
from milepost.store.client import Store, reader, writer
from milepost.store.tables import EVENTS


def _event(kind: str, moment: str, data: str, *values: str, when: str = "1") -> str:
    """An event as a tuple: whether it was, its type, its moment in seconds, its data."""
    # The engine's format() would take the brace after a place for a part of it, so a blank stands between.
    body = '{{"order_id":"{}"' + data.replace("{}}}", "{} }}") + " }}"
    formatted = f"format('{body}', {', '.join(('subject', *values))})"
    return f"({when}, 'milepost.{kind}.v1', toInt64({moment}), {formatted})"


def _cost(component: str, amount: str) -> str:
    data = (
        ',"cost_id":"' + component + '-{}","hub_id":"{}","component":"' + component
        + '","amount":"{}.{}","currency":"EUR"'
    )  # fmt: skip
    whole, part = f"toString(intDiv({amount}, 10000))", f"leftPad(toString(({amount}) % 10000), 4, '0')"
    return _event("cost.recorded", "delivered", data, "subject", "hub_id", whole, part)


_COURIER = ',"courier_id":"{}"'
_LINE = ',"lines":[{{"sku":"sku-{}","quantity":{}}}]'
_SKU = "toString(q % 900)"
_LOG = (
    _event(
        "order.placed",
        "placed",
        ',"hub_id":"{}","promised_until":"{}Z"' + _LINE + ',"zone_id":"{}","merchant_id":"{}","service_level":"{}"'
        ',"delivery_fee":{{"amount":"4.9","currency":"EUR"}}',
        "hub_id",
        "replaceOne(toString(toDateTime(deadline, 'UTC')), ' ', 'T')",
        _SKU,
        "'2'",
        "zone_id",
        "merchant_id",
        "service_level",
    ),
    _event("dispatch.ready", "ready", ""),
    _event("dispatch.assigned", "assigned", _COURIER, "courier"),
    _event("delivery.picked_up", "out", _COURIER, "courier"),
    _event("delivery.arrived", "arrived", _COURIER, "courier"),
    _event("delivery.delivered", "delivered", _LINE + _COURIER, _SKU, "toString(1 + (q % 20 > 0))", "courier"),
    _event(
        "feedback.submitted", "answered", ',"score":{},"nps":{}', "toString(score)", "toString(nps)", when="answers"
    ),
    _cost("labour", "20000 + q % 60000"),
    _cost("fuel", "5000 + q % 10000"),
)


def _events(orders: int, first: int) -> str:
    """Insert the log of ``orders`` orders, their ids strewn over the alphabet as random ones are."""
    return f"""
        INSERT INTO events_store ({", ".join(EVENTS.columns)})
        SELECT subject, '/bench', lower(hex(cityHash64(i, e.2, e.4))), e.2, e.3 * 1000000 AS time, time, time,
            partition, i * 10 + 1 AS offset, 4611686018427387904 - offset, 0, cityHash64(i, e.2, 1), e.4
        FROM (
            SELECT {reading._LIFE}, concat('o-', lower(hex(cityHash64(i, 9)))) AS subject
            FROM numbers({first}, {orders})
        )
        ARRAY JOIN [{", ".join(_LOG)}] AS e
        WHERE e.1
    """


def fill(store: Store, orders: int, say: Callable[[str], None]) -> None:
    """The log, the KPI minutes and roll-ups of ``orders`` orders over thirty days, and how far each partition is."""
    reading.fill(store, orders, say)
    store.command("TRUNCATE TABLE events_store")
    a_day = orders // reading.DAYS
    for day in range(reading.DAYS):
        start = reading.START + timedelta(days=day)
        reading._insert(store, _events(a_day, day * a_day), {"start": int(start.timestamp())})
        say(f"log of day {day + 1}")
    cut = f"SELECT 'cut', number, {orders * 10 + 10} FROM numbers({reading.PARTITIONS})"
    store.command(f"INSERT INTO kpi_store (grain, partition, version) {cut}")


WINDOWS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("all time", {"window": "all"}),
    ("all time by hub", {"window": "all", "by": ["hub_id"]}),
    ("the last day by hub", {"window": "24h", "by": ["hub_id"]}),
)


def measure(store: Store) -> list[dict[str, Any]]:
    """Reconcile each window once."""
    found = []
    for name, asked in WINDOWS:
        result = reconcile(store, ask(reading.NOW, **asked), reading.NOW, settle_seconds=1)
        drifted = sorted({one.measure for one in result.drift})
        found.append({"window": name, "seconds": result.seconds, "compared": result.compared, "drifted": drifted})
        print(f"{name:24} {result.seconds:7.1f} s  {result.compared:,} numbers, {len(drifted)} drift", flush=True)
    return found


def main() -> None:
    """Start an engine, fill it where it is empty, reconcile, print a table and one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--orders", type=int, default=1_370_000, help="7.3 events each.")
    parser.add_argument("--data", type=Path, help="Keep the data here, and use what is there.")
    parser.add_argument("--port-base", type=int, default=Settings().port_base)
    arguments = parser.parse_args()
    with lone_engine(arguments.data, arguments.port_base) as (settings, _):
        with writer(settings) as store:
            if not store.query("SELECT count() FROM events_store")[0][0]:
                fill(store, arguments.orders, lambda line: print(line, file=sys.stderr, flush=True))
            events = store.query("SELECT count() FROM events_store")[0][0]
        with reader(settings, RECOUNT_SECONDS) as store:
            found = measure(store)
    print(json.dumps({"events": int(events), "windows": found}))


if __name__ == "__main__":
    main()
