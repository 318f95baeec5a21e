"""An edge service in this process, with no broker: whatever passes every check is answered 503."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from milepost.access.keys import KeyFile, Right, new_key, read_keys, write_keys
from milepost.orders.app import create_app
from milepost.settings import Settings

NO_BROKER = "127.0.0.1:1"


@pytest.fixture
def edge_settings(tmp_path: Path) -> Settings:
    """Settings without a broker and without keys."""
    return Settings(kafka=NO_BROKER, currency="EUR", max_body_bytes=200_000, max_batch_events=50)


@pytest.fixture
def call() -> Callable[..., httpx.AsyncClient]:
    """A client of an app; ``client`` is the caller's address."""

    def make(app: FastAPI, client: tuple[str, int] = ("127.0.0.1", 5000), **options: Any) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(app=app, client=client, raise_app_exceptions=False)
        return httpx.AsyncClient(transport=transport, base_url="http://localhost", **options)

    return make


@pytest.fixture
async def http(edge_settings: Settings, call: Callable[..., httpx.AsyncClient]) -> AsyncIterator[httpx.AsyncClient]:
    """A caller on this machine, at the orders service."""
    async with call(create_app(edge_settings)) as client:
        yield client


@pytest.fixture
def add_key(tmp_path: Path) -> Callable[..., str]:
    """Adds a key to the file ``keys.json`` of the test's folder and gives it."""
    path = tmp_path / "keys.json"
    write_keys(path, KeyFile())

    def add(name: str, *rights: Right, prefix: str = "/shop", merchant: str | None = None) -> str:
        key, stored = new_key(name, rights, prefix, merchant)
        write_keys(path, KeyFile((*read_keys(path).keys, stored)))
        return key

    return add
