"""`milepost rebuild`."""

import json
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from milepost.settings import Settings
    from milepost.store.client import Store
    from milepost.store.rebuilds import Progress

LOOK_SECONDS = 0.5
QUIET_SECONDS = 30.0
"""A partition nobody has looked at for so long has no worker."""


class Origin(StrEnum):
    """Where a rebuild takes the events from."""

    LOG = "log"
    TOPIC = "topic"


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command()(rebuild)


def rebuild(
    *,
    origin: Annotated[
        Origin,
        typer.Option(
            "--from", help="The event log (events), or the topic, which first fills up what the log has lost."
        ),
    ] = Origin.LOG,
    partitions: Annotated[
        list[int] | None, typer.Option("--partition", help="Only this one; may be repeated.", show_default=False)
    ] = None,
    wait: Annotated[bool, typer.Option(help="Wait until the workers have done it.")] = True,
    timeout: Annotated[float, typer.Option(help="Longest time to wait, in seconds.")] = 3600.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Restore orders and KPI minutes from the event log, while everything runs.

    The workers do it between their flushes; dashboards show the old numbers until the right ones replace them in one
    instant, partition by partition. Facts that the log lacks are kept. Minutes of expired orders stay as they are.
    Exit 1 where it could not be asked for, or was not done in time.
    """
    from milepost.settings import load
    from milepost.store.client import writer
    from milepost.store.errors import StoreError

    settings = load()
    try:
        with writer(settings) as store:
            _rebuild(settings, store, origin, partitions, timeout if wait else None, as_json=as_json)
    except StoreError as error:
        typer.echo(f"milepost rebuild: {error}", err=True)
        typer.echo("Is the platform up (`milepost up`)? MILEPOST_PORT_BASE or MILEPOST_CLICKHOUSE say where.", err=True)
        raise typer.Exit(1) from error


def _rebuild(
    settings: "Settings",
    store: "Store",
    origin: Origin,
    partitions: list[int] | None,
    timeout: float | None,
    *,
    as_json: bool,
) -> None:
    from milepost.store.rebuilds import UNKNOWN, ask, known_partitions, quiet_partitions

    known = known_partitions(store)
    unknown = sorted(set(partitions or ()) - set(known))
    if unknown:
        raise typer.BadParameter(f"nothing is stored of partition {unknown[0]}", param_hint="--partition")
    chosen = sorted(set(partitions or known))
    if not chosen:
        typer.echo("nothing is stored yet, so there is nothing to rebuild")
        return
    complete_from = dict.fromkeys(chosen, UNKNOWN)
    if origin is Origin.TOPIC:
        complete_from = _refill(settings, store, chosen)
    asked = ask(store, complete_from)
    if timeout is None:
        typer.echo(json.dumps({"requested_at": asked, "partitions": chosen}) if as_json else f"asked for: {chosen}")
        return
    quiet = [number for number in quiet_partitions(store, QUIET_SECONDS) if number in chosen]
    if quiet:
        typer.echo(f"no worker has partition {', '.join(map(str, quiet))} in hand; waiting for one", err=True)
    found = _await(store, asked, chosen, timeout)
    _show(found, as_json=as_json)
    if len(found) < len(chosen) or not all(one.finished_at for one in found):
        typer.echo(f"milepost rebuild: not done after {timeout:g} s; the workers go on with it", err=True)
        raise typer.Exit(1)


def _refill(settings: "Settings", store: "Store", partitions: list[int]) -> dict[int, int]:
    import asyncio
    import sys
    import time

    from milepost.processor.upkeep.refill import Refill, TopicUnreadableError

    def tell(read: int, total: int) -> None:
        if sys.stderr.isatty():
            typer.echo(f"\rread {read:,} of {total:,} records", err=True, nl=read >= total)

    try:
        return asyncio.run(Refill(settings, store, time.time_ns() // 1000).run(partitions, tell))
    except TopicUnreadableError as error:
        typer.echo(f"milepost rebuild: {error}", err=True)
        raise typer.Exit(1) from error


def _await(store: "Store", asked: int, partitions: list[int], timeout: float) -> "list[Progress]":
    import time

    from milepost.store.rebuilds import told

    deadline = time.monotonic() + timeout
    while True:
        found = told(store, asked, partitions)
        if time.monotonic() >= deadline or all(one.finished_at for one in found):
            return found
        time.sleep(LOOK_SECONDS)


def _show(found: "list[Progress]", *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps([one._asdict() for one in found], indent=2))
        return
    for one in found:
        words = f"{one.orders_changed} of {one.orders} orders and {one.minutes_changed} KPI minutes were wrong"
        done = "done" if one.finished_at else "under way"
        typer.echo(f"partition {one.partition:<4} {done}: {words}")
        if one.orders_unlogged:
            typer.echo(f"{'':15}{one.orders_unlogged} orders have facts that the log lacks; they are kept")
