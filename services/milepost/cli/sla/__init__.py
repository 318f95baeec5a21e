"""`milepost sla`: the policies, and what becomes of SLAs; each subcommand is a module here with a ``register``."""

import importlib

import typer

SUBCOMMANDS = ("ls", "show", "ack", "check", "apply", "history")
"""Modules of this package that add a subcommand, in the order `--help` shows them."""


def register(app: typer.Typer) -> None:
    """Add the group to ``app``."""
    group = typer.Typer(help="What is at risk or broken, and the policies it is judged by.", no_args_is_help=True)
    for name in SUBCOMMANDS:
        importlib.import_module(f"milepost.cli.sla.{name}").register(group)
    app.add_typer(group, name="sla")
