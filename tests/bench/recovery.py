"""How long a worker takes to be ready again, and to rebuild all it has, by how many open orders are stored."""

import re
import time
from urllib.request import urlopen

import psutil

from bench.memory import MEBIBYTE, placed
from bench.processor import LOOK_SECONDS, stored
from bench.stage import Stage
from bench.timeline import watch
from bench.workload import fill
from milepost.settings import Service, Settings
from milepost.store import rebuilds
from milepost.store.client import writer

_SECONDS = re.compile(r"^milepost_processor_recovery_seconds (\S+)$", re.MULTILINE)


def measure(stage: Stage, sizes: list[int], limit: float) -> dict[str, list[dict[str, float]]]:
    """Fill the store up to each of ``sizes`` open orders with a worker; each time, start another on what is stored."""
    settings = stage.database("recovery")
    found, total = [], 0
    for size in sizes:
        total += fill(settings, placed(total, size - total))
        with stage.service(Service.PROCESSOR, settings) as process:
            run = watch(lambda: stored(settings), total, limit, process, stage.cpu, LOOK_SECONDS)
            if not run.complete:
                raise RuntimeError(f"only {run.last.stored} of {total} orders after {limit:.0f} s")
        _settle(settings)
        started = time.monotonic()
        with stage.service(Service.PROCESSOR, settings) as process:
            ready = time.monotonic() - started
            resident = psutil.Process(process.pid).memory_info().rss
            recovery = _recovery_seconds(settings)
            rebuild = _rebuild_seconds(settings, limit)
        found.append(
            {
                "open_orders": size,
                "recovery_s": round(recovery, 2),
                "start_to_ready_s": round(ready, 2),
                "rss_mib": round(resident / MEBIBYTE),
                "rebuild_s": round(rebuild, 1),
            }
        )
    stage.forget(settings)
    return {"sizes": found}


def _recovery_seconds(settings: Settings) -> float:
    """As the worker tells it, of all its partitions together."""
    with urlopen(f"{settings.url_of(Service.PROCESSOR)}/metrics", timeout=10) as answer:
        told = _SECONDS.search(answer.read().decode())
    if told is None:
        raise RuntimeError("the worker does not tell how long its recovery took")
    return float(told[1])


def _rebuild_seconds(settings: Settings, limit: float) -> float:
    """Of all partitions from the log, by the running worker; it finds nothing wrong."""
    with writer(settings) as store:
        partitions = rebuilds.known_partitions(store)
        started = time.monotonic()
        asked = rebuilds.ask(store, dict.fromkeys(partitions, rebuilds.UNKNOWN))
        while not all(one.finished_at for one in rebuilds.told(store, asked, partitions)):
            if time.monotonic() - started > limit:
                raise RuntimeError(f"the rebuild was not done after {limit:.0f} s")
            time.sleep(LOOK_SECONDS)
        return time.monotonic() - started


def _settle(settings: Settings, most_seconds: float = 60.0) -> None:
    """Wait until the engine has nothing left to merge: what it does in the background is not ours."""
    deadline = time.monotonic() + most_seconds
    with writer(settings) as store:
        while store.query("SELECT count() FROM system.merges")[0][0] and time.monotonic() < deadline:
            time.sleep(0.5)
