"""Several processes run as one: they start together, and when one ends all end."""

import signal
import threading
from collections.abc import Sequence
from types import FrameType

from milepost.embedded.process import Part, launch, signal_group, stop

_LOOK_SECONDS = 0.2


def run_together(parts: Sequence[Part]) -> int:
    """Run ``parts`` in the foreground, their output this process's own, until one ends or this process is told to stop.

    Gives the exit code: that of the first that ended by itself (1 where it gave 0), or 0 after SIGTERM or SIGINT. Call
    it from the main thread.
    """
    told = threading.Event()

    def tell(_signal: int, _frame: FrameType | None) -> None:
        told.set()

    before = {number: signal.signal(number, tell) for number in (signal.SIGTERM, signal.SIGINT)}
    running = [(part, launch(part, None)) for part in parts]
    try:
        while not told.wait(_LOOK_SECONDS):
            for _, process in running:
                code = process.poll()
                if code is not None:
                    return code if code > 0 else 1
        return 0
    finally:
        for _, process in running:
            signal_group(process, signal.SIGTERM)
        for part, process in running:
            stop(process, part.stop_seconds)
        for number, handler in before.items():
            signal.signal(number, handler)
