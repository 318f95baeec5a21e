"""One part of the platform as an operating-system process: start it, ask whether it is ready, end it."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from milepost.settings import Settings

LOG_BYTES = 8 * 1024 * 1024
"""A part's log is cut when it is larger; the cut-off half is kept beside it."""

ANNOUNCED = "milepost: "
"""A log line that begins so is worth showing to whoever waits for the part."""

_LEASH = Path(__file__).with_name("leash.py")
_PROBE_SECONDS = 2.0


@dataclass(frozen=True)
class Part:
    """A part: how it is started, where it listens, and how one knows that it is ready."""

    name: str
    argv: tuple[str, ...]
    port: int | None
    ready_path: str | None = None
    """Path whose 200 says it is ready; None where an open port does."""
    alive_path: str | None = None
    """Path whose 200 says, once it has been ready, that it still lives; None where being a process is enough."""
    alive_seconds: float = 60.0
    """How long that may fail before it is killed and started again."""
    environment: Mapping[str, str] = field(default_factory=dict)
    stop_seconds: float = 5.0
    """How long it may take after SIGTERM before it is killed."""
    other_ports: tuple[int, ...] = ()
    """Ports it takes besides."""
    after: tuple[str, ...] = ()
    """Parts that must be ready before this one is started."""
    once: bool = False
    """A task that is ready when it has ended well, instead of something that goes on."""
    optional: bool = False
    """A task that nothing waits for and that may fail."""
    stop_stage: int = 0
    """Parts are stopped in the order of their stages, those of one stage together."""

    @property
    def address(self) -> str:
        """Where it listens, for people; empty where it does not."""
        if self.port is None:
            return ""
        return f"http://127.0.0.1:{self.port}" if self.ready_path else f"127.0.0.1:{self.port}"


def environment(settings: Settings) -> dict[str, str]:
    """The ``MILEPOST_*`` variables that give another process these settings."""
    variables = {}
    for name in settings.model_fields_set:
        value = getattr(settings, name)
        if value is None:
            continue
        text = value.get_secret_value() if hasattr(value, "get_secret_value") else str(value)
        variables[f"MILEPOST_{name.upper()}"] = text
    return variables


def spawn(part: Part, log: Path) -> subprocess.Popen[bytes]:
    """Start ``part`` in a session of its own, both outputs appended to ``log``.

    It dies with the thread that called this, however that ends.
    """
    cut(log)
    with log.open("ab") as out:
        return launch(part, out)


def launch(part: Part, out: IO[bytes] | None) -> subprocess.Popen[bytes]:
    """Start ``part`` like ``spawn``, both outputs to ``out``, or to this process's own where it is None."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("MILEPOST_")}
    return subprocess.Popen(
        [*leash(), *part.argv],
        stdin=subprocess.DEVNULL,
        stdout=out,
        stderr=None if out is None else subprocess.STDOUT,
        env={**inherited, **part.environment},
        start_new_session=True,
    )


def leash() -> list[str]:
    """What a command is prefixed with so that it dies with the thread that starts it."""
    return [sys.executable, "-I", "-S", str(_LEASH), str(os.getpid())]


def is_ready(part: Part) -> bool:
    """Ask once whether ``part`` is ready; at most about two seconds."""
    if part.port is None:
        return True
    if part.ready_path is None:
        try:
            socket.create_connection(("127.0.0.1", part.port), _PROBE_SECONDS).close()
        except OSError:
            return False
        return True
    return _answers(part.port, part.ready_path)


def is_alive(part: Part) -> bool:
    """Ask once whether ``part``, which has been ready, still lives; at most about two seconds."""
    return part.port is None or part.alive_path is None or _answers(part.port, part.alive_path)


def _answers(port: int, path: str) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_PROBE_SECONDS)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """Send a signal to the process and whatever it has started itself."""
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        return


def stop(process: subprocess.Popen[bytes], seconds: float) -> int:
    """End the process: SIGTERM, and SIGKILL after ``seconds``. Gives its exit code."""
    if process.poll() is None:
        signal_group(process, signal.SIGTERM)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            signal_group(process, signal.SIGKILL)
    code = process.wait()
    signal_group(process, signal.SIGKILL)
    return code


def wait_ready(part: Part, process: subprocess.Popen[bytes], seconds: float, log: Path) -> None:
    """Wait until ``part`` is ready.

    Raises:
        RuntimeError: it ended, or was not ready in time; the message has the end of its log.
    """
    deadline = time.monotonic() + seconds
    while not is_ready(part):
        code = process.poll()
        if code is not None:
            raise RuntimeError(f"{part.name} ended with {code}:\n{tail(log)}")
        if time.monotonic() > deadline:
            raise RuntimeError(f"{part.name} was not ready after {seconds:.0f} s:\n{tail(log)}")
        time.sleep(0.05)


def tail(log: Path, lines: int = 20) -> str:
    """The last lines of a log; empty where there is none."""
    try:
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
    except FileNotFoundError:
        return ""


def cut(log: Path, limit: int = LOG_BYTES) -> None:
    """Keep a log bounded: over ``limit`` bytes it moves to ``NAME.1`` and starts anew, under the writer's feet."""
    try:
        size = log.stat().st_size
    except FileNotFoundError:
        return
    if size > limit:
        log.with_suffix(log.suffix + ".1").write_bytes(log.read_bytes()[-limit:])
        os.truncate(log, 0)
