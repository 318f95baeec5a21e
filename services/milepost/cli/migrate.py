"""`milepost migrate`: the schema of the ClickHouse database."""

import json
from typing import Annotated

import typer

_AS_JSON = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    group = typer.Typer(help="The database's schema: list, show and apply migrations.", no_args_is_help=True)
    group.command("ls")(list_migrations)
    group.command("dry-run")(dry_run)
    group.command("apply")(apply_migrations)
    app.add_typer(group, name="migrate")


def list_migrations(as_json: _AS_JSON = False) -> None:
    """List every migration and its state: applied, pending, interrupted or edited."""
    from milepost.settings import load
    from milepost.store.client import writer
    from milepost.store.errors import StoreError
    from milepost.store.migrations import statuses

    settings = load()
    try:
        with writer(settings) as store:
            found = statuses(store)
    except StoreError as error:
        raise _failed(error, as_json) from error
    if as_json:
        rows = [
            {
                "number": status.migration.number,
                "name": status.migration.name,
                "state": status.state,
                "recorded_at": f"{status.at.isoformat()}Z" if status.at else None,
            }
            for status in found
        ]
        typer.echo(json.dumps({"database": settings.database, "migrations": rows}))
    else:
        for status in found:
            at = f"  {status.at:%Y-%m-%d %H:%M:%S} UTC" if status.at else ""
            typer.echo(f"{status.migration}  {status.state}{at}")
    if any(status.state == "edited" for status in found):
        raise typer.Exit(1)


def dry_run(as_json: _AS_JSON = False) -> None:
    """Print the SQL that `apply` would run; change nothing."""
    from milepost.settings import load
    from milepost.store.client import writer
    from milepost.store.errors import StoreError
    from milepost.store.migrations import statuses

    try:
        with writer(load()) as store:
            waiting = [status for status in statuses(store) if status.state in ("pending", "interrupted")]
    except StoreError as error:
        raise _failed(error, as_json) from error
    if as_json:
        rows = [
            {
                "number": status.migration.number,
                "name": status.migration.name,
                "statements": status.migration.statements[status.done :],
            }
            for status in waiting
        ]
        typer.echo(json.dumps({"pending": rows}))
        return
    for status in waiting:
        typer.echo(f"-- {status.migration}")
        for statement in status.migration.statements[status.done :]:
            typer.echo(f"{statement};\n")
    if not waiting:
        typer.echo("nothing to apply")


def apply_migrations(
    as_json: _AS_JSON = False,
    wait: Annotated[float, typer.Option(help="Seconds to wait for another applier.", min=0)] = 60,
) -> None:
    """Bring the database up to date; several at once wait for each other."""
    from milepost.settings import load
    from milepost.store.errors import StoreError
    from milepost.store.migrations import apply

    settings = load()
    try:
        done = apply(settings, wait, lambda migration: None if as_json else typer.echo(f"applying {migration}"))
    except StoreError as error:
        raise _failed(error, as_json) from error
    if as_json:
        names = [{"number": migration.number, "name": migration.name} for migration in done.migrations]
        typer.echo(json.dumps({"database": settings.database, "applied": names, "reader": done.reader}))
        return
    typer.echo(f"database {settings.database} is up to date ({settings.currency}); read-only user {done.reader}")


def _failed(error: Exception, as_json: bool) -> typer.Exit:
    typer.echo(json.dumps({"error": str(error)}) if as_json else f"milepost migrate: {error}", err=not as_json)
    return typer.Exit(1)
