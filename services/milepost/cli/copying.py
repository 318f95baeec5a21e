"""How `milepost backup` and `milepost restore` show how far they are, and what they say at the end."""

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn


class Tables:
    """A bar a table on a terminal; nothing elsewhere."""

    def __init__(self, *, quiet: bool) -> None:
        console = Console(stderr=True)
        columns = TextColumn("{task.description:20}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
        self._progress = Progress(*columns, console=console, disable=quiet or not console.is_terminal)
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._progress.stop()

    def step(self, table: str, rows: int, most: int) -> None:
        """``rows`` of ``table`` are done, of at most ``most``."""
        if table not in self._tasks:
            self._tasks[table] = self._progress.add_task(table.removesuffix("_store"), total=most)
        self._progress.update(self._tasks[table], completed=rows, total=max(rows, most))
