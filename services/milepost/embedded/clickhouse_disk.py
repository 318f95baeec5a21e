"""Whether the disk took all that the engine wrote.

The engine in a process (unlike the server) counts a write that the disk refuses and then goes on as if it were done:
inserts are acknowledged and merges take the place of the parts they were made from, with files that are too short. What
it has on the disk then shows only when it is opened anew: parts whose files do not have the size that was noted are set
aside, and those they were merged from, which stay for eight minutes, are taken again.
"""

import contextlib
import threading
from collections.abc import Callable
from typing import Any

LOOK_SECONDS = 0.25
"""How often one looks for what a merge, which nobody waits for, has lost."""

_REFUSED = "SELECT value FROM system.events WHERE event = 'WriteBufferFromFileDescriptorWriteFailed'"


class Disk:
    """Looks whether the disk has refused a write. Safe from many threads; ``connection`` is its alone."""

    def __init__(self, connection: Any, lost: Callable[[], None]) -> None:
        """``lost`` is called, from any thread and maybe more than once, when the disk has refused a write."""
        self._connection = connection
        self._lost = lost
        self._one_at_a_time = threading.Lock()
        self._closed = threading.Event()
        self._looking = threading.Thread(target=self._look, name="disk", daemon=True)
        self._looking.start()

    def check(self) -> None:
        """Call ``lost`` if the disk has refused a write since the engine was opened.

        Raises:
            RuntimeError: the engine does not say.
        """
        with self._one_at_a_time:
            refused = self._connection.query(_REFUSED, "TabSeparated").bytes()
        if refused:
            self._lost()

    def close(self) -> None:
        """Look no more."""
        self._closed.set()
        self._looking.join()
        self._connection.close()

    def _look(self) -> None:
        while not self._closed.wait(LOOK_SECONDS):
            # Asked again in a moment.
            with contextlib.suppress(RuntimeError):
                self.check()
