"""Are the ports free? Asked before anything is started."""

import socket
from collections.abc import Iterable
from dataclasses import dataclass

from milepost.embedded.process import Part


@dataclass(frozen=True)
class TakenPort:
    """A port that a part needs and something else has."""

    port: int
    part: str
    holder: str
    """Who has it, as far as the system tells: ``name (pid)``; empty where it does not."""


def taken(parts: Iterable[Part]) -> list[TakenPort]:
    """The ports of ``parts`` that cannot be bound on loopback."""
    return [
        TakenPort(port, part.name, _holder(port))
        for part in parts
        for port in ((part.port, *part.other_ports) if part.port is not None else part.other_ports)
        if not is_free(port)
    ]


def is_free(port: int) -> bool:
    """Whether a server could listen on ``port`` of loopback now."""
    with socket.socket() as probe:
        # As the servers themselves do: a port whose last connections are still closing is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
            probe.listen(1)
        except OSError:
            return False
    return True


def _holder(port: int) -> str:
    import psutil

    try:
        for connection in psutil.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr.port == port:
                return f"{psutil.Process(connection.pid).name()} ({connection.pid})" if connection.pid else ""
    except psutil.Error:
        return ""
    return ""
