"""Producers faster than the processor: lag grows, memory does not, and the edge stays up."""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
import psutil

from soak.city import Load
from soak.stage import Behind, running
from soak.watch import Watch, as_json, curve, readiness
from support.spine import PROCESSOR

BATCH = 500
HUBS, ZONES = 20, 100
NICE = 15
CACHE = 20_000
FLUSH = 20_000
"""Small flushes, so that memory is soon what it stays: a flush that is written, one that is built, one that fills."""
SETTLED_SHARE = 0.5
"""Memory is flat where the second half of the time does not need much more than the first."""
MOST_GROWTH_MIB = 150


def soak(folder: Path, seconds: int, pause: float, say: Callable[[str], None]) -> dict[str, Any]:
    """Post as fast as the edge takes it for ``seconds`` while the worker has to stand back; give figures and faults.

    Orders are new and stay open; the worker keeps few of them in memory, so that what grows would be the queues.
    """
    with running(folder / "platform", cache_orders=CACHE, cache_minutes=CACHE, flush_events=FLUSH) as stage:
        stage.wait(lambda: not readiness(stage.worker_url), "the worker is ready")
        worker, edge = stage.pids()
        psutil.Process(worker).nice(NICE)
        end = time.monotonic() + seconds
        load = Load(stage.edge_url, _until(end), 0)
        watch = Watch(worker, edge, stage.worker_url, Behind(stage), pause, say)
        watch.start()
        try:
            watch.phase = "flood"
            load.start()
            load.finish(seconds + 120)
            watch.phase = "catching"
            began = time.monotonic()
            stage.catch_up()
            caught_up = time.monotonic() - began
        finally:
            watch.stop()
        with stage.store() as store:
            ((stored, distinct),) = store.query("SELECT count(), uniqExact(subject, source, id) FROM events")
        flood = watch.of("flood")
        half = len(flood) // 2
        first = max(sample.worker_mib for sample in flood[: half or 1])
        second = max(sample.worker_mib for sample in flood[half:])
        figures = {
            "accepted": load.accepted,
            "events_a_second": round(load.accepted / seconds),
            "told_to_send_again": load.waits,
            "longest_post_seconds": round(load.longest_post, 3),
            "most_lag": max(sample.lag for sample in watch.samples),
            "caught_up_after_seconds": round(caught_up, 1),
            "lost": load.accepted - distinct,
            "double": stored - distinct,
            "worker_mib_first_half": round(first),
            "worker_mib_second_half": round(second),
            "edge_mib_most": round(max(sample.edge_mib for sample in watch.samples)),
        }
        faults = []
        if figures["lost"] or figures["double"]:
            faults.append(f"{figures['lost']} events lost, {figures['double']} double")
        if watch.ended:
            faults.append(f"the worker ended: {stage.platform.log(PROCESSOR).read_text()[-2_000:]}")
        if second - first > MOST_GROWTH_MIB:
            faults.append(f"the worker went on growing, by {second - first:.0f} MiB")
        if load.refused:
            faults.append(f"{load.refused} events refused")
        print(curve(watch.samples))
        return {"figures": figures, "faults": faults, "samples": as_json(watch.samples)}


def _until(end: float) -> Iterator[list[bytes]]:
    events = _placed()
    while time.monotonic() < end:
        yield list(islice(events, BATCH))


def _placed() -> Iterator[bytes]:
    """Orders without end, placed over the last day, promised for the coming one."""
    encode = msgspec.json.Encoder().encode
    start = datetime.now(UTC) - timedelta(days=1)
    number = 0
    while True:
        at = start + timedelta(seconds=number % 86_000)
        order = f"lag-{number:09d}"
        yield encode(
            {
                "specversion": "1.0",
                "id": order,
                "source": "/soak",
                "type": "milepost.order.placed.v1",
                "time": at,
                "subject": order,
                "data": {
                    "order_id": order,
                    "hub_id": f"hub-{number % HUBS:02d}",
                    "zone_id": f"zone-{number % ZONES:03d}",
                    "promised_until": at + timedelta(days=1, minutes=number % 90),
                    "lines": [{"sku": f"sku-{number % 997:04d}", "quantity": 1 + number % 3}],
                },
            }
        )
        number += 1
