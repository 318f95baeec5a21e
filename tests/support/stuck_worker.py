"""A processor worker that gets stuck, the first time it is started: ``stuck_worker.py HOW MARKER``.

``loop``: its event loop is blocked. ``fetch``: nothing of its first partition arrives any more, of the others all does.
"""

import sys
import time
from pathlib import Path
from typing import Any

from milepost.processor.arrival import transport
from milepost.processor.engine import Engine
from milepost.processor.main import run
from milepost.settings import load

STUCK_SECONDS = 600.0


def block_loop() -> None:
    """The first records that arrive are waited over for ever."""

    async def apply(*_: Any, **__: Any) -> None:
        time.sleep(STUCK_SECONDS)  # noqa: ASYNC251 - the fault itself

    Engine.apply = apply  # type: ignore[method-assign]


def wedge_fetch() -> None:
    """Of the first partition nothing arrives."""
    whole = transport.ChunkThread._fetch_records

    async def fetch(self: Any, *arguments: Any, **options: Any) -> Any:
        fetched = await whole(self, *arguments, **options)
        for tp in [tp for tp in fetched if tp.partition == 0]:
            del fetched[tp]
        return fetched

    transport.ChunkThread._fetch_records = fetch  # type: ignore[method-assign]


if __name__ == "__main__":
    marker = Path(sys.argv[2])
    if not marker.exists():
        marker.touch()
        {"loop": block_loop, "fetch": wedge_fetch}[sys.argv[1]]()
    run(load())
