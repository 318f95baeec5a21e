"""How `milepost send` shows its progress: a bar on a terminal, a line for each new reason to wait elsewhere."""

from types import TracebackType
from typing import Self

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from milepost.cli.jsonl import Source
from milepost.cli.sending import Tally


class Lines:
    """For no terminal: says each reason of a wait once, on standard error."""

    def __init__(self) -> None:
        self._said: set[str] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing to end."""

    def step(self) -> None:
        """Nothing to show."""

    def waiting(self, why: str) -> None:
        """Say why, once."""
        if why not in self._said:
            self._said.add(why)
            typer.echo(f"milepost send: {why}; trying again", err=True)


class Bar:
    """For a terminal: how much of the files is read, and what became of the lines."""

    def __init__(self, console: Console, sources: list[Source], tally: Tally) -> None:
        self._sources = sources
        self._tally = tally
        self._progress = Progress(
            BarColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), console=console, transient=True
        )
        known = all(source.size for source in sources)
        total = sum(source.size for source in sources) if known else None
        self._task = self._progress.add_task("", total=total)

    def __enter__(self) -> Self:
        self._progress.start()
        self.step()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def step(self, note: str = "") -> None:
        """Show the tally as it stands."""
        tally = self._tally
        refused = f", [red]{tally.refused:,} refused[/red]" if tally.refused else ""
        self._progress.update(
            self._task,
            description=f"{tally.accepted:,} accepted{refused} of {tally.lines:,} lines read{note}",
            completed=sum(source.position() for source in self._sources),
        )

    def waiting(self, why: str) -> None:
        """Show why nothing moves."""
        self.step(f" — waiting: {why[:100]}")


def watcher(sources: list[Source], tally: Tally, *, quiet: bool) -> Lines | Bar:
    """The one that fits where standard error goes."""
    console = Console(stderr=True)
    return Bar(console, sources, tally) if console.is_terminal and not quiet else Lines()
