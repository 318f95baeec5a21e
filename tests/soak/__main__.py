"""`make soak-sink`, `soak-lag`, `soak-edge`: long loads on a platform in trouble. Prints figures; 1 on a fault."""

import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path

from soak import flood, lag, sink

BUILD = Path(__file__).parents[2] / "build"


def main() -> None:
    """Soak and report."""
    options = _options()
    # So that everything started is stopped.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    os.nice(options.nice)
    folder = Path(tempfile.mkdtemp(prefix="milepost-soak-"))
    try:
        if options.kind == "sink":
            found = sink.soak(folder, options.seconds, options.rate, options.pause, _say)
        elif options.kind == "edge":
            found = flood.soak(folder, options.seconds, _say)
        else:
            found = lag.soak(folder, options.seconds, options.pause, _say)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    path = options.json or BUILD / f"soak-{options.kind}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found, indent=1) + "\n")
    for name, value in found["figures"].items():
        print(f"{name.replace('_', ' '):38} {value}")
    for fault in found["faults"]:
        print(f"FAULT: {fault}")
    print(f"written: {path}")
    sys.exit(1 if found["faults"] else 0)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="soak", description=__doc__)
    parser.add_argument("kind", choices=("sink", "lag", "edge"))
    parser.add_argument("--seconds", type=int, default=60, help="how long the store is away, or the flood lasts")
    parser.add_argument("--rate", type=int, default=1_000, help="events a second (sink)")
    parser.add_argument("--pause", type=float, default=1.0, help="seconds between two looks")
    parser.add_argument("--nice", type=int, default=0)
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
