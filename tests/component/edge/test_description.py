"""The OpenAPI document of every edge service is complete, and its examples are true."""

import importlib
import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from jsonschema import Draft202012Validator

from milepost.settings import EDGE_SERVICES, Service, Settings

Call = Callable[..., httpx.AsyncClient]
SERVICES = pytest.mark.parametrize("service", EDGE_SERVICES, ids=lambda service: service.value)


def _app(service: Service, settings: Settings) -> FastAPI:
    app: FastAPI = importlib.import_module(f"milepost.{service.value}.app").create_app(settings)
    return app


def _nodes(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield node
        for value in node.values():
            yield from _nodes(value)
    elif isinstance(node, list):
        for value in node:
            yield from _nodes(value)


@SERVICES
async def test_the_document_is_served_and_every_reference_in_it_leads_somewhere(
    edge_settings: Settings, call: Call, service: Service
) -> None:
    async with call(_app(service, edge_settings)) as http:
        document = (await http.get("/openapi.json")).json()
    assert document["openapi"].startswith("3.1")
    references = {node["$ref"] for node in _nodes(document) if isinstance(node.get("$ref"), str)}
    assert references
    for reference in references:
        assert reference.removeprefix("#/components/schemas/") in document["components"]["schemas"]


@SERVICES
def test_every_route_says_what_it_takes_and_answers(edge_settings: Settings, service: Service) -> None:
    for path, methods in _app(service, edge_settings).openapi()["paths"].items():
        for method, operation in methods.items():
            assert operation["summary"], path
            if path.startswith("/v1/"):
                assert {"202", "400", "401", "403", "408", "413", "415", "422", "503"} <= set(operation["responses"])
                assert operation["requestBody"]["content"], (method, path)
                assert operation["security"]


def _examples(document: dict[str, Any]) -> Iterator[tuple[str, str, str, dict[str, Any], Any]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            for media_type, content in operation.get("requestBody", {}).get("content", {}).items():
                for example in content["examples"].values():
                    yield method, path, media_type, content["schema"], example["value"]


@SERVICES
async def test_every_example_fits_its_schema_and_can_be_sent(
    edge_settings: Settings, call: Call, service: Service
) -> None:
    app = _app(service, edge_settings)
    document = app.openapi()
    sent = 0
    async with call(app) as http:
        for method, path, media_type, schema, example in _examples(document):
            Draft202012Validator({**schema, "components": document["components"]}).validate(example)
            body = example
            if isinstance(example, dict) and "specversion" not in example:
                body = {"time": "2026-03-02T09:30:00Z", **example}
            answer = await http.request(
                method,
                path.format(order_id="order-1001"),
                content=json.dumps(body),
                headers={"content-type": media_type},
            )
            assert answer.status_code == 503, (path, answer.text)
            sent += 1
    assert sent > 20


@SERVICES
async def test_answers_are_as_described(edge_settings: Settings, call: Call, service: Service) -> None:
    app = _app(service, edge_settings)
    document = app.openapi()

    def check(name: str, value: Any) -> None:
        schema = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
        Draft202012Validator(schema).validate(value)

    headers = {"content-type": "application/cloudevents-batch+json"}
    async with call(app) as http:
        check("Answer", (await http.post("/v1/events", content="[]", headers=headers)).json())
        check("NoneTaken", (await http.post("/v1/events", content="[{}]", headers=headers)).json())
        check("Problem", (await http.post("/v1/events", content="[{]", headers=headers)).json())
        check("Problem", (await http.get("/nowhere")).json())
