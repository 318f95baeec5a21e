"""Connections to the engine kept for the next statement that wants the same settings and database."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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

    @contextmanager
    def lent(self, setup: Setup, *, keep: bool) -> Iterator[Any]:
        """A connection that is set up so; kept afterwards, where ``keep`` says so and nothing was raised.

        Raises:
            RuntimeError: the engine refuses the setup.
        """
        connection = self._take(setup)
        whole = False
        try:
            yield connection
            whole = True
        finally:
            if whole and keep:
                self._give_back(setup, connection)
            else:
                connection.close()

    def close(self) -> None:
        """Close all that nobody has in hand."""
        with self._changing:
            idle, self._idle = self._idle, []
        for _, connection in idle:
            connection.close()

    def _take(self, setup: Setup) -> Any:
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

    def _give_back(self, setup: Setup, connection: Any) -> None:
        """The one that nobody wanted for longest goes where there are too many."""
        with self._changing:
            self._idle.append((setup, connection))
            surplus = self._idle.pop(0)[1] if len(self._idle) > MOST_IDLE else None
        if surplus is not None:
            surplus.close()
