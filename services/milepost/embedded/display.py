"""What `milepost up` shows: a live screen on a terminal, plain lines elsewhere."""

import contextlib
import sys
import time
from collections import deque
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Protocol, TextIO

from milepost.embedded.kpi_rows import KpiRow
from milepost.embedded.supervisor import State, Status

if TYPE_CHECKING:
    from rich.console import RenderableType

_PLAIN_KPI_SECONDS = 60.0
_NOTES = 6
_NOTHING = ("–", "0")


class Display(Protocol):
    """Where `milepost up` tells what happens."""

    def say(self, text: str) -> None:
        """One line that stays."""

    def changed(self, status: Status) -> None:
        """A part's state is another."""

    def kpis(self, title: str, rows: Sequence[KpiRow]) -> None:
        """The KPIs as they stand; called every few seconds."""

    def close(self) -> None:
        """Nothing more comes."""


def line_of(status: Status) -> str | None:
    """What a part's change of state is in one line; None where it is not worth one."""
    part = status.part
    lead = f"{part.name:<13} {part.address:<23} "
    match status.state:
        case State.READY:
            return f"{lead}ready in {status.seconds:.1f} s"
        case State.DONE:
            return f"{lead}done in {status.seconds:.1f} s"
        case State.STARTING if status.note:
            return f"{lead}{status.note}"
        case State.RESTARTING:
            return f"{lead}{status.note}; starting it again in {status.seconds:.1f} s"
        case _:
            return None


class Lines:
    """Plain lines, for a file, a pipe or a service log."""

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = out or sys.stdout
        self._next_kpis = 0.0

    def say(self, text: str) -> None:
        """One line."""
        print(text, file=self._out, flush=True)

    def changed(self, status: Status) -> None:
        """One line where there is something to say."""
        line = line_of(status)
        if line:
            self.say(line)

    def kpis(self, title: str, rows: Sequence[KpiRow]) -> None:
        """A table now and then."""
        now = time.monotonic()
        if now < self._next_kpis or all(row.value in _NOTHING for row in rows):
            return
        self._next_kpis = now + _PLAIN_KPI_SECONDS
        width = max(len(row.kpi) for row in rows)
        self.say(f"\n{title}")
        for row in rows:
            self.say(f"  {row.kpi:<{width}}  {row.value:>12} {row.unit:<8} {row.fraction:>19}  {row.coverage}")

    def close(self) -> None:
        """Nothing to undo."""


class Screen:
    """A live screen: the parts, the last notes, the KPIs."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.live import Live

        self._statuses: dict[str, Status] = {}
        self._settled = False
        self._notes: deque[str] = deque(maxlen=_NOTES)
        self._title = ""
        self._rows: Sequence[KpiRow] = ()
        self._console = Console()
        self._live = Live(console=self._console, refresh_per_second=4, get_renderable=self._render)
        self._live.start()

    def say(self, text: str) -> None:
        """A line above the screen, which scrolls away with it."""
        self._live.console.print(text, highlight=False, markup=False)

    def changed(self, status: Status) -> None:
        """The part's row; what was ended stays among the notes."""
        self._statuses[status.part.name] = status
        if not self._settled and all(one.state in _SETTLED or one.part.optional for one in self._statuses.values()):
            # From now on the room is the KPIs': the parts scroll away, and only one that is not ready is shown.
            self._settled = True
            self._live.console.print(_parts_table(self._statuses.values()))
        if status.state is State.RESTARTING:
            self._notes.append(f"{time.strftime('%H:%M:%S')} {line_of(status)}")

    def kpis(self, title: str, rows: Sequence[KpiRow]) -> None:
        """The table below."""
        self._title, self._rows = title, rows

    def close(self) -> None:
        """Leave the last picture standing."""
        self._live.stop()

    def _fitting(self) -> Sequence[KpiRow]:
        """The rows, on a low terminal without the stages."""
        room = self._console.height - _FRAME_LINES - len(self._notes)
        if len(self._rows) <= room:
            return self._rows
        return [row for row in self._rows if not row.kpi.startswith("stage_time")]

    def _render(self) -> "RenderableType":
        from rich.console import Group
        from rich.text import Text

        shown = [one for one in self._statuses.values() if not self._settled or one.state not in _SETTLED]
        return Group(
            _parts_table(shown),
            *(Text(note, style="yellow") for note in self._notes),
            *((_kpi_table(self._title, self._fitting()),) if self._rows else ()),
        )


_FRAME_LINES = 6
"""What a table takes besides its rows, and a line or two above it."""

_SETTLED = frozenset({State.READY, State.DONE, State.STOPPED})
_STYLES = {State.READY: "green", State.DONE: "green", State.RESTARTING: "red", State.STARTING: "yellow"}


def _parts_table(statuses: Iterable[Status]) -> "RenderableType":
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, show_header=False)
    for status in statuses:
        seconds = f"{status.seconds:.1f} s" if status.state in (State.READY, State.DONE) else ""
        table.add_row(
            status.part.name,
            Text(status.part.address, style="cyan"),
            Text(status.state.value, style=_STYLES.get(status.state, "dim")),
            Text(status.note or seconds, style="dim", overflow="ellipsis", no_wrap=True),
        )
    return table


def _kpi_table(title: str, rows: Sequence[KpiRow]) -> "RenderableType":
    from rich.table import Table

    table = Table(title=title, title_justify="left", title_style="bold", header_style="dim")
    for name, justify in (
        ("KPI", "left"),
        ("value", "right"),
        ("unit", "left"),
        ("of", "right"),
        ("coverage", "right"),
    ):
        table.add_column(name, justify="right" if justify == "right" else "left", no_wrap=True)
    for row in rows:
        table.add_row(row.kpi, row.value, row.unit, row.fraction, row.coverage)
    return table


class Unheard:
    """A display that may lose its terminal or pipe: then it is silent, and the platform runs and stops all the same."""

    def __init__(self, display: Display) -> None:
        self._display = display

    def say(self, text: str) -> None:
        """One line that stays."""
        with contextlib.suppress(OSError):
            self._display.say(text)

    def changed(self, status: Status) -> None:
        """A part's state is another."""
        with contextlib.suppress(OSError):
            self._display.changed(status)

    def kpis(self, title: str, rows: Sequence[KpiRow]) -> None:
        """The KPIs as they stand."""
        with contextlib.suppress(OSError):
            self._display.kpis(title, rows)

    def close(self) -> None:
        """Nothing more comes."""
        with contextlib.suppress(OSError):
            self._display.close()


def display() -> Display:
    """The screen where standard output is a terminal, else plain lines."""
    return Unheard(Screen() if sys.stdout.isatty() else Lines())
