"""`milepost send`."""

import asyncio
import json
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from milepost.cli.jsonl import Source
    from milepost.cli.sending import Tally


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command("send")(send)


def send(
    files: Annotated[
        list[str], typer.Argument(metavar="FILE...", help="JSON lines, plain or gzip; `-` is standard input.")
    ],
    *,
    edge: Annotated[
        str | None, typer.Option(metavar="URL", help="An edge service; the embedded orders service if not given.")
    ] = None,
    batch: Annotated[int, typer.Option(min=1, max=10_000, help="Events in a request.")] = 500,
    retry_for: Annotated[
        float, typer.Option(min=0, metavar="SECONDS", help="How long to go on while the edge is away or answers 503.")
    ] = 60.0,
    show: Annotated[int, typer.Option(min=0, max=1000, help="Refused lines and warnings to print.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="Print a summary as JSON.")] = False,
) -> None:
    """Send events from JSON lines files to the edge, one CloudEvent a line.

    Events of one subject arrive in the order of the file. Sending the same file again changes nothing. Exit 1 where a
    line was refused or not everything could be sent. MILEPOST_EDGE_KEY is the key to present.
    """
    from milepost.cli.send_progress import watcher
    from milepost.cli.sending import Sending, Tally
    from milepost.edge.client import EdgeClient
    from milepost.settings import load

    settings = load()
    url = edge or settings.edge_url
    if not url.startswith(("http://", "https://")):
        raise typer.BadParameter(f"{url!r} is no URL; it begins with http:// or https://", param_hint="--edge")
    key = settings.edge_key.get_secret_value() if settings.edge_key else None
    tally = Tally()
    began = time.monotonic()
    with ExitStack() as stack:
        sources = [_opened(name, stack) for name in files]
        watch = watcher(sources, tally, quiet=as_json)
        stack.enter_context(watch)

        async def run() -> None:
            async with EdgeClient(url, key, retry_seconds=retry_for, waiting=watch.waiting) as client:
                await Sending(client, batch, tally, watch).all(sources)

        try:
            asyncio.run(run())
        except KeyboardInterrupt:
            tally.stopped = "interrupted"
    seconds = time.monotonic() - began
    if as_json:
        typer.echo(_as_json(tally, show, seconds))
    else:
        _print(tally, show, seconds)
    if tally.refused or tally.stopped:
        raise typer.Exit(1)


def _opened(name: str, stack: ExitStack) -> "Source":
    from milepost.cli.jsonl import UnreadableFileError, open_source

    try:
        source = open_source(name)
    except UnreadableFileError as error:
        typer.echo(f"milepost send: {error}", err=True)
        raise typer.Exit(1) from None
    except OSError as error:
        typer.echo(f"milepost send: {name}: {error.strerror}", err=True)
        raise typer.Exit(2) from None
    stack.callback(source.close)
    return source


def _as_json(tally: "Tally", show: int, seconds: float) -> str:
    return json.dumps(
        {
            "lines": tally.lines,
            "accepted": tally.accepted,
            "refused": tally.refused,
            "warnings": tally.warned,
            "unconfirmed": tally.unconfirmed,
            "stopped": tally.stopped,
            "seconds": round(seconds, 3),
            "refused_lines": tally.entries[:show],
            "warned_lines": tally.warnings[:show],
        },
        indent=2,
    )


def _print(tally: "Tally", show: int, seconds: float) -> None:
    for entry in tally.entries[:show]:
        for error in entry["errors"]:
            typer.echo(f"{entry['line']}: {error['pointer'] or '/'}: {error['detail']}")
    if tally.refused > show:
        typer.echo(f"… and {tally.refused - show:,} more refused lines")
    for warning in tally.warnings[:show]:
        typer.echo(f"{warning['line']}: warning: {warning['pointer']}: {warning['detail']}")
    if tally.warned > show:
        typer.echo(f"… and {tally.warned - show:,} more warnings")
    if tally.lines == 0 and tally.stopped is None:
        typer.echo("nothing to send")
    else:
        typer.echo(
            f"{tally.accepted:,} accepted, {tally.refused:,} refused of {tally.lines:,} lines in {seconds:.1f} s"
        )
    if tally.stopped is not None:
        said = f"milepost send: stopped: {tally.stopped}"
        typer.echo(
            said + (f"; {tally.unconfirmed:,} lines read are not confirmed" if tally.unconfirmed else ""), err=True
        )
        if tally.unconfirmed:
            typer.echo("milepost send: send the same again; an event that arrives twice counts once", err=True)
