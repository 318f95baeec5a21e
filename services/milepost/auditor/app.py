"""The auditor as an HTTP service."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.responses import JSONResponse, Response

from milepost.auditor.audits import Audits
from milepost.auditor.canary import Canary
from milepost.auditor.reconcile import RECOUNT_SECONDS
from milepost.edge.client import EdgeClient
from milepost.edge.problems import add_problem_handlers, problem
from milepost.settings import Settings, load
from milepost.store.client import reader

THREADS = 1
"""Of the store's threads, so that an audit leaves room for everything else."""
SEND_SECONDS = 10.0
"""How long a canary is sent again while the edge is away; then the next one's turn comes."""


def create_app(settings: Settings | None = None) -> FastAPI:
    """The auditor. It starts without the rest, and says what it misses."""
    settings = settings or load()
    store = reader(settings, RECOUNT_SECONDS, THREADS)
    key = settings.edge_key.get_secret_value() if settings.edge_key else None
    edge = EdgeClient(settings.edge_url, key, retry_seconds=SEND_SECONDS)
    registry = CollectorRegistry()
    canary, audits = Canary(store, edge, registry), Audits(store, registry)
    running: list[asyncio.Task[None]] = []

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        running.append(asyncio.create_task(canary.run(settings.canary_seconds)))
        running.append(asyncio.create_task(audits.run(settings.reconcile_seconds)))
        try:
            async with edge:
                yield
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
            store.close()

    app = FastAPI(title="Milepost auditor", version="1", lifespan=lifespan, redoc_url=None, redirect_slashes=False)
    app.state.canary, app.state.audits = canary, audits
    add_problem_handlers(app)

    @app.get("/healthz", tags=["operation"], summary="Alive")
    async def healthz() -> Response:
        # What ended by a fault of ours will not begin again: whoever supervises this must.
        for task in running:
            if task.done():
                return problem(500, f"an audit has ended: {task.exception()!r}")
        return JSONResponse({"status": "alive", "service": "auditor"})

    @app.get("/readyz", tags=["operation"], summary="Able to do its work; says what is missing")
    async def readyz() -> Response:
        missing = [fault for fault in (canary.fault, audits.fault) if fault is not None]
        return JSONResponse({"ready": not missing, "missing": missing}, 503 if missing else 200)

    @app.get("/metrics", tags=["operation"], summary="Prometheus metrics: drift, and the canary's age")
    async def scraped() -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    return app
