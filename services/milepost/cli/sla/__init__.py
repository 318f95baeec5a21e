"""`milepost sla`: what was promised, what is at risk or broken, and who takes care of it."""

import importlib

import typer

COMMANDS = ("ls", "show", "ack")
"""Modules of this package that add a command to the group, in the order `--help` shows them."""


def register(app: typer.Typer) -> None:
    """Add the group to ``app``."""
    group = typer.Typer(help="SLAs: ls, show and ack what is at risk or broken.", no_args_is_help=True)
    for command in COMMANDS:
        importlib.import_module(f"milepost.cli.sla.{command}").register(group)
    app.add_typer(group, name="sla")
