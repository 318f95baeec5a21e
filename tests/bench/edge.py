"""Events a second that one edge process takes, each acknowledged by the broker before the answer."""

from itertools import islice
from pathlib import Path

import psutil

from bench.posting import Load, hammer, request
from bench.stage import Stage
from milepost.settings import Service

BATCH = 500
BATCH_CONNECTIONS = 4
SINGLE_CONNECTIONS = 32
STRUCTURED, BATCHED = "application/cloudevents+json", "application/cloudevents-batch+json"
PREPARED = 50_000
WARM_UP_SECONDS = 1.0


def measure(stage: Stage, city: Path, seconds: float) -> dict[str, dict[str, float]]:
    """Post the city's events for ``seconds`` in batches, then for ``seconds`` one by one."""
    port = stage.settings.port_of(Service.ORDERS)
    with city.open("rb") as file:
        events = [line.rstrip(b"\n") for line in islice(file, PREPARED)]
    batches = [
        request(port, BATCHED, b"[" + b",".join(events[start : start + BATCH]) + b"]")
        for start in range(0, len(events), BATCH)
    ]
    singles = [request(port, STRUCTURED, event) for event in events]
    with stage.service(Service.ORDERS, stage.settings) as process:
        edge = psutil.Process(process.pid)
        figures = {}
        for name, requests, connections, size in (
            ("batches", batches, BATCH_CONNECTIONS, BATCH),
            ("single", singles, SINGLE_CONNECTIONS, 1),
        ):
            hammer(port, requests, connections, WARM_UP_SECONDS)
            before = edge.cpu_times()
            load = hammer(port, requests, connections, seconds)
            after = edge.cpu_times()
            busy = (after.user + after.system - before.user - before.system) / load.seconds
            figures[name] = _figures(load, size, busy)
    return figures


def _figures(load: Load, size: int, busy: float) -> dict[str, float]:
    return {
        "events_a_second": round(load.posts * size / load.seconds),
        "posts_a_second": round(load.posts / load.seconds, 1),
        "cpu_micros_an_event": round(1e6 * busy * load.seconds / (load.posts * size), 1) if load.posts else 0.0,
        "not_taken": load.refused,
        "p50_ms": round(load.p50_ms, 1),
        "p99_ms": round(load.p99_ms, 1),
        "edge_busy": round(busy, 2),
        "client_busy": round(load.client_busy, 2),
    }
