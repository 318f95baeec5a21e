"""The file of policies as the subcommands take it: found, read, refused with everything that is wrong in it."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from milepost.domain.sla.policy import Policies
    from milepost.policies.faults import Fault

File = Annotated[
    Path | None,
    typer.Argument(metavar="FILE", help="The policies; deploy/sla/policies.yml if not given.", show_default=False),
]


def found(file: Path | None) -> Path:
    """The file named, else the one that comes with Milepost."""
    from milepost.embedded.alerting import deploy_folder

    return file or deploy_folder() / "sla" / "policies.yml"


def read(path: Path, *, as_json: bool) -> "tuple[str, Policies]":
    """The file's text and the policies in it; prints what is wrong and raises ``typer.Exit(1)`` where something is."""
    from milepost.domain.sla.burn import unfireable
    from milepost.policies.faults import PolicyError
    from milepost.policies.load import load_policies, read_text

    try:
        text = read_text(path)
        policies = load_policies(text)
    except OSError as error:
        typer.echo(json.dumps({"error": str(error)}) if as_json else f"milepost sla: {error}", err=not as_json)
        raise typer.Exit(1) from None
    except PolicyError as error:
        _tell_faults(path, error.faults, as_json=as_json)
        raise typer.Exit(1) from None
    idle = unfireable(policies)
    if idle:
        _tell_idle(path, idle, as_json=as_json)
        raise typer.Exit(1)
    return text, policies


def _tell_faults(path: Path, faults: "tuple[Fault, ...]", *, as_json: bool) -> None:
    if as_json:
        rows = [
            {"line": fault.line, "column": fault.column, "pointer": fault.pointer, "reason": fault.reason}
            for fault in faults
        ]
        typer.echo(json.dumps({"ok": False, "file": str(path), "faults": rows, "unfireable": []}, indent=2))
        return
    for fault in faults:
        typer.echo(f"{path}:{fault.line}:{fault.column}: {fault.reason}")


def _tell_idle(path: Path, idle: list[str], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({"ok": False, "file": str(path), "faults": [], "unfireable": idle}, indent=2))
        return
    for sentence in idle:
        typer.echo(f"{path}: {sentence}")
