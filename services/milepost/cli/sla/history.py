"""`milepost sla history`."""

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from milepost.store.policies import Audited


def register(group: typer.Typer) -> None:
    """Add the subcommand to ``group``."""
    group.command("history")(history)


def history(
    version: Annotated[
        int | None, typer.Argument(min=1, metavar="VERSION", help="Only this, with its file.", show_default=False)
    ] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List every version of the policies that was applied: when, by whom, why; with a version the file itself."""
    from milepost.cli.dead_letters_view import plain
    from milepost.settings import load
    from milepost.store import policies
    from milepost.store.client import reader
    from milepost.store.errors import StoreError

    try:
        with reader(load()) as store:
            rows = policies.history(store, version or 0)
    except StoreError as error:
        typer.echo(json.dumps({"error": str(error)}) if as_json else f"milepost sla: {error}", err=not as_json)
        raise typer.Exit(1) from None
    if version is not None and not rows:
        text = f"version {version} was never applied"
        typer.echo(json.dumps({"error": text}) if as_json else f"milepost sla: {text}", err=not as_json)
        raise typer.Exit(1)
    if as_json:
        typer.echo(json.dumps([_row(one, whole=version is not None) for one in rows], indent=2))
        return
    if not rows:
        typer.echo("no policies were ever applied; do it with `milepost sla apply`")
    for one in rows:
        applied = one.applied
        typer.echo(
            f"{applied.version:>5}  {applied.applied_at:%Y-%m-%d %H:%M:%S} UTC  {plain(applied.applied_by)}  "
            f"{applied.digest[:12]}  {plain(' '.join(one.comment.split()))}"
        )
    if version is not None:
        typer.echo("")
        typer.echo(rows[0].applied.document, nl=not rows[0].applied.document.endswith("\n"))


def _row(one: "Audited", *, whole: bool) -> dict[str, Any]:
    row = {
        "version": one.applied.version,
        "applied_at": one.applied.applied_at.isoformat(),
        "applied_by": one.applied.applied_by,
        "digest": one.applied.digest,
        "comment": one.comment,
    }
    return row | ({"document": one.applied.document} if whole else {})
