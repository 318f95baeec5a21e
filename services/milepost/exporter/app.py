"""The exporter as an HTTP service."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import JSONResponse, Response

from milepost.edge.problems import add_problem_handlers, problem
from milepost.exporter.refresher import Refresher
from milepost.settings import Settings, load
from milepost.store.client import reader


def create_app(settings: Settings | None = None) -> FastAPI:
    """The exporter. It starts without ClickHouse; ``/metrics`` has KPIs as soon as and as long as they can be read."""
    store = reader(settings or load())
    refresher = Refresher(store)
    running: list[asyncio.Task[None]] = []

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        task = asyncio.create_task(refresher.run())
        running.append(task)
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            store.close()

    app = FastAPI(title="Milepost exporter", version="1", lifespan=lifespan, redoc_url=None, redirect_slashes=False)
    app.state.refresher = refresher
    add_problem_handlers(app)

    @app.get("/healthz", tags=["operation"], summary="Alive")
    async def healthz() -> Response:
        # A refresh that ended by a fault of ours will not begin again: whoever supervises this must.
        if running and running[0].done():
            return problem(500, f"refreshing has ended: {running[0].exception()!r}")
        return JSONResponse({"status": "alive", "service": "exporter"})

    @app.get("/readyz", tags=["operation"], summary="Able to do its work; says what is missing")
    async def readyz() -> Response:
        missing = [] if refresher.fresh() is not None else [refresher.fault or "the numbers are stale"]
        return JSONResponse({"ready": not missing, "missing": missing}, 503 if missing else 200)

    @app.get("/metrics", tags=["operation"], summary="Prometheus metrics: the KPIs, and how the exporter itself is")
    async def scraped() -> Response:
        return Response(refresher.exposition(), media_type=CONTENT_TYPE_LATEST)

    return app
