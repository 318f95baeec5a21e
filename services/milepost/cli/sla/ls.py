"""`milepost sla ls`: what is at risk or breached now."""

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Callable

    from milepost.reading.sla.open import SlaPage

SHOWN = 50
WATCH_SECONDS = 2.0

_OPTIONS = {"rule": "--rule", "state": "--state", "limit": "--limit"}


def register(group: typer.Typer) -> None:
    """Add the command to ``group``."""
    group.command("ls")(ls)


def ls(
    *,
    hub: Annotated[str | None, typer.Option(help="Only this hub.")] = None,
    rule: Annotated[str | None, typer.Option(help="Only this rule: promise, silence, or a stage.")] = None,
    state: Annotated[str | None, typer.Option(help="at_risk or breached; both if left out.")] = None,
    merchant: Annotated[str | None, typer.Option(help="Only this merchant's orders.")] = None,
    unacknowledged: Annotated[
        bool, typer.Option("--unacknowledged", help="Only what nobody has taken note of.")
    ] = False,
    limit: Annotated[int, typer.Option(min=1, max=1_000, help="Most SLAs listed, the worst.")] = SHOWN,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Show it anew every 2 s until Ctrl-C.")] = False,
) -> None:
    """List open SLAs, at risk or breached, by hub, the worst first; what somebody has acknowledged comes last."""
    from datetime import UTC, datetime

    from milepost.cli.sla.asking import asking, console
    from milepost.reading.question import QuestionError
    from milepost.reading.sla.asked import Wanted
    from milepost.reading.sla.open import find_open
    from milepost.store.client import reader

    if watch and as_json:
        raise typer.BadParameter("is for people; ask again for other JSON", param_hint="--watch")
    try:
        wanted = Wanted(hub, rule, state, merchant, acknowledged=False if unacknowledged else None)
    except QuestionError as error:
        raise typer.BadParameter(str(error), param_hint=_OPTIONS[error.field]) from error
    with asking("ls", reader) as store:

        def look() -> "SlaPage":
            return find_open(store, datetime.now(UTC), wanted, limit=limit)

        if watch:
            _watch(look)
            return
        found = look()
    if as_json:
        import msgspec

        typer.echo(msgspec.json.encode(found).decode())
    else:
        from milepost.cli.sla.view import listing

        screen = console()
        screen.print(listing(found, screen.width))


def _watch(look: "Callable[[], SlaPage]") -> None:
    """Show the list until somebody stops it; what was seen last stays while the store is away, and says so."""
    import time

    from rich.live import Live

    from milepost.cli.sla.asking import console
    from milepost.cli.sla.view import listing
    from milepost.store.errors import SinkUnavailableError

    screen = console()
    found = look()
    try:
        with Live(listing(found, screen.width), console=screen, screen=screen.is_terminal, auto_refresh=False) as shown:
            while True:
                time.sleep(WATCH_SECONDS)
                fault = None
                try:
                    found = look()
                except SinkUnavailableError as error:
                    fault = str(error)
                shown.update(listing(found, screen.width, fault), refresh=True)
    except KeyboardInterrupt:
        return
