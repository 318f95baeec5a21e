"""`milepost backup`: everything ClickHouse holds, and how far it is in the topic, into a folder."""

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command()(backup)


def backup(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder to make; it must not exist.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Write a backup into DIR while the platform runs: ClickHouse's data, and its place in the topic.

    The folder appears when all of it is written. It holds personal data, and only its owner may read it.
    """
    import json

    import msgspec

    from milepost.cli.copying import Tables
    from milepost.operations.backup import back_up
    from milepost.operations.refusals import RefusedError
    from milepost.processor.upkeep.as_of import rows_as_of
    from milepost.settings import load
    from milepost.store.client import writer
    from milepost.store.errors import StoreError

    settings = load()
    try:
        with writer(settings) as store, Tables(quiet=as_json) as shown:
            made = back_up(settings, store, folder.resolve(), rows_as_of, shown.step)
    except (RefusedError, StoreError, OSError) as error:
        typer.echo(json.dumps({"error": str(error)}) if as_json else f"milepost backup: {error}", err=not as_json)
        raise typer.Exit(1) from error
    if as_json:
        typer.echo(msgspec.json.encode(made).decode())
        return
    rows, size = sum(file.rows for file in made.files.values()), sum(file.bytes for file in made.files.values())
    typer.echo(f"{rows:,} rows in {len(made.files)} tables, {size / 1e6:,.1f} MB, in {folder}")
    for number, place in made.partitions.items():
        typer.echo(f"partition {number}: up to offset {place.cut}, the topic holds {place.start} to {place.end}")
