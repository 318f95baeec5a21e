"""`make bench`: what Milepost does on this machine, beside peers that do the same job. Prints a table, writes JSON.

The steps `recovery` and `memory_curve` take minutes, so they are only done where `--only` names them.

Sizes are options, or the variables BENCH_EVENTS, BENCH_OPEN_ORDERS, BENCH_SECONDS, BENCH_EDGE_SECONDS,
BENCH_READING_ORDERS, BENCH_RECOVERY_ORDERS, BENCH_CURVE_EVENTS, BENCH_LIMIT, BENCH_ONLY, BENCH_PORT_BASE.
"""

import argparse
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from bench import (
    ceiling,
    detection,
    edge,
    freshness,
    memory,
    memory_curve,
    peers,
    processor,
    recovery,
    report,
    workload,
)
from bench.fingerprint import Fingerprint
from bench.stage import Stage, load
from bench.timeline import Run

STEPS = (
    "ceiling",
    "ceiling_contract",
    "processor",
    "faust_tables",
    "faust_sums",
    "quixstreams",
    "edge",
    "freshness",
    "detection",
    "memory",
)
ON_THE_TOPIC = STEPS[:6]
ON_REQUEST = ("recovery", "memory_curve")
INSTALLATIONS = (ON_THE_TOPIC, *((name,) for name in (*STEPS[6:], *ON_REQUEST)))
"""Steps that are taken on one installation."""
BUILD = Path(__file__).parents[2] / "build"
PACKAGES = ("faust-streaming", "quixstreams", "aiokafka", "msgspec", "chdb", "clickhouse-connect", "uvicorn")


def main() -> None:
    """Measure and report."""
    options = _options()
    chosen = (
        options.only.split(",") if options.only else [name for name in STEPS if name not in options.skip.split(",")]
    )
    unknown = [name for name in chosen if name not in (*STEPS, *ON_REQUEST)]
    if unknown:
        sys.exit(f"no such step: {', '.join(unknown)}; there are {', '.join((*STEPS, *ON_REQUEST))}")
    # So that everything started is stopped.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="milepost-bench-") as folder:
        city = Path()
        if set(chosen) - set(ON_REQUEST):
            city = workload.simulate(options.events, options.cache or Path(folder))
        for group in (
            ON_THE_TOPIC,
            ("edge",),
            ("freshness",),
            ("detection",),
            ("memory",),
            *((name,) for name in ON_REQUEST),
        ):
            wanted = [name for name in group if name in chosen]
            if wanted:
                _measure(Path(folder) / group[0], wanted, city, options, results)
        if options.reading_orders:
            _say("reading")
            results["reading"] = _reading(options)
        if options.keep_logs:
            _keep_logs(Path(folder))
    machine = {
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "system": platform.platform(),
        "packages": {name: _version(name) for name in PACKAGES},
    }
    found = report.lines(results)
    report.show(found, machine)
    for line in results.get("memory_curve", {}).get("curve", ()):
        print(line)
    options.json.parent.mkdir(parents=True, exist_ok=True)
    document = {
        "machine": machine,
        "results": results,
        "report": [{**line._asdict(), "met": line.met} for line in found],
    }
    options.json.write_text(json.dumps(document, indent=1) + "\n")
    print(f"written: {options.json}")
    if any("failed" in step for step in results.values()):
        sys.exit(1)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--events", type=int, default=_variable("BENCH_EVENTS", 500_000), help="events on the topic")
    parser.add_argument("--open-orders", type=int, default=_variable("BENCH_OPEN_ORDERS", 200_000))
    parser.add_argument("--seconds", type=int, default=_variable("BENCH_SECONDS", 40), help="of the steady load")
    parser.add_argument("--edge-seconds", type=float, default=_variable("BENCH_EDGE_SECONDS", 10))
    reading = _variable("BENCH_READING_ORDERS", 0)
    parser.add_argument(
        "--reading-orders", type=int, default=reading, help="also time the questions over so many orders"
    )
    parser.add_argument(
        "--recovery-orders", default=os.environ.get("BENCH_RECOVERY_ORDERS", "10000,100000,1000000"), help="open orders"
    )
    parser.add_argument("--curve-events", type=int, default=_variable("BENCH_CURVE_EVENTS", 10_000_000))
    parser.add_argument("--limit", type=float, default=_variable("BENCH_LIMIT", 300), help="seconds a run may take")
    parser.add_argument("--port-base", type=int, default=_variable("BENCH_PORT_BASE", 30_000))
    parser.add_argument(
        "--only", default=os.environ.get("BENCH_ONLY", ""), help=f"steps, of {','.join((*STEPS, *ON_REQUEST))}"
    )
    parser.add_argument("--skip", default="", help="steps to leave out")
    parser.add_argument("--json", type=Path, default=BUILD / "bench.json")
    parser.add_argument("--cache", type=Path, help="folder to keep simulated events in")
    parser.add_argument("--keep-logs", action="store_true", help="keep the processes' logs in build/bench-logs")
    return parser.parse_args()


def _variable(name: str, default: int) -> int:
    return int(os.environ.get(name, default))


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _measure(folder: Path, steps: list[str], city: Path, options: argparse.Namespace, results: dict[str, Any]) -> None:
    """Take ``steps`` on one installation, which is gone afterwards."""
    with Stage(folder, options.port_base) as stage:
        total = 0
        if steps[0] in ON_THE_TOPIC:
            _say(f"putting {options.events:,} events on the topic")
            total = workload.fill(stage.settings, workload.canonical(city, stage.settings.currency))
        for name in steps:
            _say(name)
            before, started = load(), time.monotonic()
            try:
                found = _step(name, stage, total, city, options, results)
            except RuntimeError as error:
                found = {"failed": "\n".join([str(error), *getattr(error, "__notes__", ())])}
                _say(f"{name} failed: {found['failed']}")
            results[name] = {**found, "load_before": round(before, 1), "took_s": round(time.monotonic() - started, 1)}


def _step(
    name: str, stage: Stage, total: int, city: Path, options: argparse.Namespace, results: dict[str, Any]
) -> dict[str, Any]:
    if name == "edge":
        return dict(edge.measure(stage, city, options.edge_seconds))
    if name == "freshness":
        return dict(freshness.measure(stage, city, options.seconds, 1_000))
    if name == "detection":
        return dict(detection.measure(stage, city, options.seconds, 1_000))
    if name == "memory":
        return dict(memory.measure(stage, options.open_orders, options.limit))
    if name == "recovery":
        return dict(recovery.measure(stage, sorted(map(int, options.recovery_orders.split(","))), options.limit))
    if name == "memory_curve":
        return memory_curve.measure(stage, options.curve_events, options.limit, BUILD / "memory-curve.csv")
    return _on_the_topic(name, stage, total, options.limit, results)


def _on_the_topic(name: str, stage: Stage, total: int, limit: float, results: dict[str, Any]) -> dict[str, Any]:
    if name == "quixstreams" and find_spec("quixstreams") is None:
        return {"skipped": "not installed (dependency group bench)"}
    if name.startswith("ceiling"):
        return ceiling.measure(stage, total, limit, "contract" if name.endswith("contract") else "typed").figures()
    run: Run
    numbers: Fingerprint
    if name == "processor":
        run, numbers = processor.measure(stage, total, limit)
    elif name == "quixstreams":
        run, numbers = peers.quixstreams(stage, total, limit)
    else:
        run, numbers = peers.faust(stage, total, limit, name.removeprefix("faust_"))
    found: dict[str, Any] = {**run.figures(), "kpi_rows": numbers.rows, "digest": str(numbers.digest)}
    own = results.get("processor")
    if own is not None and run.complete and own["complete"]:
        found["same_numbers"] = own["digest"] == found["digest"]
    return found


def _reading(options: argparse.Namespace) -> dict[str, Any]:
    """The questions over many orders, which have an engine of their own; see ``bench.reading``."""
    sizes = ["--orders", str(options.reading_orders), "--port-base", str(options.port_base)]
    done = subprocess.run(
        [sys.executable, "-m", "bench.reading", *sizes], capture_output=True, text=True, timeout=3600, check=False
    )
    if done.returncode:
        return {"failed": done.stderr[-2000:]}
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _keep_logs(folder: Path) -> None:
    for logs in folder.glob("*/logs"):
        shutil.copytree(logs, BUILD / "bench-logs" / logs.parent.name, dirs_exist_ok=True)


def _say(text: str, tell: Callable[[str], object] = lambda line: print(line, file=sys.stderr, flush=True)) -> None:
    tell(f"· {text}")


if __name__ == "__main__":
    main()
