"""How long the panels of the Grafana dashboards take over many orders: runs every query of every one of them.

Run it with ``python tests/bench/dashboards.py --orders 10000000``; it starts an engine of its own, filled as
``reading.py`` fills it (with ``--data`` the two share what is there), and adds the life of every tenth order's promise.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import psutil
import reading
from stage import lone_engine

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
from grafana_queries import ALL, Document, View, documents, queries, variable_queries

from milepost.settings import Settings
from milepost.store.client import READ_SECONDS, Store, writer
from milepost.store.tables import KPIS, SLA_EVENTS

HUBS = tuple(f"hub-{number:02d}" for number in range(reading.HUBS))
GOAL_MS = 300
ONE_HUB = frozenset({"milepost-hub", "milepost-courier"})
_STEPS = {"1h": 3600, "1d": 86_400}


def _lives(orders: int, first: int) -> str:
    """Insert what became of the promises of every tenth order: warned, of these half broken, and some not foreseen."""
    columns = {
        "id": "toString(i)",
        "order_id": "concat('order-', toString(i))",
        "rule": "'promise'",
        "base": "deadline * 1000000",
        "due": "deadline * 1000000",
        "state": "s.1",
        "rank": "s.2",
        "at": "(deadline + s.3) * 1000000",
        "detected": "(deadline + s.3 + 1) * 1000000",
        "chance": "if(s.1 = 'at_risk', (q % 50) / 100, -1)",
        **{name: name for name in ("hub_id", "zone_id", "service_level", "merchant_id", "partition")},
        "courier_id": "courier",
        "version": str(first + 1),
    }
    values = ", ".join(
        f"{columns.get(name, repr('') if 'String' in kind else '0')}" for name, kind in SLA_EVENTS.columns.items()
    )
    reached = "('at_risk', 1, -900, r % 5 != 0), ('breached', 3, 0, r % 2), ('resolved', 4, 600, r % 9)"
    states = f"arrayFilter(s -> s.4, [{reached}])"
    return f"""
        INSERT INTO sla_events_store ({", ".join(SLA_EVENTS.columns)})
        SELECT {values} FROM (SELECT {reading._LIFE} FROM numbers({first}, {orders}) WHERE i % 10 = 0)
        ARRAY JOIN {states} AS s
    """


def fill(store: Store, orders: int, drawn: int) -> None:
    """Fill the database where it is empty; the rows of ``drawn`` days are made of orders, the other days are copies.

    A copy has as many rows of as many values, and is made much sooner. Of the minutes only those of the drawn days are
    there, and of the last, which the last hour is read from.
    """

    def say(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    a_day = orders // reading.DAYS
    if not store.query("SELECT count() FROM kpi_store")[0][0]:
        reading.fill(store, orders * drawn // reading.DAYS, say, drawn)
        for day in range(drawn, reading.DAYS):
            grains = "('hour', 'day', 'courier_day'" + (", 'minute')" if day == reading.DAYS - 1 else ")")
            reading._insert(store, _copied(day % drawn, day, grains), {})
            say(f"day {day + 1} is a copy")
    if not store.query("SELECT count() FROM sla_events_store")[0][0]:
        for day in range(reading.DAYS):
            start = reading.START + timedelta(days=day)
            reading._insert(store, _lives(a_day, day * a_day), {"start": int(start.timestamp())})
        say("promises")


def _copied(source: int, target: int, grains: str) -> str:
    """Insert the KPI rows of the day ``source`` as those of the day ``target``."""
    rest = ", ".join(name for name in KPIS.columns if name not in ("grain", "minute"))
    first = reading.START + timedelta(days=source)
    bounds = f"minute >= {int(first.timestamp())} AND minute < {int((first + timedelta(days=1)).timestamp())}"
    return f"""
        INSERT INTO kpi_store (grain, minute, {rest})
        SELECT grain, minute + {(target - source) * 86_400}, {rest} FROM kpi_store WHERE grain IN {grains} AND {bounds}
    """


@dataclass(frozen=True)
class Measured:
    """One query: what the engine says it took, and the processor time it used, in ms; the best of its tries."""

    dashboard: str
    panel: str
    engine_ms: float
    cpu_ms: float
    rows: int
    rows_read: int


class Engine:
    """The engine as Grafana asks it: over HTTP, reading only."""

    def __init__(self, url: str, database: str, pid: int) -> None:
        self._client = httpx.Client(base_url=url, timeout=READ_SECONDS + 5, trust_env=False)
        self._parameters = {"database": database, "readonly": "2", "default_format": "JSONCompact"}
        parent = psutil.Process(pid)
        self._processes = [parent, *parent.children(recursive=True)]

    def _cpu_ms(self) -> float:
        return 1000 * sum(sum(process.cpu_times()[:2]) for process in self._processes)

    def ask(self, text: str) -> tuple[dict[str, Any], float]:
        """The answer and the processor time it took."""
        began = self._cpu_ms()
        answer = self._client.post("/", params=self._parameters, content=text.encode())
        if answer.status_code != 200:
            raise RuntimeError(f"{answer.text[:800]}\n{text}")
        found: dict[str, Any] = answer.json()
        return found, self._cpu_ms() - began


def put_first(pid: int) -> None:
    """Let the engine run before all else on a machine that is busy with other things (Linux, as root)."""
    for process in (psutil.Process(pid), *psutil.Process(pid).children(recursive=True)):
        # A session is scheduled as a group, so that niceness alone only tells its own processes apart.
        Path(f"/proc/{process.pid}/autogroup").write_text("-20")
        process.nice(-20)


def view(document: Document, days: int, panel: Document | None = None) -> View:
    """The last days, all hubs, or one where there is one; as many points as Grafana asks for on a wide screen."""
    chosen = {"hub": HUBS[7] if document["uid"] in ONE_HUB else ALL, "zone": "Europe/Berlin", "currency": "EUR",
              "stops": "50", "courier": "courier-285", "order": f"order-{reading.ORDER}"}  # fmt: skip
    seconds = max(_STEPS[(panel or {}).get("interval", "1h")], days * 86_400 // 1000)
    start = reading.NOW - timedelta(days=days)
    return View(start, reading.NOW, reading.NOW, chosen, {"hub": HUBS}, seconds)


def measure(engine: Engine, days: int, tries: int) -> Iterator[Measured]:
    """Run every query."""
    for uid, document in documents().items():
        asked = [(f"variable {name}", view(document, days).sql(text)) for name, text in variable_queries(document)]
        asked += [
            (panel["title"], view(document, days, panel).sql(text)) for panel, text in queries(document, "rawSql")
        ]
        for name, text in asked:
            engine.ask(text)
            found = [engine.ask(text) for _ in range(tries)]
            answer = min((one for one, _ in found), key=lambda one: float(one["statistics"]["elapsed"]))
            took = 1000 * answer["statistics"]["elapsed"]
            cpu = min(used for _, used in found)
            yield Measured(uid, name, took, cpu, answer["rows"], answer["statistics"]["rows_read"])


def table(found: list[Measured]) -> Iterator[str]:
    """dashboard | panels | queries run | slowest, as Markdown."""
    yield "| dashboard | panels | queries run | slowest ms | of it | its CPU ms |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for uid, document in documents().items():
        panels = [panel for panel in document["panels"] if panel["type"] != "row"]
        prometheus = len(queries(document, "expr"))
        own = [one for one in found if one.dashboard == uid]
        counted = f"{len(own)} of ClickHouse, {prometheus} of Prometheus not timed" if prometheus else f"{len(own)}"
        if not own:
            yield f"| {uid} | {len(panels)} | {counted} | – | – | – |"
            continue
        worst = max(own, key=lambda one: one.engine_ms)
        yield f"| {uid} | {len(panels)} | {counted} | {worst.engine_ms:.0f} | {worst.panel} | {worst.cpu_ms:.0f} |"


def main() -> None:
    """Start an engine, fill it where it is empty, ask, print tables and one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--orders", type=int, default=1_000_000)
    parser.add_argument(
        "--drawn", type=int, default=reading.DAYS, help="Make so many days of orders, the others copies of them."
    )
    parser.add_argument("--days", type=int, default=30, help="The time range looked at.")
    parser.add_argument("--data", type=Path, help="Keep the data here, and use what is there.")
    parser.add_argument("--tries", type=int, default=3)
    parser.add_argument("--first", action="store_true", help="Let the engine run before all else (as root).")
    parser.add_argument("--port-base", type=int, default=Settings().port_base)
    arguments = parser.parse_args()
    with lone_engine(arguments.data, arguments.port_base) as (settings, process):
        with writer(settings) as store:
            fill(store, arguments.orders, arguments.drawn)
        if arguments.first:
            put_first(process.pid)
        began = time.monotonic()
        engine = Engine(settings.clickhouse_url, settings.database, process.pid)
        found = list(measure(engine, arguments.days, arguments.tries))
        took = time.monotonic() - began
    for line in table(found):
        print(line)
    load = ", ".join(f"{one:.1f}" for one in psutil.getloadavg())
    print(f"\n{len(found)} queries in {took:.0f} s; load averages at the end: {load}\n")
    for one in sorted(found, key=lambda one: -one.engine_ms)[:15]:
        read = f"{one.rows_read:10,} rows read"
        print(f"{one.engine_ms:7.0f} ms {one.cpu_ms:7.0f} CPU ms  {read}  {one.dashboard}: {one.panel}")
    print(json.dumps({"orders": arguments.orders, "days": arguments.days, "queries": [vars(one) for one in found]}))


if __name__ == "__main__":
    main()
