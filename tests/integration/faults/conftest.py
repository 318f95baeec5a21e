"""Faults made one by one, at the moment they hurt most: what the campaign does by chance."""

from collections.abc import AsyncIterator

import pytest
from fault_proxy import FaultProxy

from milepost.settings import Service, Settings

from ..processor.conftest import database, log, parts, store  # noqa: F401, TID252 - the same workers over the same logs


@pytest.fixture
async def proxy(settings: Settings) -> AsyncIterator[FaultProxy]:
    """What stands between a worker and the session's engine."""
    async with FaultProxy(settings.port_of(Service.CLICKHOUSE)) as one:
        yield one
