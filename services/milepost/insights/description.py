"""The OpenAPI description of the answers, made from their definitions."""

from typing import Any

import msgspec
from fastapi import FastAPI

from milepost.reading.kpis import Answer
from milepost.reading.orders import OrderPage
from milepost.reading.sla.events import SlaEvent
from milepost.reading.sla.open import SlaPage
from milepost.reading.sla.orders import OrderSlas
from milepost.reading.timeline import Timeline

_REFERENCE = "#/components/schemas/{name}"
_PROBLEM = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "errors"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["pointer", "detail"],
                "properties": {"pointer": {"type": "string"}, "detail": {"type": "string"}},
            },
        },
    },
}
_FAULTS = {
    401: "No key, or an unknown or revoked one.",
    403: "The key lacks the right to read, or stands for another merchant.",
    422: "A parameter is not as documented; `errors` names it.",
    503: "The database does not answer: ask again, after `Retry-After` seconds.",
}


def _responses(
    model: type, text: str, more: dict[int, str] | None = None, media_type: str = "application/json"
) -> dict[int | str, dict[str, Any]]:
    answered: dict[int | str, dict[str, Any]] = {
        200: {"description": text, "content": _content(media_type, model.__name__)}
    }
    faults: dict[int | str, dict[str, Any]] = {
        status: {"description": said, "content": _content("application/problem+json", "Problem")}
        for status, said in sorted({**_FAULTS, **(more or {})}.items())
    }
    return {**answered, **faults}


def _content(media_type: str, name: str) -> dict[str, Any]:
    return {media_type: {"schema": {"$ref": _REFERENCE.format(name=name)}}}


KPIS = _responses(Answer, "The KPIs, one row for each and each combination of the dimensions.")
ORDERS = _responses(OrderPage, "A page of orders.")
ORDER = _responses(Timeline, "The timeline.", {404: "Nothing was ever heard of such an order."})
SLAS = _responses(SlaPage, "A page of open SLAs.")
SLA_ORDER = _responses(OrderSlas, "The order's SLAs.", {404: "Nothing was ever heard of such an order."})
SLA_EVENTS = _responses(
    SlaEvent,
    "A stream without end; this is the data of an event `sla`.",
    {503: "The database does not answer, or too many listen: come again, after `Retry-After` seconds."},
    "text/event-stream",
)
_MODELS = (Answer, Timeline, OrderPage, SlaPage, OrderSlas, SlaEvent)


def describe(app: FastAPI) -> None:
    """Complete the OpenAPI document of ``app`` with the schemas its responses refer to, and the credentials."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = generate()
            _, schemas = msgspec.json.schema_components(_MODELS, ref_template=_REFERENCE)
            components = document.setdefault("components", {})
            components["schemas"] = {**components.get("schemas", {}), **schemas, "Problem": _PROBLEM}
            components["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
            for path, operations in document["paths"].items():
                if path.startswith("/v1/"):
                    for operation in operations.values():
                        operation["security"] = [{"key": []}, {}]
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]
