"""Resident memory of a processor worker per million open orders."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import msgspec
import psutil

from bench.processor import LOOK_SECONDS, stored
from bench.stage import Stage
from bench.timeline import watch
from bench.workload import Record, fill
from milepost.settings import Service

WARM_UP = 20_000
SETTLE_SECONDS = 3.0
HUBS, ZONES, MERCHANTS = 20, 100, 30
MEBIBYTE = 1 << 20


def measure(stage: Stage, orders: int, limit: float) -> dict[str, float | str]:
    """Place ``orders`` orders that stay open, after some for warming up, and see how much the worker grows.

    Everything a worker keeps for them counts: facts, the filter of known orders, the KPI cells of their deadlines.
    """
    settings = stage.database("memory")
    with stage.service(Service.PROCESSOR, settings) as process:
        worker = psutil.Process(process.pid)
        sizes = []
        total = 0
        for first, count in ((0, WARM_UP), (WARM_UP, orders)):
            total += fill(settings, placed(first, count))
            run = watch(lambda: stored(settings), total, limit, process, stage.cpu, LOOK_SECONDS)
            if not run.complete:
                raise RuntimeError(f"only {run.last.stored} of {total} orders after {limit:.0f} s")
            time.sleep(SETTLE_SECONDS)
            sizes.append(worker.memory_info().rss)
    kept = min(orders, settings.cache_orders)
    return {
        "mib_per_million_open_orders": round((sizes[1] - sizes[0]) / orders * 1e6 / MEBIBYTE),
        "mib_with_few_orders": round(sizes[0] / MEBIBYTE),
        "orders": orders,
        "orders_kept_in_memory_at_most": settings.cache_orders,
        "note": "" if kept == orders else "more orders than the worker keeps in memory: the figure is too low",
    }


def placed(first: int, count: int) -> Iterator[Record]:
    """Orders placed over the last day, one after the other, promised for the coming one."""
    encode = msgspec.json.Encoder().encode
    start = datetime.now(UTC) - timedelta(days=1)
    for number in range(first, first + count):
        at = start + timedelta(seconds=86_000 * (number - first) / count)
        order = f"open-{number:08d}"
        hub = number * 7 % HUBS
        yield Record(
            order.encode(),
            encode(
                {
                    "specversion": "1.0",
                    "id": f"{number:024x}",
                    "source": "/shop/orders",
                    "type": "milepost.order.placed.v1",
                    "time": at,
                    "subject": order,
                    "datacontenttype": "application/json",
                    "data": {
                        "order_id": order,
                        "hub_id": f"hub-{hub:02d}",
                        "zone_id": f"zone-{number % ZONES:03d}",
                        "merchant_id": f"merchant-{number % MERCHANTS:03d}",
                        "service_level": "standard",
                        "promised_until": at + timedelta(days=1, minutes=number % 90),
                        "lines": [{"sku": f"sku-{number % 997:04d}", "quantity": 1 + number % 3}],
                    },
                    "recordedtime": at,
                }
            ),
        )
