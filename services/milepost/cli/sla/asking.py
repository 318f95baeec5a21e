"""What the commands that ask for SLAs have in common: the store, and how a failure is told."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from milepost.settings import Settings
    from milepost.store.client import Store


@contextmanager
def asking(command: str, connect: "Callable[[Settings], Store]") -> Iterator["Store"]:
    """The store, for ``command``; exit 1 where it cannot be asked."""
    from milepost.settings import load
    from milepost.store.errors import StoreError

    try:
        with connect(load()) as store:
            yield store
    except StoreError as error:
        typer.echo(f"milepost sla {command}: {error}", err=True)
        typer.echo("Is the platform up (`milepost up`)? MILEPOST_PORT_BASE or MILEPOST_CLICKHOUSE say where.", err=True)
        raise typer.Exit(1) from error


def fail(command: str, why: str) -> NoReturn:
    """Say why there is no answer, and exit 1."""
    typer.echo(f"milepost sla {command}: {why}", err=True)
    raise typer.Exit(1)


def console() -> "Console":
    """Where tables go: not on a terminal there is no edge to fit in, and lines must not be cut for it."""
    import sys

    from rich.console import Console

    return Console() if sys.stdout.isatty() else Console(width=200)
