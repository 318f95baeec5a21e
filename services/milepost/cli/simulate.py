"""`milepost simulate`: a seeded city, into a file or live to the edge."""

import signal
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from milepost.simulator.live import LiveOptions

DEFAULT_START = "2026-03-02T00:00:00Z"


def simulate(
    *,
    orders: Annotated[int, typer.Option(min=1, help="Orders to place (files only).")] = 5_000,
    seed: Annotated[int, typer.Option(help="The same seed and options give the same bytes.")] = 1,
    start: Annotated[str, typer.Option(help="When the first day begins, with offset (files only).")] = DEFAULT_START,
    days: Annotated[
        float | None, typer.Option(min=0.05, help="Days the orders spread over; by default 14 for 50,000 orders.")
    ] = None,
    hubs: Annotated[int, typer.Option(min=1, max=99, help="Hubs of the city.")] = 8,
    out: Annotated[str | None, typer.Option(help="JSON lines file; .gz is compressed, - is standard output.")] = None,
    truth: Annotated[Path | None, typer.Option(help="File for the true KPIs, as JSON.")] = None,
    conflicts: Annotated[bool, typer.Option(help="Send copies that contradict their original.")] = True,
    speed: Annotated[
        float | None, typer.Option(min=0.1, max=600, help="Run live, this many times as fast as real life.")
    ] = None,
    orders_per_minute: Annotated[float, typer.Option(min=0.1, help="Orders a minute by the wall clock (live).")] = 30.0,
    warm_up: Annotated[float, typer.Option(min=0, help="Minutes of history posted at once (live).")] = 120.0,
    edge: Annotated[
        str | None, typer.Option(help="URL of an edge service; else MILEPOST_EDGE or this machine's (live).")
    ] = None,
    break_promises: Annotated[
        str | None, typer.Option(help="From now on nothing from this hub arrives (live).")
    ] = None,
) -> None:
    """A seeded city: its events into a file, with the true KPIs beside them, or live to the edge.

    Writes to --out and --truth, or runs until stopped where --speed is given.
    """
    from milepost.settings import load

    settings = load()
    if speed is not None:
        if out is not None or truth is not None:
            raise typer.BadParameter("a live city (--speed) writes no files; leave out --out and --truth")
        from milepost.simulator.live import LiveOptions

        key = settings.edge_key.get_secret_value() if settings.edge_key is not None else None
        _live(
            LiveOptions(
                edge=edge or settings.edge_url,
                key=key,
                speed=speed,
                orders_per_minute=orders_per_minute,
                warm_up=warm_up,
                hubs=hubs,
                seed=str(seed),
                currency=settings.currency,
                broken_hub=break_promises,
            )
        )
        return
    if out is None and truth is None:
        raise typer.BadParameter("say where to: --out FILE (or -), --truth FILE, or --speed 1 for a live city")
    from milepost.simulator.files import parse_moment, write
    from milepost.simulator.simulation import Options

    try:
        begin = parse_moment(start)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--start") from error
    options = Options(
        orders=orders,
        seed=str(seed),
        start=begin,
        hubs=hubs,
        days=days,
        currency=settings.currency,
        conflicts=conflicts,
    )
    try:
        lines = write(options, out, truth)
    except OSError as error:
        typer.echo(f"cannot write: {error}", err=True)
        raise typer.Exit(1) from error
    typer.echo(f"{orders:,} orders, {lines:,} event lines, {options.period:g} days from {start}", err=True)


def _live(options: "LiveOptions") -> None:
    """Run live until SIGTERM or Ctrl-C, which both end it at once and cleanly: nothing is kept here."""
    from milepost.simulator.live import RefusedError, UnknownHubError, run

    def stop(_signal: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    # SIGINT, too: a script's background job is started with it ignored.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    try:
        run(options, lambda text: typer.echo(text, err=True))
    except KeyboardInterrupt:
        typer.echo("the city stands still", err=True)
    except UnknownHubError as error:
        raise typer.BadParameter(str(error), param_hint="--break-promises") from error
    except RefusedError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command("simulate")(simulate)
