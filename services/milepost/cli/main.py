"""The one command, `milepost`: every subcommand is a module of this package with a ``register``."""

import importlib

import typer

COMMANDS = (
    "up",
    "run",
    "send",
    "simulate",
    "kpi",
    "order",
    "sla",
    "reconcile",
    "rebuild",
    "dead_letters",
    "backup",
    "restore",
    "erase",
    "keys",
    "migrate",
    "topics",
    "grafana",
    "doctor",
)
"""Modules of this package that add a command, in the order `--help` shows them."""


def build() -> typer.Typer:
    """The command with all its subcommands."""
    app = typer.Typer(
        name="milepost",
        help="Tells a delivery operation, minute by minute, whether it keeps its promises.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
    )
    for command in COMMANDS:
        importlib.import_module(f"milepost.cli.{command}").register(app)
    return app


def main() -> None:
    """Run the command; exit codes: 0 done, 1 checked and failed, 2 wrong usage."""
    build()()
