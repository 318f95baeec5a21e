"""A start-up cache for the broker: the JVM's classes as an earlier start left them.

One broker is started on a folder of its own, asked to end, and its virtual machine writes what it had loaded. Measured
on two cores: 7.3 s of processor time to an open port without it, 2.3 s with it.
"""

import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from milepost.embedded.process import leash

_START_SECONDS = 60.0
_DUMP_SECONDS = 120.0


def train(java: Sequence[str], write_storage: Callable[[Path, int, int], Path], cache: Path) -> None:
    """Write ``cache`` for the virtual machine and class path of ``java``; leaves nothing where that does not work.

    ``write_storage(folder, port, controller_port)`` formats a broker's storage and gives its properties file.
    """
    part = cache.with_suffix(".part")
    with tempfile.TemporaryDirectory(prefix="milepost-") as name:
        port, controller_port = _free_ports(2)
        properties = write_storage(Path(name), port, controller_port)
        broker = subprocess.Popen(
            [*leash(), java[0], f"-XX:AOTCacheOutput={part}", *java[1:], "kafka.Kafka", str(properties)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            _wait_for_port(port, broker)
            broker.terminate()
            broker.wait(_DUMP_SECONDS)
        except (TimeoutError, subprocess.TimeoutExpired):
            return
        finally:
            broker.kill()
            broker.wait()
            _move(part, cache)


def _move(part: Path, cache: Path) -> None:
    # The virtual machine writes the name only when the file is whole.
    if part.exists():
        part.replace(cache)


def _wait_for_port(port: int, broker: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and broker.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise TimeoutError("the broker did not start")


def _free_ports(count: int) -> list[int]:
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()
