"""Running an HTTP service in the foreground."""

import logging
import math
import resource
from dataclasses import replace

import uvicorn
from starlette.types import ASGIApp

from milepost.edge.protocol import SPARE_CONNECTIONS, BoundedHttpProtocol, ConnectionLimits

OTHER_FILES = 100
"""Open files of a process besides its clients' connections."""


def serve(app: ASGIApp, host: str, port: int) -> None:
    """Serve ``app`` until SIGINT or SIGTERM; requests under way get the ``grace`` of its limits to end.

    Forwarding headers are not believed: who calls decides what they may do.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    # It repeats itself at every attempt; the publisher says once when the broker goes and when it is back.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    limits = _limits_of(app)
    connections = min(limits.connections, _open_files(limits.connections) - OTHER_FILES - SPARE_CONNECTIONS)
    uvicorn.Server(config(app, host, port, replace(limits, connections=max(1, connections)))).run()


def config(app: ASGIApp, host: str, port: int, limits: ConnectionLimits | None = None) -> uvicorn.Config:
    """How every HTTP service of Milepost is served; ``limits`` are those the app brings in ``state`` if not given."""
    limits = limits or _limits_of(app)
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        loop="uvloop",
        http=type("HttpProtocol", (BoundedHttpProtocol,), {"limits": limits}),
        ws="none",
        proxy_headers=False,
        server_header=False,
        access_log=False,
        log_level="warning",
        timeout_graceful_shutdown=math.ceil(limits.grace),
    )


def _limits_of(app: ASGIApp) -> ConnectionLimits:
    found = getattr(getattr(app, "state", None), "connection_limits", None)
    return found if isinstance(found, ConnectionLimits) else ConnectionLimits()


def _open_files(connections: int) -> int:
    """How many files this process may open, once it has asked for as many as ``connections`` need."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + OTHER_FILES + SPARE_CONNECTIONS
    if soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return soft
