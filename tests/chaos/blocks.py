"""Load with a known truth: city blocks, each a small simulated city whose hubs, couriers and orders are its own."""

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

from milepost.domain.kpis import DAY_US
from milepost.edge.client import EdgeClient
from milepost.simulator.files import parse_moment
from milepost.simulator.simulation import Options, simulate
from milepost.simulator.truth import Truth

Row = dict[str, Any]
Identity = tuple[str, str, str]
"""Subject, source and id."""

BATCH = 25
HUBS = 2
START = parse_moment("2026-03-02T00:00:00Z")
RESEND_SECONDS = 900.0
"""How long a sender goes on sending the same batch again."""
_NAMES = (b"hub-", b"courier-", b"route-")


class RefusedError(RuntimeError):
    """The edge refused what it should take: the campaign itself is at fault."""


class Block:
    """Its events, in the order they are sent, and what is true of it once all are acknowledged."""

    def __init__(self, name: str, orders: int, seed: str, day: int = 0) -> None:
        """``day`` is the simulated day it lies in: where all lay in one, each flush would have to know all that was
        ever sent, and the campaign would slow down by itself.
        """
        truth = Truth()
        options = Options(
            orders=orders,
            seed=seed,
            start=START + day * DAY_US,
            hubs=HUBS,
            days=0.4,
            conflicts=False,
            order_prefix=f"{name}-o",
        )
        self.name = name
        self.events = [_of_block(payload, name.encode()) for payload in simulate(options, truth)]
        rows = truth.result()["by"]["hub_id"]
        self.truth: list[Row] = [
            {**row, "dimensions": {**row["dimensions"], "hub_id": f"{name}-{row['dimensions']['hub_id']}"}}
            for row in rows
        ]
        self.hubs = sorted({row["dimensions"]["hub_id"] for row in self.truth})
        self.acknowledged: set[Identity] = set()
        self.last_acknowledged = 0.0

    async def send(self, edges: list[str], seconds: float, waiting: Callable[[str], None]) -> None:
        """Send everything to ``edges`` in turn, evenly over ``seconds``, each batch until it is acknowledged."""
        batches = [self.events[start : start + BATCH] for start in range(0, len(self.events), BATCH)]
        pace = seconds / max(1, len(batches))
        began = time.monotonic()
        async with asyncio.TaskGroup() as lanes:
            for lane, edge in enumerate(edges):
                mine = [(number * pace + began, batch) for number, batch in enumerate(batches)][lane :: len(edges)]
                lanes.create_task(self._lane(edge, mine, waiting))

    async def _lane(self, edge: str, batches: list[tuple[float, list[bytes]]], waiting: Callable[[str], None]) -> None:
        async with EdgeClient(edge, retry_seconds=RESEND_SECONDS, waiting=waiting) as client:
            for due, batch in batches:
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                answer = await client.post(batch)
                if answer.refused or answer.accepted != len(batch):
                    raise RefusedError(f"{edge} refused events of block {self.name}: {answer.refused[:3]}")
                self.acknowledged.update(map(identity, batch))
                self.last_acknowledged = time.monotonic()


def _of_block(payload: bytes, name: bytes) -> bytes:
    for kind in _NAMES:
        payload = payload.replace(b'"' + kind, b'"' + name + b"-" + kind)
    return payload


def identity(payload: bytes) -> Identity:
    """Whose event it is."""
    event = json.loads(payload)
    return event["subject"], event["source"], event["id"]
