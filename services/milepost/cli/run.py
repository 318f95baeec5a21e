"""`milepost run`: one service in the foreground, which is what a container runs."""

import importlib
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from milepost.settings import Settings


class Runnable(StrEnum):
    """What `milepost run` can run."""

    ORDERS = "orders"
    DISPATCH = "dispatch"
    DELIVERIES = "deliveries"
    FEEDBACK = "feedback"
    COSTS = "costs"
    PROCESSOR = "processor"
    EXPORTER = "exporter"
    INSIGHTS = "insights"
    AUDITOR = "auditor"


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command()(run)


def run(
    service: Annotated[Runnable, typer.Argument(help="The service.", show_default=False)],
    workers: Annotated[int, typer.Option(min=1, help="Processor only: processes that share the partitions.")] = 1,
    index: Annotated[int, typer.Option(min=0, help="Processor only: which of several workers this is.")] = 0,
) -> None:
    """Run one service in the foreground until it is told to stop.

    Where it listens and what it talks to are MILEPOST_* variables. Of several processor workers none is restarted here:
    when one ends, all end, for whatever supervises this to start them anew.
    """
    from milepost.settings import Service, load

    settings = load()
    if service is not Runnable.PROCESSOR and (workers > 1 or index):
        raise typer.BadParameter("only the processor has workers", param_hint="--workers")
    if service is not Runnable.PROCESSOR:
        port = settings.port or settings.port_of(Service(service.value))
        _serve(service, settings, port)
    elif workers == 1:
        importlib.import_module("milepost.processor.main").run(settings, index)
    else:
        raise typer.Exit(_run_workers(workers, settings))


def _serve(service: Runnable, settings: "Settings", port: int) -> None:
    from milepost.edge.server import serve

    app = importlib.import_module(f"milepost.{service.value}.app").create_app(settings)
    serve(app, settings.host, port)


def _run_workers(count: int, settings: "Settings") -> int:
    from milepost.embedded.group import run_together
    from milepost.embedded.parts import worker

    return run_together([worker(index, settings) for index in range(count)])
