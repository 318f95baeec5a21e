"""The factory every edge service is made by: one app, five services."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.responses import JSONResponse, PlainTextResponse, Response

from milepost.bus.producer import Publisher
from milepost.contracts.topics import LIFECYCLE
from milepost.edge.admission import CONNECTIONS, Admission
from milepost.edge.body import BodyReader
from milepost.edge.credentials import Gate
from milepost.edge.desk import Desk
from milepost.edge.events import add_events
from milepost.edge.forms import RETRACTION, Form, add_forms
from milepost.edge.meters import CountRequests, EdgeMeters
from milepost.edge.openapi import HEALTH, READINESS, components
from milepost.edge.pace import Pace
from milepost.edge.problems import add_problem_handlers
from milepost.edge.protocol import ConnectionLimits
from milepost.settings import Service, Settings, load

READY_SECONDS = 2.0
GRACE_MORE_SECONDS = 1.0


def create_edge(service: Service, forms: Sequence[Form], settings: Settings | None = None) -> FastAPI:
    """The HTTP service ``service``: events of any type, its own REST ``forms``, health, metrics and documentation.

    It starts without a broker and publishes as soon as there is one; ``/readyz`` says what is missing.
    """
    settings = settings or load()
    publisher = Publisher(settings.kafka_servers, LIFECYCLE.name, settings.publish_timeout_seconds, settings.edge_bytes)
    meters = EdgeMeters()
    gate = Gate(settings)
    admission = Admission(
        settings.edge_requests, settings.edge_bytes, Pace(settings.edge_bytes, settings.edge_target_seconds)
    )
    admission.report(meters.refusals, meters.requests_in_hand, meters.bytes_in_hand)
    reader = BodyReader(settings.max_body_bytes, settings.edge_patience_seconds)
    desk = Desk(settings, gate, reader, admission, publisher, meters)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        await publisher.start()
        try:
            yield
        finally:
            await publisher.stop()

    app = FastAPI(
        title=f"Milepost {service.value}", version="1", lifespan=lifespan, redoc_url=None, redirect_slashes=False
    )
    app.state.desk = desk
    app.state.connection_limits = ConnectionLimits(
        settings.edge_connections,
        settings.edge_patience_seconds,
        # What is under way gets the broker's answer, or a 503 in its stead.
        settings.publish_timeout_seconds + GRACE_MORE_SECONDS,
        lambda why: meters.cuts.labels(why).inc(),
        lambda: admission.refuse(CONNECTIONS),
    )
    app.add_middleware(CountRequests, requests=meters.requests)
    add_problem_handlers(app)
    add_events(app, desk)
    add_forms(app, service, forms, desk)

    @app.get("/healthz", tags=["operation"], summary="Alive", openapi_extra=HEALTH)
    async def healthz() -> Response:
        return JSONResponse({"status": "alive", "service": service.value})

    @app.get(
        "/readyz", tags=["operation"], summary="Able to do its work; says what is missing", openapi_extra=READINESS
    )
    async def readyz() -> Response:
        missing = [fault for fault in (await _broker_fault(publisher), gate.fault) if fault]
        return JSONResponse({"ready": not missing, "missing": missing}, 503 if missing else 200)

    @app.get("/metrics", tags=["operation"], summary="Prometheus metrics", response_class=PlainTextResponse)
    async def metrics(_request: Request) -> Response:
        meters.broker_up.set(publisher.fault is None)
        return Response(generate_latest(meters.registry), media_type=CONTENT_TYPE_LATEST)

    _describe(app, forms)
    return app


def _describe(app: FastAPI, forms: Sequence[Form]) -> None:
    """Complete the OpenAPI document with the schemas that the routes' descriptions refer to."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = generate()
            document["components"] = components((*forms, RETRACTION))
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


async def _broker_fault(publisher: Publisher) -> str | None:
    try:
        async with asyncio.timeout(READY_SECONDS):
            return await publisher.check()
    except TimeoutError:
        return "the broker does not answer"
