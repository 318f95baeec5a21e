"""The REST forms of the five services: paths, pointers, idempotency keys."""

import importlib
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from milepost.edge.forms import RETRACTION, Form
from milepost.edge.openapi import form_examples
from milepost.settings import EDGE_SERVICES, Settings

Call = Callable[..., httpx.AsyncClient]


def _forms() -> Iterator[tuple[str, Form]]:
    for service in EDGE_SERVICES:
        module = importlib.import_module(f"milepost.{service.value}.app")
        yield from ((service.value, form) for form in (*module.FORMS, RETRACTION))


def _app(service: str, settings: Settings) -> FastAPI:
    app: FastAPI = importlib.import_module(f"milepost.{service}.app").create_app(settings)
    return app


FORMS = pytest.mark.parametrize(
    ("service", "form"),
    list(_forms()),
    ids=lambda value: value if isinstance(value, str) else f"{value.method} {value.path}",
)


def test_the_forms_are_those_of_the_contract() -> None:
    assert {(service, form.method, form.path) for service, form in _forms() if form is not RETRACTION} == {
        ("orders", "POST", "/v1/orders"),
        ("orders", "PUT", "/v1/orders/{order_id}/promise"),
        ("orders", "POST", "/v1/orders/{order_id}/cancellation"),
        ("dispatch", "POST", "/v1/orders/{order_id}/ready"),
        ("dispatch", "POST", "/v1/orders/{order_id}/assignment"),
        ("dispatch", "DELETE", "/v1/orders/{order_id}/assignment"),
        ("dispatch", "POST", "/v1/orders/{order_id}/departure"),
        ("deliveries", "POST", "/v1/orders/{order_id}/pickup"),
        ("deliveries", "POST", "/v1/orders/{order_id}/eta"),
        ("deliveries", "POST", "/v1/orders/{order_id}/arrival"),
        ("deliveries", "POST", "/v1/orders/{order_id}/failed-attempts"),
        ("deliveries", "POST", "/v1/orders/{order_id}/delivery"),
        ("deliveries", "POST", "/v1/orders/{order_id}/return"),
        ("deliveries", "POST", "/v1/orders/{order_id}/loss"),
        ("feedback", "POST", "/v1/orders/{order_id}/feedback"),
        ("feedback", "POST", "/v1/orders/{order_id}/feedback-request"),
        ("costs", "POST", "/v1/costs"),
    }


@FORMS
async def test_the_examples_of_a_form_pass_every_check(
    edge_settings: Settings, call: Call, service: str, form: Form
) -> None:
    async with call(_app(service, edge_settings)) as http:
        for body in form_examples(form):
            # The examples' promises lie in March 2026, so their events must not happen at the moment of receipt.
            answer = await http.request(
                form.method, form.path.format(order_id="order-1001"), json={"time": "2026-03-02T09:30:00Z", **body}
            )
            assert answer.status_code == 503, answer.text


@FORMS
async def test_a_bad_body_is_answered_with_pointers_into_itself(
    edge_settings: Settings, call: Call, service: str, form: Form
) -> None:
    body = {**form_examples(form)[0], "time": "yesterday", "ext": 5}
    async with call(_app(service, edge_settings)) as http:
        answer = await http.request(form.method, form.path.format(order_id="order-1001"), json=body)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert {error["pointer"] for error in answer.json()["errors"]} == {"/time", "/ext"}


async def _errors(http: httpx.AsyncClient, method: str, path: str, **options: Any) -> set[str]:
    answer = await http.request(method, path, **options)
    assert answer.status_code == 422, answer.text
    return {error["pointer"] for error in answer.json()["errors"]}


async def test_an_order_needs_its_fields(http: httpx.AsyncClient) -> None:
    found = await _errors(http, "POST", "/v1/orders", json={})
    assert found == {"/order_id", "/hub_id", "/promised_until", "/lines"}


async def test_an_order_id_in_the_body_must_be_the_one_in_the_path(http: httpx.AsyncClient) -> None:
    body = {"requested_by": "customer", "order_id": "o-1"}
    assert await _errors(http, "POST", "/v1/orders/o-2/cancellation", json=body) == {"/order_id"}
    assert (await http.post("/v1/orders/o-1/cancellation", json=body)).status_code == 503


@pytest.mark.parametrize("order_id", ["a%20b", "x" * 129, "%0A", "caf%C3%A9"])
async def test_a_path_that_names_no_possible_order_is_refused(http: httpx.AsyncClient, order_id: str) -> None:
    path = f"/v1/orders/{order_id}/cancellation"
    assert await _errors(http, "POST", path, json={"requested_by": "customer"}) == {"/order_id"}


async def test_a_promise_before_its_own_beginning_is_refused(http: httpx.AsyncClient) -> None:
    body = {
        "time": "2026-03-02T09:00:00Z",
        "promised_from": "2026-03-02T15:00:00Z",
        "promised_until": "2026-03-02T14:00:00Z",
        "requested_by": "customer",
    }
    assert await _errors(http, "PUT", "/v1/orders/o-1/promise", json=body) == {"/promised_until"}


@pytest.mark.parametrize("body", ["[]", "5", "null", '"text"'])
async def test_a_body_that_is_no_object_is_refused(http: httpx.AsyncClient, body: str) -> None:
    headers = {"content-type": "application/json"}
    assert await _errors(http, "POST", "/v1/orders", content=body, headers=headers) == {""}


async def test_a_form_reads_json_only(http: httpx.AsyncClient) -> None:
    answer = await http.post("/v1/orders", content="{}", headers={"content-type": "application/cloudevents+json"})
    assert answer.status_code == 415


async def test_a_body_may_be_left_out_where_the_path_says_all(edge_settings: Settings, call: Call) -> None:
    async with call(_app("dispatch", edge_settings)) as http:
        assert (await http.post("/v1/orders/o-1/ready")).status_code == 503
        assert (await http.delete("/v1/orders/o-1/assignment")).status_code == 503
        assert (await http.delete("/v1/orders/o-1/assignment?reason=shift%20ended")).status_code == 503
        assert await _errors(http, "DELETE", f"/v1/orders/o-1/assignment?reason={'x' * 4001}") == {"/reason"}
        assert await _errors(http, "POST", "/v1/orders/o-1/assignment") == {"/courier_id"}


@pytest.mark.parametrize("key", ["", "a b", "x" * 256])
async def test_an_idempotency_key_that_is_none_is_refused(http: httpx.AsyncClient, key: str) -> None:
    found = await _errors(
        http, "POST", "/v1/orders/o-1/cancellation", json={"requested_by": "customer"}, headers={"idempotency-key": key}
    )
    assert found == {"/headers/idempotency-key"}


async def test_a_key_of_another_request_is_refused(http: httpx.AsyncClient) -> None:
    path, headers = "/v1/orders/o-1/cancellation", {"idempotency-key": "k-1"}
    assert (await http.post(path, json={"requested_by": "customer"}, headers=headers)).status_code == 503
    assert (await http.post(path, json={"requested_by": "customer"}, headers=headers)).status_code == 503
    assert await _errors(http, "POST", path, json={"requested_by": "carrier"}, headers=headers) == {
        "/headers/idempotency-key"
    }


async def test_a_key_may_be_used_again_after_a_refusal(http: httpx.AsyncClient) -> None:
    path, headers = "/v1/orders/o-1/cancellation", {"idempotency-key": "k-1"}
    assert await _errors(http, "POST", path, json={"requested_by": "nobody"}, headers=headers) == {"/requested_by"}
    assert (await http.post(path, json={"requested_by": "customer"}, headers=headers)).status_code == 503


async def test_a_cost_of_a_hub_alone_is_taken(edge_settings: Settings, call: Call) -> None:
    cost = {"cost_id": "c-1", "hub_id": "h-1", "component": "fuel", "amount": "-12.40", "currency": "EUR"}
    async with call(_app("costs", edge_settings)) as http:
        assert (await http.post("/v1/costs", json=cost)).status_code == 503
        assert await _errors(http, "POST", "/v1/costs", json={**cost, "currency": "BRL"}) == {"/currency"}
        assert await _errors(http, "POST", "/v1/costs", json={**cost, "amount": "0.00001"}) == {"/amount"}
        del cost["hub_id"]
        assert await _errors(http, "POST", "/v1/costs", json=cost) == {"/hub_id"}


async def test_a_retraction_needs_the_subject_of_what_it_retracts(http: httpx.AsyncClient) -> None:
    body = {"retracts": {"source": "/shop", "id": "e-1"}, "reason": "did_not_occur"}
    assert await _errors(http, "POST", "/v1/retractions", json=body) == {"/subject"}
    assert (await http.post("/v1/retractions", json={**body, "subject": "o-1"})).status_code == 503
