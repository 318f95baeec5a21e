"""A worker that is told to stop ends, whatever its Kafka client still waits for."""

import asyncio
import faulthandler
import logging
import os
import sys
import threading

import faust

log = logging.getLogger(__name__)

SETTLED_SECONDS = 6.0
"""How long the last flush of a stop and its commit may take."""
ENDING_SECONDS = SETTLED_SECONDS + 3.0
"""How long a whole stop may take: then leaving the group usually takes a second."""


class EndingApp(faust.App):
    """A Faust application whose stop always ends.

    By the time it may be cut off everything was stored that could be (``Engine.release``). What is left is the clients'
    farewell: it waits for a broker that may be away, and in the middle of a rebalance it may wait for itself.
    """

    async def on_stop(self) -> None:
        """As Faust's, with the end of the process fixed from here on."""
        cut = threading.Timer(ENDING_SECONDS, self._cut_off, [asyncio.get_running_loop()])
        cut.daemon = True
        cut.start()
        await super().on_stop()

    def _cut_off(self, loop: asyncio.AbstractEventLoop) -> None:
        log.error("the stop hangs after %.0f s; what is stored and what is not is settled: ending here", ENDING_SECONDS)
        for task in asyncio.all_tasks(loop):
            log.error("it waits for: %r", task)
        faulthandler.dump_traceback(sys.stderr, all_threads=True)
        os._exit(os.EX_SOFTWARE if self.crash_reason else os.EX_OK)
