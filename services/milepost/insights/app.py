"""The insights service: routes, health, metrics, documentation."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.responses import JSONResponse, Response

from milepost import metrics
from milepost.edge.credentials import Gate
from milepost.edge.problems import add_problem_handlers, problem
from milepost.edge.protocol import ConnectionLimits
from milepost.insights.control_room.routes import PATHS, control_room_router
from milepost.insights.description import describe
from milepost.insights.kpis import kpis_router
from milepost.insights.orders import orders_router
from milepost.insights.sla.feed import Feed
from milepost.insights.sla.routes import PATHS as SLA_PATHS
from milepost.insights.sla.routes import sla_router
from milepost.settings import Settings, load
from milepost.store.client import Store, reader
from milepost.store.currency import check_currency
from milepost.store.errors import SchemaMissingError, SinkUnavailableError, StoreError

RETRY_AFTER_SECONDS = 5
_ROUTES = ("/v1/kpis", "/v1/orders", "/v1/orders/{order_id}", *SLA_PATHS, *PATHS)
_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)

Next = Callable[[Request], Awaitable[Response]]


def create_app(settings: Settings | None = None) -> FastAPI:
    """The read API and the control room. It starts without ClickHouse and answers once there is one; ``/readyz`` says
    what is missing.
    """
    settings = settings or load()
    store, gate = reader(settings), Gate(settings)
    feed = Feed(store)
    registry = CollectorRegistry()
    requests = metrics.INSIGHTS_REQUESTS.counter(registry)
    seconds = metrics.INSIGHTS_SECONDS.histogram(registry, _SECONDS)
    metrics.INSIGHTS_LISTENERS.gauge(registry).set_function(lambda: float(feed.listeners))
    for route in _ROUTES:
        requests.labels(route, "200")

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        await feed.closed()
        store.close()

    app = FastAPI(title="Milepost insights", version="1", lifespan=lifespan, redoc_url=None, redirect_slashes=False)
    add_problem_handlers(app)
    app.include_router(kpis_router(store, gate))
    app.include_router(orders_router(store, gate))
    app.include_router(sla_router(store, gate, feed))
    # Whoever listens would keep the server from stopping.
    app.state.connection_limits = ConnectionLimits(stopping=feed.close)
    app.include_router(control_room_router(store, gate))

    @app.middleware("http")
    async def measure(request: Request, call_next: Next) -> Response:
        began = time.perf_counter()
        response = await call_next(request)
        route = getattr(request.scope.get("route"), "path", None)
        if route in _ROUTES:
            requests.labels(route, str(response.status_code)).inc()
            seconds.labels(route).observe(time.perf_counter() - began)
        return response

    @app.exception_handler(StoreError)
    async def _store(_request: Request, error: StoreError) -> Response:
        if isinstance(error, SinkUnavailableError | SchemaMissingError):
            return problem(503, str(error), headers={"Retry-After": str(RETRY_AFTER_SECONDS)})
        return problem(500, f"the database refused the query: {error}")

    @app.get("/healthz", tags=["operation"], summary="Alive")
    async def healthz() -> Response:
        return JSONResponse({"status": "alive", "service": "insights"})

    @app.get("/readyz", tags=["operation"], summary="Able to do its work; says what is missing")
    async def readyz() -> Response:
        missing = [fault for fault in (await asyncio.to_thread(_fault, store, settings), gate.fault) if fault]
        return JSONResponse({"ready": not missing, "missing": missing}, 503 if missing else 200)

    @app.get("/metrics", tags=["operation"], summary="Prometheus metrics", response_class=Response)
    async def scraped() -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    describe(app)
    return app


def _fault(store: Store, settings: Settings) -> str | None:
    try:
        check_currency(store, settings)
    except StoreError as error:
        return str(error)
    return None
