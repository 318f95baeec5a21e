"""`milepost erase`: the personal data of orders, or of a customer, goes; the numbers stay."""

from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command()(erase)


def erase(
    *,
    order: Annotated[
        list[str] | None, typer.Option(metavar="ID", help="An order; may be given several times.", show_default=False)
    ] = None,
    customer_ref: Annotated[
        str | None,
        typer.Option(
            metavar="REF", help="Every order of this customer; - reads it from standard input.", show_default=False
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON; needs --yes.")] = False,
) -> None:
    """Erase the personal data of orders: customer, address, comments, notes, proofs, senders' own fields, dead letters.

    It cannot be undone, and changes no number. What it cannot reach it says at the end.
    """
    import json
    import sys

    from milepost.settings import load
    from milepost.store import erasures
    from milepost.store.client import writer
    from milepost.store.errors import StoreError

    reference = sys.stdin.readline().rstrip("\n") if customer_ref == "-" else customer_ref or ""
    wrong = [one for one in order or () if not erasures.is_subject(one)]
    if wrong or not (order or reference):
        raise typer.BadParameter("name an order (--order ID) or a customer (--customer-ref REF)")
    if as_json and not yes:
        raise typer.BadParameter("what reads JSON cannot be asked: add --yes", param_hint="--json")
    settings = load()
    try:
        with writer(settings) as store:
            found = erasures.subjects_of(store, reference) if reference else []
            subjects = sorted({*(order or ()), *found})
            if not yes:
                typer.confirm(f"Erase the personal data of {len(subjects)} orders for good?", abort=True)
            erased = erasures.erase(store, subjects, reference)
    except StoreError as error:
        typer.echo(json.dumps({"error": str(error)}) if as_json else f"milepost erase: {error}", err=not as_json)
        raise typer.Exit(1) from error
    days = settings.topic_retention_days
    if as_json:
        figures = {"orders": len(subjects), "rows": erased.personal, "dead_letters": erased.letters}
        typer.echo(json.dumps(figures | {"topic_retention_days": days}))
        return
    typer.echo(
        f"{len(subjects)} orders: {erased.personal} rows of personal data and {erased.letters} dead letters erased"
    )
    typer.echo(f"Not reached: the topics, which keep every record for {days} days; backups made before; the senders.")
