"""`milepost topics`."""

import json
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from milepost.bus.topics import TopicState

_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    topics = typer.Typer(help="The Kafka topics: ls, apply, check.", no_args_is_help=True)
    topics.command("ls")(ls)
    topics.command("apply")(apply)
    topics.command("check")(check)
    app.add_typer(topics, name="topics")


def ls(as_json: _Json = False) -> None:
    """List the topics as declared and as the broker has them."""
    _show(_states(change=False), as_json)


def apply(as_json: _Json = False) -> None:
    """Make missing topics and correct their configuration; the number of partitions is never changed."""
    states = _states(change=True)
    _show(states, as_json)
    _exit(states)


def check(as_json: _Json = False) -> None:
    """Exit 1 where a topic is missing or not configured as declared."""
    states = _states(change=False)
    _show(states, as_json)
    _exit(states)


def _states(*, change: bool) -> "list[TopicState]":
    from milepost.bus import topics
    from milepost.settings import load

    try:
        return topics.apply(load()) if change else topics.look(load())
    except topics.TopicsError as error:
        typer.echo(f"milepost topics: {error}", err=True)
        raise typer.Exit(1) from None


def _exit(states: "list[TopicState]") -> None:
    if not all(state.in_order for state in states):
        raise typer.Exit(1)


def _show(states: "list[TopicState]", as_json: bool) -> None:
    if as_json:
        rows = [
            {
                "name": state.topic.name,
                "description": state.topic.description,
                "exists": state.exists,
                "partitions": state.partitions,
                "replication": state.replication,
                "in_order": state.in_order,
                "differs": {
                    name: {"found": found, "declared": declared} for name, (found, declared) in state.differs.items()
                },
            }
            for state in states
        ]
        typer.echo(json.dumps(rows, indent=2))
        return
    for state in states:
        if not state.exists:
            typer.echo(f"{state.topic.name:28} missing; make it with `milepost topics apply`")
            continue
        said = "in order" if state.in_order else "differs"
        typer.echo(f"{state.topic.name:28} {state.partitions} partitions, {state.replication} replicas, {said}")
        for name, (found, declared) in state.differs.items():
            typer.echo(f"{'':28} {name} is {found}, declared {declared}")
