"""Connections to the engine kept for the next statement that wants the same settings and database."""

import threading
from collections.abc import Callable
from typing import Any

Setup = tuple[str, ...]
"""The statements that make a new connection ready: settings and database."""

MOST_IDLE = 48


class Sessions:
    """Open connections by their setup, each in one hand at a time. Safe to use from many threads.

    To set one up takes as long as a small query. Only what is as it was may be given back: a connection whose statement
    failed was seen to put what was left over in front of its next result, and one that ran a SET has it set.
    """

    def __init__(self, connect: Callable[[], Any]) -> None:
        self._connect = connect
        self._idle: list[tuple[Setup, Any]] = []
        self._changing = threading.Lock()

    def take(self, setup: Setup) -> Any:
        """A connection that is set up so.

        Raises:
            RuntimeError: the engine refuses the setup.
        """
        with self._changing:
            for place in range(len(self._idle) - 1, -1, -1):
                if self._idle[place][0] == setup:
                    return self._idle.pop(place)[1]
        connection = self._connect()
        try:
            for statement in setup:
                connection.query(statement)
        except RuntimeError:
            connection.close()
            raise
        return connection

    def give_back(self, setup: Setup, connection: Any) -> None:
        """Keep it for the next; the one that nobody wanted for longest goes where there are too many."""
        with self._changing:
            self._idle.append((setup, connection))
            surplus = self._idle.pop(0)[1] if len(self._idle) > MOST_IDLE else None
        if surplus is not None:
            surplus.close()

    def close(self) -> None:
        """Close all that nobody has in hand."""
        with self._changing:
            idle, self._idle = self._idle, []
        for _, connection in idle:
            connection.close()
