"""`milepost up`: the whole platform on this machine."""

import os
from pathlib import Path
from typing import Annotated

import typer

from milepost.settings import MAX_EMBEDDED_WORKERS

ADDRESSES = ("port", "kafka", "clickhouse", "edge", "insights", "prometheus", "alertmanager")
"""Settings that say where a part is; `up` places every part itself."""

MISSING_MONITORING = "{} not installed, so without it: Debian has `apt install prometheus prometheus-alertmanager`"


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command()(up)


def default_data() -> Path:
    """Where the data is kept if no folder is named: ``$XDG_DATA_HOME/milepost``, else ``~/.local/share/milepost``."""
    base = os.environ.get("XDG_DATA_HOME")
    return (Path(base) if base else Path.home() / ".local" / "share") / "milepost"


def up(
    *,
    data: Annotated[
        Path | None, typer.Option(help="Folder that keeps everything; ~/.local/share/milepost by default.")
    ] = None,
    demo: Annotated[bool, typer.Option("--demo", help="Add the simulator: a live city.")] = False,
    speed: Annotated[float, typer.Option(min=0.1, max=600, help="How many times as fast as life the city is.")] = 1.0,
    port_base: Annotated[
        int | None, typer.Option(min=1024, max=60_000, help="Base of every port; else MILEPOST_PORT_BASE or 8000.")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, max=MAX_EMBEDDED_WORKERS, help="Processor workers.")] = 1,
    prometheus: Annotated[bool, typer.Option(help="Run Prometheus and Alertmanager where installed.")] = True,
) -> None:
    """Run the whole platform on this machine until Ctrl-C: no Docker and no Java needed.

    Real Kafka, the real ClickHouse engine, every service, and Prometheus and Alertmanager where installed. Started
    again on the same --data it goes on where it was. A part that ends is started again.
    """
    import asyncio

    from milepost.embedded import parts as catalogue
    from milepost.embedded.display import display
    from milepost.embedded.kafka import starts_quickly
    from milepost.embedded.ports import taken
    from milepost.embedded.running import FolderInUseError, hold, run
    from milepost.embedded.supervisor import TaskFailedError
    from milepost.settings import Settings, load

    settings = load() if port_base is None else Settings(port_base=port_base)
    # Everything runs here: addresses of another installation's parts mean nothing.
    settings = settings.model_copy(update=dict.fromkeys(ADDRESSES) | {"host": "127.0.0.1"})
    folder = (data or default_data()).resolve()
    try:
        held = hold(folder)
    except (FolderInUseError, OSError) as error:
        raise _refused(str(error)) from error
    with held:
        parts = catalogue.full_platform(folder, settings, workers, with_prometheus=prometheus)
        if demo:
            parts.append(catalogue.simulator(settings, speed))
        if not starts_quickly():
            parts.append(catalogue.quick_start(parts))
        busy = taken(parts)
        if busy:
            raise _refused(
                "\n".join(
                    f"port {one.port}, which {one.part} needs, is taken{f' by {one.holder}' if one.holder else ''}"
                    for one in busy
                )
                + f"\nfree it, or move every port with --port-base (now {settings.port_base})"
            )
        screen = display()
        try:
            asyncio.run(run(parts, folder, settings, screen, _missing(catalogue.programs()) if prometheus else ""))
        except TaskFailedError as error:
            screen.say(str(error))
            raise typer.Exit(1) from error
        finally:
            screen.close()


def _missing(programs: tuple[str | None, str | None]) -> str:
    names = [name for name, program in zip(("Prometheus", "Alertmanager"), programs, strict=True) if not program]
    return MISSING_MONITORING.format(" and ".join(names)) if names else ""


def _refused(text: str) -> typer.Exit:
    for line in text.splitlines():
        typer.echo(f"milepost up: {line}", err=True)
    return typer.Exit(2)
