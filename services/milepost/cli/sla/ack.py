"""`milepost sla ack`: say that somebody takes care of it."""

from typing import Annotated

import typer

_OPTIONS = {"rule": "--rule", "by": "--by", "note": "--note"}


def register(group: typer.Typer) -> None:
    """Add the command to ``group``."""
    group.command("ack")(ack)


def ack(
    order_id: Annotated[str, typer.Argument(metavar="ORDER", help="The order.", show_default=False)],
    *,
    by: Annotated[str, typer.Option(help="Who takes note.", show_default=False)],
    note: Annotated[str, typer.Option(help="What is done about it. No customer's personal data: it is kept.")] = "",
    rule: Annotated[str | None, typer.Option(help="Only the SLA by this rule; all open ones if left out.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Acknowledge an order's open SLAs as they stand now. A breach after a warning is to be acknowledged anew.

    Exit 1 where none is open.
    """
    import json

    from milepost.cli.sla.asking import asking, fail
    from milepost.reading.question import QuestionError
    from milepost.reading.sla.acks import acknowledge
    from milepost.reading.sla.words import name
    from milepost.store.client import writer

    try:
        with asking("ack", writer) as store:
            meant = acknowledge(store, order_id, by, note, rule)
    except QuestionError as error:
        raise typer.BadParameter(str(error), param_hint=_OPTIONS[error.field]) from error
    if not meant:
        by_rule = "" if rule is None else f" by the rule {rule}"
        fail("ack", f"order {order_id!r} has no open SLA{by_rule}; `milepost sla show {order_id}` says what it had")
    if as_json:
        told = [{"order_id": order_id, "rule": life.rule, "state": life.state, "by": by} for life in meant]
        typer.echo(json.dumps({"acknowledged": told}))
        return
    for life in meant:
        typer.echo(f"acknowledged: order {order_id}, {life.rule} {name(life.state)}, by {by}")
