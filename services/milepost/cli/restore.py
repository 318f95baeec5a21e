"""`milepost restore`: a backup back into an empty database."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from milepost.settings import Settings


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command()(restore)


def restore(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The backup.", exists=True, file_okay=False)],
    data: Annotated[
        Path | None, typer.Option(help="Folder of an embedded platform that is not up: start its engines for this.")
    ] = None,
    new_topic: Annotated[
        bool, typer.Option("--new-topic", help="The topic was lost and made anew: all on it comes after the backup.")
    ] = False,
    accept_gap: Annotated[
        bool, typer.Option("--accept-gap", help="Do without what has expired from the topic since the backup.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Restore the backup in DIR into an empty database; the processor then reads on from there, and must not run yet.

    An older backup is brought up to this version's schema. Nothing is changed where something does not fit.
    """
    import json

    import msgspec

    from milepost.cli.copying import Tables
    from milepost.operations.refusals import RefusedError
    from milepost.operations.restore import Way
    from milepost.operations.restore import restore as bring_back
    from milepost.settings import load
    from milepost.store.errors import StoreError

    settings = load()
    try:
        with _engines(data, settings), Tables(quiet=as_json) as shown:
            restored = bring_back(settings, folder.resolve(), Way(accept_gap, new_topic), shown.step)
    except (RefusedError, StoreError, OSError) as error:
        typer.echo(json.dumps({"error": str(error)}) if as_json else f"milepost restore: {error}", err=not as_json)
        raise typer.Exit(1) from error
    if as_json:
        typer.echo(msgspec.json.encode(restored).decode())
        return
    rows = sum(file.rows for file in restored.files.values())
    typer.echo(f"{rows:,} rows of {restored.made_at:%Y-%m-%d %H:%M} UTC are back in {settings.database}")
    typer.echo("Start the processor: it reads on from there. Erasures made since that backup must be made again.")


@contextmanager
def _engines(data: Path | None, settings: "Settings") -> Iterator[None]:
    """The engines of the platform in ``data``, its topics made; nothing where it is None."""
    if data is None:
        yield
        return
    from milepost.bus.topics import apply
    from milepost.embedded.platform import Platform
    from milepost.embedded.running import FolderInUseError, hold
    from milepost.operations.refusals import RefusedError

    try:
        held = hold(data.resolve())
    except FolderInUseError as error:
        raise RefusedError(f"{error}: stop it first") from error
    with held, Platform(data.resolve(), settings):
        apply(settings)
        yield
