"""`milepost sla show`: one order's SLAs, with their whole life."""

from typing import Annotated

import typer


def register(group: typer.Typer) -> None:
    """Add the command to ``group``."""
    group.command("show")(show)


def show(
    order_id: Annotated[str, typer.Argument(metavar="ORDER", help="The order.", show_default=False)],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Explain an order's SLAs: which rule, when, why it was predicted, what happened next, who took note."""
    from datetime import UTC, datetime

    from milepost.cli.sla.asking import asking, console, fail
    from milepost.reading.sla.orders import find_order_slas
    from milepost.store.client import reader

    with asking("show", reader) as store:
        found = find_order_slas(store, order_id, datetime.now(UTC))
    if found is None:
        fail("show", f"nothing was ever heard of an order {order_id!r}")
    if as_json:
        import msgspec

        typer.echo(msgspec.json.encode(found).decode())
    else:
        from milepost.cli.sla.view import explanation

        console().print(explanation(found))
