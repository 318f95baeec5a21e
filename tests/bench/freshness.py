"""The time from POST to visible in `milepost kpi`, under a steady load.

Every post carries, besides events of the city, one probe: an order of a hub of its own, promised for two hours ago,
which therefore counts in a minute that has ended. A second process asks the command's own query again and again and
notes when each hub appears. Moments count from the schedule, not from when the client got round to it, so a stall is
not left out (no coordinated omission); the pause between two questions is in the figure.
"""

import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import uvloop

from bench.edge import BATCHED
from bench.posting import post_on_schedule, quantile, request
from bench.stage import Stage
from bench.workload import placed_order
from milepost.reading.kpis import answer
from milepost.reading.question import ask
from milepost.settings import Service, load
from milepost.store.client import reader

POSTS_A_SECOND = 50
WARM_UP_SECONDS = 5
ASK_PAUSE_SECONDS = 0.2
PATIENCE_SECONDS = 30.0
PROBE = "probe-"


def measure(stage: Stage, city: Path, seconds: int, events_a_second: int) -> dict[str, float]:
    """Post ``events_a_second`` for ``seconds`` while the processor and a reader run."""
    settings = stage.database("freshness")
    port = settings.port_of(Service.ORDERS)
    posts = (WARM_UP_SECONDS + seconds) * POSTS_A_SECOND
    others = events_a_second // POSTS_A_SECOND - 1
    with city.open("rb") as file:
        events = [line.rstrip(b"\n") for line in islice(file, posts * others)]
    requests = [
        request(port, BATCHED, b"[" + b",".join([*events[n * others : (n + 1) * others], probe(n)]) + b"]")
        for n in range(posts)
    ]
    seen_file = stage.folder / "seen.txt"
    with (
        stage.service(Service.PROCESSOR, settings) as worker,
        stage.service(Service.ORDERS, settings),
        stage.module("freshness", settings, str(seen_file)) as asking,
    ):
        scheduled, late, refused = uvloop.run(post_on_schedule(port, requests, POSTS_A_SECOND))
        last = f"{PROBE}{posts - 1}"
        deadline = time.monotonic() + PATIENCE_SECONDS
        while last not in _seen(seen_file) and time.monotonic() < deadline:
            _still(worker, asking)
            time.sleep(0.2)
    seen = _seen(seen_file)
    counted = range(WARM_UP_SECONDS * POSTS_A_SECOND, posts)
    took = [seen[f"{PROBE}{n}"] - scheduled[n] for n in counted if f"{PROBE}{n}" in seen]
    return {
        "p50_s": round(quantile(took, 0.5), 3),
        "p99_s": round(quantile(took, 0.99), 3),
        "max_s": round(max(took, default=float("nan")), 3),
        "probes": len(took),
        "never_seen": len(counted) - len(took),
        "not_taken": refused,
        "events_a_second": events_a_second,
        "client_late_p99_s": round(quantile(late, 0.99), 3),
    }


def probe(number: int) -> bytes:
    """An order that is due, and can be seen, as soon as it is stored."""
    placed = datetime.now(UTC) - timedelta(hours=3)
    order = f"{PROBE}{number}"
    return placed_order(order, order, placed, placed + timedelta(hours=1))


def _still(*processes: subprocess.Popen[bytes]) -> None:
    for process in processes:
        if process.poll() is not None:
            raise RuntimeError(f"a process ended with {process.returncode}")


def _seen(path: Path) -> dict[str, float]:
    if not path.exists():
        return {}
    lines = [line.split() for line in path.read_text().split("\n")[:-1]]
    return {hub: float(at) for at, hub in lines}


def look(path: Path) -> None:
    """Ask the command's query for ever, and note when a hub is in an answer for the first time: moment, hub."""
    store = reader(load())
    known: set[str] = set()
    while True:
        now = datetime.now(UTC)
        found: Any = answer(store, ask(now, window="24h", by=["hub_id"], kpis=["promise_kept"]), now)
        at = time.monotonic()
        hubs = {row.dimensions["hub_id"] for row in found.rows if row.dimensions["hub_id"].startswith(PROBE)}
        with path.open("a") as file:
            file.writelines(f"{at} {hub}\n" for hub in hubs - known)
        known |= hubs
        time.sleep(ASK_PAUSE_SECONDS)


if __name__ == "__main__":
    look(Path(sys.argv[1]))
