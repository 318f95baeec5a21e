"""The embedded ClickHouse as a process: the engine on a data folder, its HTTP interface on loopback."""

import argparse
import os
import signal
import sys
from pathlib import Path

from milepost.settings import Service, Settings, load

_GRACEFUL_SECONDS = 4
_LOST = (
    "clickhouse: the disk refused a write (is it full?) and the engine took it for done, so this process ends. When it "
    "is started again, what is half written is set aside (in the tables' `detached`); none of it was acknowledged."
)


def argv(folder: Path, settings: Settings) -> list[str]:
    """The command that serves ``folder`` on the settings' port; the same one restarts it after any kind of end."""
    port = settings.port_of(Service.CLICKHOUSE)
    return [sys.executable, "-m", "milepost.embedded.clickhouse", "--data", str(folder.resolve()), "--port", str(port)]


def serve(folder: Path, port: int, settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        RuntimeError: another process has the folder open.
    """
    import uvicorn

    from milepost.embedded.clickhouse_engine import Engine
    from milepost.embedded.clickhouse_front import Front, Users

    engine = Engine(folder, _end)
    users = Users(
        writer=settings.clickhouse_user,
        writer_password=settings.clickhouse_password.get_secret_value(),
        reader=settings.clickhouse_reader,
        reader_password=settings.clickhouse_reader_password.get_secret_value(),
    )
    config = uvicorn.Config(
        Front(engine, users),
        host="127.0.0.1",
        port=port,
        log_level="warning",
        access_log=False,
        lifespan="off",
        loop="uvloop",
        http="httptools",
        timeout_keep_alive=75,
        timeout_graceful_shutdown=_GRACEFUL_SECONDS,
    )
    # uvicorn raises the signal that stopped it once more, which must not end the process before the engine is closed.
    for stop in (signal.SIGTERM, signal.SIGINT):
        signal.signal(stop, lambda *_: None)
    uvicorn.Server(config).run()
    engine.close()
    sys.stdout.flush()
    sys.stderr.flush()
    # A statement still running in its thread would hold the interpreter until it ends.
    os._exit(0)


def _end() -> None:
    """End at once: every answer from now on might be of parts that are half written."""
    print(_LOST, file=sys.stderr, flush=True)
    os._exit(os.EX_IOERR)


def main() -> None:
    """Run as ``python -m milepost.embedded.clickhouse``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    arguments = parser.parse_args()
    try:
        serve(arguments.data, arguments.port, load())
    except RuntimeError as error:
        sys.exit(f"clickhouse: {error}")


if __name__ == "__main__":
    main()
