"""A worker's resident memory while it stores millions of events: it must end flat."""

import csv
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

import psutil

from bench.memory import HUBS, MEBIBYTE, MERCHANTS, ZONES
from bench.processor import stored
from bench.stage import Stage
from bench.workload import Record, fill
from milepost.settings import Service, Settings

EVENTS_AN_ORDER = 8
CHUNK = 100_000
MOST_AHEAD = 400_000
"""Records published and not stored yet: as far as the publishing may run ahead."""
SPAN = timedelta(days=30)
LOOK_SECONDS = 1.0
COLUMNS = 60

_LIFE = (
    # Type, how many orders later it comes, minutes after the placing, what it says.
    ("order.placed", 0, 0, ""),
    ("dispatch.ready", 2_000, 12, ""),
    ("dispatch.assigned", 4_000, 15, ',"courier_id":"courier-{courier:04d}"'),
    ("delivery.picked_up", 8_000, 25, ',"courier_id":"courier-{courier:04d}"'),
    ("delivery.eta_updated", 9_000, 26, ',"eta":"{eta}"'),
    ("delivery.arrived", 15_000, 47, ""),
    ("delivery.delivered", 16_000, 49, ',"lines":[{{"sku":"sku-{sku:04d}","quantity":1}}]'),
    ("feedback.submitted", 40_000, 180, ',"score":{score},"nps":{nps}'),
)

Sample = tuple[int, float, float]
"""Records stored, seconds since the start, MiB resident."""


def measure(stage: Stage, events: int, limit: float, table: Path) -> dict[str, object]:
    """Store ``events`` events of a continuing business with one worker, its memory sampled; writes ``table`` as CSV."""
    settings = stage.database("memory_curve")
    records = lives(max(1, events // EVENTS_AN_ORDER))
    samples: list[Sample] = []
    with stage.service(Service.PROCESSOR, settings) as process:
        look = _looker(settings, process, samples)
        published = 0
        while chunk := list(islice(records, CHUNK)):
            published += fill(settings, iter(chunk))
            while published - look() > MOST_AHEAD:
                time.sleep(LOOK_SECONDS)
        deadline = time.monotonic() + limit
        while look() < published:
            if time.monotonic() > deadline:
                raise RuntimeError(f"only {samples[-1][0]} of {published} events {limit:.0f} s after the last was sent")
            time.sleep(LOOK_SECONDS)
    stage.forget(settings)
    table.parent.mkdir(parents=True, exist_ok=True)
    with table.open("w", newline="") as file:
        csv.writer(file).writerows([("stored", "seconds", "rss_mib"), *samples])
    return {
        "events": published,
        "orders": published // EVENTS_AN_ORDER,
        "seconds": round(samples[-1][1]),
        "rss_mib_most": round(max(rss for _, _, rss in samples)),
        "rss_mib_at": {f"{tenth * 10} %": round(_at(samples, published * tenth // 10)) for tenth in range(1, 11)},
        "growth_of_last_half_mib": round(_at(samples, published) - _at(samples, published // 2)),
        "table": str(table),
        "curve": curve(samples),
    }


def _looker(settings: Settings, process: subprocess.Popen[bytes], samples: list[Sample]) -> Callable[[], int]:
    worker, started = psutil.Process(process.pid), time.monotonic()

    def look() -> int:
        if process.poll() is not None:
            raise RuntimeError(f"the worker ended with {process.returncode}")
        done = stored(settings)
        resident = worker.memory_info().rss / MEBIBYTE
        samples.append((done, round(time.monotonic() - started, 1), round(resident, 1)))
        return done

    return look


def _at(samples: list[Sample], records: int) -> float:
    """Resident memory when ``records`` were first stored."""
    return next((rss for done, _, rss in samples if done >= records), samples[-1][2])


def curve(samples: list[Sample], height: int = 12) -> list[str]:
    """The samples as lines of text: records stored to the right, MiB up."""
    last, top = max(1, samples[-1][0]), max(rss for _, _, rss in samples)
    columns = [_at(samples, last * column // COLUMNS) for column in range(1, COLUMNS + 1)]
    rows = [
        f"{top * level / height:7.0f} │"
        + "".join("█" if rss >= top * (level - 0.5) / height else " " for rss in columns)
        for level in range(height, 0, -1)
    ]
    return [*rows, "    MiB └" + "─" * COLUMNS, f"         0{f'{last:,} events':>{COLUMNS - 1}}"]


def lives(orders: int) -> Iterator[Record]:
    """The events of ``orders`` orders, one placed after the other, each delivered an hour later."""
    start = datetime.now(UTC) - SPAN - timedelta(days=1)
    step = SPAN / orders
    longest = max(later for _, later, _, _ in _LIFE)
    for turn in range(orders + longest):
        for kind, later, minutes, says in _LIFE:
            number = turn - later
            if 0 <= number < orders:
                yield _record(number, kind, start + number * step, minutes, says)


def _record(number: int, kind: str, placed_at: datetime, minutes: int, says: str) -> Record:
    order = f"curve-{number:08d}"
    at = placed_at + timedelta(minutes=minutes)
    if kind == "order.placed":
        until = (placed_at + timedelta(minutes=60 + number % 30)).isoformat()
        said = (
            f',"hub_id":"hub-{number * 7 % HUBS:02d}","zone_id":"zone-{number % ZONES:03d}",'
            f'"merchant_id":"merchant-{number % MERCHANTS:03d}","service_level":"standard",'
            f'"promised_until":"{until}","lines":[{{"sku":"sku-{number % 997:04d}","quantity":1}}]'
        )
    else:
        said = says.format(
            courier=number % 400, eta=at.isoformat(), sku=number % 997, score=1 + number % 5, nps=number % 11
        )
    value = (
        f'{{"specversion":"1.0","id":"{kind}-{number:08d}","source":"/bench","type":"milepost.{kind}.v1",'
        f'"time":"{at.isoformat()}","subject":"{order}","datacontenttype":"application/json",'
        f'"data":{{"order_id":"{order}"{said}}},"recordedtime":"{at.isoformat()}"}}'
    )
    return Record(order.encode(), value.encode())
