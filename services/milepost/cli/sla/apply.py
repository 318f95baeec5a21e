"""`milepost sla apply`."""

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from milepost.cli.sla.policy_file import File, found, read

if TYPE_CHECKING:
    from milepost.operations.policies import Application

_SAID = {
    "applied": "version {version} holds",
    "resumed": "version {version} holds: it had been audited, and had not reached the broker",
    "audited": "version {version} held already; the audit has it now",
    "unchanged": "version {version} is this very file: nothing to do",
}


def register(group: typer.Typer) -> None:
    """Add the subcommand to ``group``."""
    group.command("apply")(apply)


def apply(
    file: File = None,
    *,
    comment: Annotated[str, typer.Option(help="Why, for the audit.", show_default=False)] = "",
    by: Annotated[
        str | None, typer.Option(help="Who, for the audit; the user and host if not given.", show_default=False)
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would change; change nothing.")] = False,
    if_none: Annotated[bool, typer.Option("--if-none", help="Do nothing where any policies hold already.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Put a file of policies in force, and show what changes: running workers go by it within a second.

    What was decided before stays decided. Every application is kept with who, when, why and the file itself. The same
    file again changes nothing; where an application was cut off, it finishes it.
    """
    from milepost.bus import policy_topic
    from milepost.operations.policies import apply_policies
    from milepost.settings import load
    from milepost.store.client import writer
    from milepost.store.errors import StoreError

    if not (comment.strip() or dry_run or if_none):
        raise typer.BadParameter("say why, for the audit", param_hint="--comment")
    text, _ = read(found(file), as_json=as_json)
    settings = load()
    try:
        if if_none:
            held = policy_topic.read(settings)
            if held is not None:
                _tell({"deed": "unchanged", "version": held.version, "changes": []}, as_json, "version {version} holds")
                return
        with writer(settings) as store:
            done = apply_policies(
                settings, store, text, by or _who(), comment.strip() or "the first policies", dry_run=dry_run
            )
    except (StoreError, policy_topic.PolicyTopicError) as error:
        typer.echo(json.dumps({"error": str(error)}) if as_json else f"milepost sla: {error}", err=not as_json)
        raise typer.Exit(1) from None
    answer = {"deed": done.deed, "version": done.now.version, "changes": _changes(done), "dry_run": dry_run}
    said = _SAID[done.deed]
    _tell(answer, as_json, f"dry run, nothing was changed; else: {said}" if dry_run else said)


def _changes(done: "Application") -> list[str]:
    from milepost.bus.policies import BUILT_IN
    from milepost.policies.changes import changes

    try:
        before = done.before.policies() if done.before else BUILT_IN
    except ValueError as error:
        return [f"! version {done.before.version if done.before else 0} cannot be read any more: {error}"]
    return changes(before, done.now.policies())


def _tell(answer: dict[str, Any], as_json: bool, said: str) -> None:
    if as_json:
        typer.echo(json.dumps(answer, indent=2))
        return
    for line in answer["changes"]:
        typer.echo(line)
    typer.echo(said.format(version=answer["version"]))


def _who() -> str:
    import getpass
    import socket

    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        # A container's user may have a number and no name.
        import os

        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"
