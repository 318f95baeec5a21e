"""The clock of a Python process that finds this folder on its path: moved by the seconds that a file says.

Only the wall clock moves; the monotonic one never does, on a real machine neither.
"""

import os
import time
from pathlib import Path

_FILE = Path(os.environ["CHAOS_CLOCK_FILE"])
_time, _time_ns = time.time, time.time_ns


def _moved() -> int:
    try:
        return int(_FILE.read_text() or 0)
    except FileNotFoundError:
        return 0


time.time = lambda: _time() + _moved()
time.time_ns = lambda: _time_ns() + _moved() * 1_000_000_000
