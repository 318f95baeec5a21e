"""`milepost order`: one order's timeline."""

from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command()(order)


def order(
    order_id: Annotated[str, typer.Argument(metavar="ID", help="The order.", show_default=False)],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show one order's timeline: every event, its stages and promises, what it counts for, and what went wrong."""
    import sys
    from datetime import UTC, datetime

    from milepost.reading.orders import find_order
    from milepost.settings import load
    from milepost.store.client import reader
    from milepost.store.errors import StoreError

    try:
        with reader(load()) as store:
            found = find_order(store, order_id, datetime.now(UTC))
    except StoreError as error:
        typer.echo(f"milepost order: {error}", err=True)
        typer.echo("Is the platform up (`milepost up`)? MILEPOST_PORT_BASE or MILEPOST_CLICKHOUSE say where.", err=True)
        raise typer.Exit(1) from error
    if found is None:
        typer.echo(f"milepost order: nothing was ever heard of an order {order_id!r}", err=True)
        raise typer.Exit(1)
    if as_json:
        import msgspec

        typer.echo(msgspec.json.encode(found).decode())
    else:
        from rich.console import Console

        from milepost.cli.order_view import view

        # Not on a terminal there is no edge to fit in, and lines must not be cut for it.
        console = Console() if sys.stdout.isatty() else Console(width=160)
        console.print(view(found))
