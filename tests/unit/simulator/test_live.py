import json
from datetime import datetime
from itertools import pairwise
from typing import Any

import httpx
import pytest

from milepost.simulator.draws import MINUTE
from milepost.simulator.files import parse_moment
from milepost.simulator.live import LiveCity, LiveOptions, Post, RefusedError, UnknownHubError

NOW = parse_moment("2026-11-01T09:30:00Z")


def _city(**changes: Any) -> LiveCity:
    return LiveCity(LiveOptions(**{"edge": "http://edge", "warm_up": 90.0, "hubs": 3, **changes}), NOW)


def _moment(event: dict[str, Any]) -> int:
    return int(datetime.fromisoformat(event["time"]).timestamp() * 1_000_000)


@pytest.mark.parametrize("speed", [1.0, 30.0])
def test_no_live_event_lies_in_the_future(speed: float) -> None:
    city = _city(speed=speed)
    for now in (NOW, NOW + MINUTE, NOW + 5 * MINUTE):
        events = [json.loads(payload) for payload in city.until(now)]
        assert events
        assert all(_moment(event) <= now for event in events)


def test_the_warm_up_holds_finished_orders_and_life_goes_on_from_there() -> None:
    city = _city()
    history = [json.loads(payload) for payload in city.until(NOW)]
    assert sum(event["type"].endswith("delivered.v1") for event in history) > 500
    going_on = [json.loads(payload) for payload in city.until(NOW + MINUTE)]
    placed = [event for event in going_on if event["type"].endswith("placed.v1")]
    assert 10 < len(placed) < 60


def test_a_second_city_has_orders_of_its_own() -> None:
    options = LiveOptions(edge="http://edge", warm_up=5.0)
    first = {json.loads(payload)["subject"] for payload in LiveCity(options, NOW).until(NOW)}
    second = {json.loads(payload)["subject"] for payload in LiveCity(options, NOW + MINUTE).until(NOW + MINUTE)}
    assert not {subject for subject in first & second if subject.startswith("live-")}


def test_nothing_arrives_any_more_from_a_broken_hub() -> None:
    city = _city(broken_hub="hub-02")
    hub_of = {}

    def delivered(now: int) -> set[str]:
        hubs = set()
        for payload in city.until(now):
            event = json.loads(payload)
            if event["type"].endswith("placed.v1"):
                hub_of[event["subject"]] = event["data"]["hub_id"]
            if event["type"].endswith("delivered.v1"):
                hubs.add(hub_of.get(event["subject"]))
        return hubs

    assert "hub-02" in delivered(NOW)
    later = delivered(NOW + 20 * MINUTE)
    assert "hub-01" in later
    assert "hub-02" not in later


def test_a_hub_that_does_not_exist_cannot_be_broken() -> None:
    with pytest.raises(UnknownHubError, match="hub-01, hub-02, hub-03"):
        _city(broken_hub="hub-99")


def _post(answers: list[Any]) -> tuple[Post, list[bytes], list[float]]:
    bodies: list[bytes] = []
    waits: list[float] = []

    def answer(request: httpx.Request) -> httpx.Response:
        bodies.append(request.content)
        assert request.headers["Authorization"] == "Bearer secret"
        found = answers.pop(0)
        if isinstance(found, Exception):
            raise found
        assert isinstance(found, httpx.Response)
        return found

    client = httpx.Client(transport=httpx.MockTransport(answer))
    return Post(client, "http://edge/", "secret", lambda _text: None, waits.append), bodies, waits


def test_the_same_batch_is_sent_again_until_it_is_taken() -> None:
    post, bodies, waits = _post(
        [
            httpx.Response(503, headers={"Retry-After": "3"}),
            httpx.ConnectError("away"),
            httpx.Response(202, json={"accepted": 2, "refused": []}),
        ]
    )
    post.send([b'{"id":"1"}', b'{"id":"2"}'])
    assert bodies == [b'[{"id":"1"},{"id":"2"}]'] * 3
    assert waits[0] == 3.0
    assert all(before <= after for before, after in pairwise(waits))
    assert (post.accepted, post.refused) == (2, 0)


def test_refused_events_are_counted_and_not_sent_again() -> None:
    post, bodies, _ = _post(
        [httpx.Response(207, json={"accepted": 1, "refused": [{"index": 1, "id": "2", "errors": []}]})]
    )
    post.send([b"{}", b"{}"])
    assert len(bodies) == 1
    assert (post.accepted, post.refused) == (1, 1)


def test_something_that_is_no_edge_is_named() -> None:
    post, _, _ = _post([httpx.Response(202, text="<html>")])
    with pytest.raises(RefusedError, match="not as an edge service does"):
        post.send([b"{}"])


def test_where_trying_again_cannot_help_it_gives_up() -> None:
    post, _, _ = _post([httpx.Response(401, text="no such key")])
    with pytest.raises(RefusedError, match="401: no such key"):
        post.send([b"{}"])
