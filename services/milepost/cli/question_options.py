"""The options of every command that asks about KPIs: which window, and where of which dimensions."""

from typing import Annotated

import typer

Start = Annotated[
    str | None, typer.Option("--from", help="First minute, with offset: 2026-03-01T00:00Z.", show_default=False)
]
End = Annotated[str | None, typer.Option("--to", help="The minute after the last, with offset; now if left out.")]
Window = Annotated[
    str | None, typer.Option(help="Instead of --from: a span like 90m, 24h, 30d, or all.  [default: 24h]")
]
Where = Annotated[
    list[str] | None,
    typer.Option(help="Only this: hub_id=BER-1. May be repeated; several values of a dimension all count."),
]
