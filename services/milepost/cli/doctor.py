"""`milepost doctor`: what is wrong with this installation."""

import json
from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command()(doctor)


def doctor(
    data: Annotated[Path | None, typer.Option(help="The data folder `milepost up` uses.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say what is wrong with this installation and how to mend it; exit 1 where something is."""
    from dataclasses import asdict

    from milepost.cli.up import default_data
    from milepost.embedded.checks import Level, examine
    from milepost.settings import load

    findings = []
    for finding in examine(load(), data or default_data()):
        findings.append(finding)
        if not as_json:
            typer.echo(f"{finding.level.value:<6} {finding.check:<32} {finding.found}")
            if finding.hint:
                typer.echo(f"{'':39} → {finding.hint}")
    faults = sum(finding.level is Level.FAULT for finding in findings)
    if as_json:
        typer.echo(json.dumps({"ok": not faults, "findings": [asdict(finding) for finding in findings]}, indent=2))
    else:
        typer.echo(f"{faults} to mend" if faults else "all in order")
    if faults:
        raise typer.Exit(1)
