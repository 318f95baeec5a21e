"""`milepost kpi`: KPIs over any window, by any dimensions."""

from typing import Annotated

import typer

from milepost.cli.question_options import End, Start, Where, Window

_OPTIONS = {"from": "--from", "to": "--to", "window": "--window", "by": "--by", "where": "--where", "kpi": "--kpi"}


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command()(kpi)


def kpi(
    *,
    start: Start = None,
    end: End = None,
    window: Window = None,
    by: Annotated[
        list[str] | None,
        typer.Option(
            help="Dimensions, comma-separated: hub_id, zone_id, service_level, merchant_id, courier_id; "
            "for cost_per_delivery also component, activity."
        ),
    ] = None,
    names: Annotated[
        list[str] | None,
        typer.Option("--kpi", help="KPIs, comma-separated (docs/kpis.md); all but breach_warning if left out."),
    ] = None,
    where: Where = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show KPIs over a window of event time. Minutes that have not ended are left out."""
    from datetime import UTC, datetime

    from milepost.reading.kpis import answer
    from milepost.reading.question import QuestionError, ask
    from milepost.settings import load
    from milepost.store.client import reader
    from milepost.store.errors import StoreError

    now = datetime.now(UTC)
    try:
        question = ask(now, start=start, end=end, window=window, by=by or (), where=where or (), kpis=names or ())
    except QuestionError as error:
        raise typer.BadParameter(str(error), param_hint=_OPTIONS[error.field]) from error
    try:
        with reader(load()) as store:
            found = answer(store, question, now)
    except StoreError as error:
        typer.echo(f"milepost kpi: {error}", err=True)
        typer.echo("Is the platform up (`milepost up`)? MILEPOST_PORT_BASE or MILEPOST_CLICKHOUSE say where.", err=True)
        raise typer.Exit(1) from error
    if as_json:
        import msgspec

        typer.echo(msgspec.json.encode(found).decode())
    else:
        import sys

        from rich.console import Console

        from milepost.cli.kpi_table import heading, table

        # Not on a terminal there is no edge to fit in, and lines must not be cut for it.
        console = Console() if sys.stdout.isatty() else Console(width=160)
        console.print(heading(found))
        console.print(table(found))
