"""Who gets to see the control room, how it is sent, and what it says while there is no store."""

import base64
from pathlib import Path
from typing import Any

import httpx
import pytest

from milepost.access.keys import KeyFile, Right, new_key, write_keys
from milepost.insights.app import create_app
from milepost.settings import Settings

NOBODY_THERE = "http://127.0.0.1:9"
PAGES = ("/", "/hub?id=a..b", "/orders", "/order?id=o-1")


def client(settings: Settings, address: str = "127.0.0.1") -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app=create_app(settings), client=(address, 1234))
    return httpx.AsyncClient(transport=transport, base_url="http://localhost")


def settings(**changes: Any) -> Settings:
    return Settings(clickhouse=NOBODY_THERE, **changes)


def basic(password: str, name: str = "anybody") -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()}


@pytest.mark.parametrize("path", PAGES)
async def test_without_a_store_a_page_says_so_and_shows_no_number(path: str) -> None:
    async with client(settings()) as room:
        told = await room.get(path)
    assert told.status_code == 503
    assert told.headers["content-type"].startswith("text/html")
    assert "The store is away" in told.text
    assert "cannot be reached" in told.text
    assert "<data" not in told.text


@pytest.mark.parametrize("path", [*PAGES, "/?window=2h", "/static/control-room.css", "/static/control-room.js"])
async def test_nothing_comes_from_elsewhere_nor_runs_inline(path: str) -> None:
    async with client(settings()) as room:
        told = await room.get(path)
    policy = told.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert told.headers["x-content-type-options"] == "nosniff"
    if told.headers["content-type"].startswith("text/html"):
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert told.headers["cache-control"] == "no-store"
        assert " style=" not in told.text
        assert "<style" not in told.text
        assert "http://" not in told.text.replace(NOBODY_THERE, "")
        assert "https://" not in told.text


async def test_without_keys_only_this_machine_sees_it() -> None:
    async with client(settings(), "192.0.2.1") as room:
        told = await room.get("/")
    assert told.status_code == 403
    assert told.headers["content-type"].startswith("text/html")
    assert "only callers on this machine" in told.text


async def test_a_link_from_elsewhere_opens_it_but_no_other_page_can_read_it() -> None:
    followed = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
    framed = {**followed, "sec-fetch-dest": "iframe"}
    fetched = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors", "sec-fetch-dest": "empty"}
    async with client(settings()) as room:
        assert (await room.get("/", headers=followed)).status_code == 503
        assert (await room.get("/", headers=framed)).status_code == 403
        assert (await room.get("/", headers=fetched)).status_code == 403
        # The way in for links is the page's, not the API's.
        assert (await room.get("/v1/kpis", headers=followed)).status_code == 403


async def test_with_keys_a_browser_is_asked_for_one_as_its_password(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    reading, stored = new_key("wall", (Right.READ,), "/wall")
    writing, other = new_key("shop", (Right.WRITE,), "/shop")
    write_keys(path, KeyFile((stored, other)))
    async with client(settings(keys=path)) as room:
        asked = await room.get("/")
        assert asked.status_code == 401
        assert asked.headers["www-authenticate"].startswith("Basic ")
        assert "milepost keys add" in asked.text
        assert (await room.get("/", headers=basic(reading))).status_code == 503
        assert (await room.get("/", headers={"Authorization": f"Bearer {reading}"})).status_code == 503
        wrong = await room.get("/", headers=basic(reading + "x"))
        assert (wrong.status_code, "unknown or revoked" in wrong.text) == (401, True)
        assert (await room.get("/", headers={"Authorization": "Basic !"})).status_code == 401
        assert (await room.get("/", headers=basic(writing))).status_code == 403
        # What a browser sends along by itself does not open the API.
        assert (await room.get("/v1/kpis", headers=basic(reading))).status_code == 401
        # The files have nothing in them that a key would guard.
        assert (await room.get("/static/control-room.css")).status_code == 200


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/?window=2h", "there are 1h, 24h, 7d"),
        ("/?tz=Atlantis", "there is no time zone"),
        ("/?tz=../../etc/passwd", "there is no time zone"),
        ("/orders?state=late", "there is no state"),
        ("/orders?state=open&cursor=%3Cscript%3E", "is not one that this service gave"),
    ],
)
async def test_what_cannot_be_asked_is_said_on_a_page(path: str, said: str) -> None:
    async with client(settings()) as room:
        told = await room.get(path)
    assert told.status_code == 422
    assert said in told.text


async def test_what_comes_in_by_the_address_is_escaped() -> None:
    nasty = "\"'><script>alert(1)</script>"
    async with client(settings()) as room:
        for path in ("/hub", "/order", "/orders"):
            for name in ("id", "window", "tz", "state", "hub_id", "cursor"):
                told = await room.get(path, params={"id": "x", name: nasty})
                assert "<script>alert" not in told.text
                assert "'><" not in told.text


async def test_only_its_own_files_are_served() -> None:
    async with client(settings()) as room:
        for name in ("routes.py", "..%2Froutes.py", "%2e%2e/routes.py", "nothing"):
            assert (await room.get(f"/static/{name}")).status_code == 404
