"""`milepost reconcile`: the KPIs recomputed from the event log, compared with the streaming numbers."""

from typing import TYPE_CHECKING, Annotated

import typer

from milepost.cli.question_options import End, Start, Where, Window

if TYPE_CHECKING:
    from milepost.auditor.reconcile import Reconciliation

_OPTIONS = {"from": "--from", "to": "--to", "window": "--window", "by": "--by", "where": "--where"}
MOST_SHOWN = 20
MOST_PARTS = 4


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command()(reconcile)


def reconcile(
    *,
    start: Start = None,
    end: End = None,
    window: Window = None,
    by: Annotated[
        list[str] | None,
        typer.Option(help="Dimensions, comma-separated, as `milepost kpi` takes them: every combination must agree."),
    ] = None,
    where: Where = None,
    wait: Annotated[bool, typer.Option("--wait", help="First wait until all that is on the topic is stored.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Recompute the KPIs from the event log and compare them with the streaming numbers. Exit 1 where they drift.

    Counts and sums must be equal, quantiles within 1 %. What differs is looked at again after the next flush: only
    what still differs then is drift.
    """
    from datetime import UTC, datetime

    from milepost.auditor.reconcile import RECOUNT_SECONDS, SETTLE_SECONDS
    from milepost.auditor.reconcile import reconcile as compare
    from milepost.auditor.streamed import TooBusyError, await_stored
    from milepost.reading.question import QuestionError, ask
    from milepost.settings import load
    from milepost.store.client import reader
    from milepost.store.errors import StoreError

    now = datetime.now(UTC)
    try:
        question = ask(now, start=start, end=end, window=window, by=by or (), where=where or ())
    except QuestionError as error:
        raise typer.BadParameter(str(error), param_hint=_OPTIONS[error.field]) from error
    try:
        with reader(load(), RECOUNT_SECONDS) as store:
            if wait and not await_stored(store, SETTLE_SECONDS):
                typer.echo(f"milepost reconcile: not all is stored after {SETTLE_SECONDS:.0f} s", err=True)
                raise typer.Exit(1)
            found = compare(store, question, now)
    except TooBusyError as error:
        typer.echo(f"milepost reconcile: {error}", err=True)
        raise typer.Exit(1) from error
    except StoreError as error:
        typer.echo(f"milepost reconcile: {error}", err=True)
        typer.echo("Is the platform up (`milepost up`)? MILEPOST_PORT_BASE or MILEPOST_CLICKHOUSE say where.", err=True)
        raise typer.Exit(1) from error
    if as_json:
        import msgspec

        typer.echo(msgspec.json.encode(found).decode())
    else:
        typer.echo("\n".join(told(found)))
    if found.drift:
        raise typer.Exit(1)


def told(found: "Reconciliation") -> list[str]:
    """What came of it, in lines for people."""
    from milepost.reading.question import EARLIEST

    start = "the beginning" if found.start <= EARLIEST else f"{found.start:%Y-%m-%d %H:%M}"
    lines = []
    if found.frozen_until is not None:
        lines.append(
            f"Minutes before {found.frozen_until:%Y-%m-%d} are left out: orders that counted there have expired "
            "and are no longer in the log."
        )
    span = f"from {start} to {found.end:%Y-%m-%d %H:%M} UTC, {found.compared:,} numbers in {found.seconds:.1f} s"
    if not found.drift:
        return [*lines, f"No drift: {span}."]
    lines.append(f"DRIFT in {len(found.drift)} numbers, {span}.")
    for one in found.drift[:MOST_SHOWN]:
        place = " ".join(f"{name}={value or '–'}" for name, value in one.dimensions.items())
        lines.append(
            f"  {one.measure:24} {place:24} streamed {one.streamed:,.10g}, recomputed {one.recomputed:,.10g}"
            f"  ({', '.join(one.kpis)})"
        )
    if len(found.drift) > MOST_SHOWN:
        lines.append(f"  … and {len(found.drift) - MOST_SHOWN} more (--json has all)")
    behind = found.behind
    if behind is not None:
        lines.append(behind.advice)
        if behind.minutes:
            lines.append(f"  minutes: {', '.join(f'{minute:%Y-%m-%d %H:%M}' for minute in behind.minutes)}")
        for order in behind.orders:
            parts = [f"{name} {order.stored[name]} instead of {order.recomputed[name]}" for name in order.stored]
            more = [f"{len(parts) - MOST_PARTS} more"] if len(parts) > MOST_PARTS else []
            said = ", ".join(parts[:MOST_PARTS] + more)
            lines.append(f"  {order.id}{': ' if said else ''}{said}")
        if behind.count > len(behind.orders):
            lines.append(f"  … and {behind.count - len(behind.orders):,} more")
    return lines
