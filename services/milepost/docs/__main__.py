"""`python -m milepost.docs [--check] [--root DIR]`: write the generated documents, or say which are stale."""

from pathlib import Path
from typing import Annotated

import typer

from milepost.docs import registry


def main(
    check: Annotated[bool, typer.Option("--check", help="Write nothing; exit 1 where a document is stale.")] = False,
    root: Annotated[Path, typer.Option(help="The repository.")] = Path(),
) -> None:
    """Write every document that is generated from the code's definitions."""
    if not (root / "pyproject.toml").is_file():
        typer.echo(f"{root.resolve()} is not the repository: it has no pyproject.toml (see --root)", err=True)
        raise typer.Exit(2)
    if check:
        for path in registry.stale(root):
            typer.echo(f"stale: {path}")
        if registry.stale(root):
            typer.echo("run: python -m milepost.docs", err=True)
            raise typer.Exit(1)
        return
    for path in registry.write(root):
        typer.echo(f"wrote {path}")


if __name__ == "__main__":
    typer.run(main)
