"""Whatever is sent, the answer is one of those described: never an error of ours."""

import copy
import json
import random
from collections.abc import Callable
from typing import Any

import httpx

from milepost.contracts.catalogue import example_events
from milepost.edge.openapi import form_examples
from milepost.orders.app import FORMS, create_app
from milepost.settings import Settings

DESCRIBED = {202, 207, 400, 403, 408, 413, 415, 422, 503}
EXAMPLES = example_events()
ODD: list[Any] = [
    None, True, -1, 0, 1e300, 10**30, "", "\0", "\ud7ff", "x" * 300, [], {}, [[]], [{}], {"a": None},
    "0001-01-01T00:00:00+10:00", "9999-12-31T23:59:59-10:00", "NaN", "1e999", "٣", "\u202e", "a\nb",
]  # fmt: skip


def _spoilt(document: Any, chance: random.Random) -> Any:
    """``document`` with a value somewhere in it replaced, taken out or put in."""
    document = copy.deepcopy(document)
    container = document
    while True:
        keys = list(container) if isinstance(container, dict) else list(range(len(container)))
        if not keys:
            break
        key = chance.choice(keys)
        inner = container[key]
        if isinstance(inner, dict | list) and inner and chance.random() < 0.7:
            container = inner
            continue
        if isinstance(container, dict) and chance.random() < 0.3:
            del container[key]
        else:
            container[key] = copy.deepcopy(chance.choice(ODD))
        break
    return document


async def test_spoilt_events_and_bytes(edge_settings: Settings, call: Callable[..., httpx.AsyncClient]) -> None:
    chance = random.Random(11)
    types = ["application/cloudevents+json", "application/cloudevents-batch+json", "application/json"]
    answers = []
    async with call(create_app(edge_settings)) as http:
        for number in range(600):
            event = chance.choice(EXAMPLES)
            for _ in range(chance.randint(1, 3)):
                event = _spoilt(event, chance)
            body = json.dumps([event, chance.choice(EXAMPLES)] if number % 3 == 0 else event).encode()
            if number % 5 == 0:
                place = chance.randrange(len(body))
                body = body[:place] + chance.choice([b"\xff", b'"', b"\\", b"[" * 2000, b"}", b"\0"]) + body[place:]
            answer = await http.post("/v1/events", content=body, headers={"content-type": chance.choice(types)})
            answers.append(answer.status_code)
            assert answer.status_code in DESCRIBED, body
            answer.json()
    assert len(set(answers)) >= 3


async def test_spoilt_forms(edge_settings: Settings, call: Callable[..., httpx.AsyncClient]) -> None:
    chance = random.Random(12)
    async with call(create_app(edge_settings)) as http:
        for _ in range(300):
            form = chance.choice(FORMS)
            body = {**form_examples(form)[0], "time": "2026-03-02T09:30:00Z", "id": "e-1", "source": "/s"}
            for _ in range(chance.randint(1, 3)):
                body = _spoilt(body, chance) or {}
            headers = {"content-type": "application/json", "idempotency-key": chance.choice(["k", "k2", "", "\x7f"])}
            answer = await http.request(
                form.method, form.path.format(order_id="o-1"), content=json.dumps(body).encode(), headers=headers
            )
            assert answer.status_code in DESCRIBED, body


async def test_spoilt_headers_of_binary_mode(edge_settings: Settings, call: Callable[..., httpx.AsyncClient]) -> None:
    chance = random.Random(13)
    async with call(create_app(edge_settings)) as http:
        for _ in range(300):
            event = chance.choice(EXAMPLES)
            headers = {
                b"ce-" + name.encode(): str(event[name]).encode()
                for name in ("specversion", "id", "source", "type", "time", "subject")
            }
            headers[chance.choice([*headers, b"ce-data", b"ce-testmode", b"ce-datacontenttype", b"ce-"])] = (
                chance.choice([b"", b"%", b"%ff", b"%00", b"\xff\xfe", b'"', b'"\\', b"true", b"{}", b"a,b"])
            )
            headers[b"content-type"] = b"application/json"
            answer = await http.post("/v1/events", content=json.dumps(event["data"]), headers=list(headers.items()))
            assert answer.status_code in DESCRIBED, headers
