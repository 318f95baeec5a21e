"""Running an HTTP service in the foreground."""

import logging

import uvicorn
from starlette.types import ASGIApp

from milepost.edge.protocol import BoundedHttpProtocol

GRACE_SECONDS = 3


def serve(app: ASGIApp, host: str, port: int) -> None:
    """Serve ``app`` until SIGINT or SIGTERM; requests under way get ``GRACE_SECONDS`` to end.

    Forwarding headers are not believed: who calls decides what they may do.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    # It repeats itself at every attempt; the publisher says once when the broker goes and when it is back.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    uvicorn.Server(config(app, host, port)).run()


def config(app: ASGIApp, host: str, port: int) -> uvicorn.Config:
    """How every HTTP service of Milepost is served."""
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        loop="uvloop",
        http=BoundedHttpProtocol,
        ws="none",
        proxy_headers=False,
        server_header=False,
        access_log=False,
        log_level="warning",
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
