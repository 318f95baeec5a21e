"""The kinds of faults: what is done to the platform, and for how long."""

import asyncio
import random
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from chaos.stage import BROKER, EDGES, ENGINE, STEPPING, WORKERS, Stage
from milepost.store import tables
from support.fault_proxy import (
    Exchange,
    Request,
    Treatment,
    busy,
    cut,
    everything,
    forward,
    inserts,
    late,
    lose_answer,
    silence,
)

MINUTE_SECONDS = 60.0
SESSION_SECONDS = 10.0
"""After so long without a heartbeat a worker is taken for dead."""
CAUGHT_SECONDS = 15.0
"""Longest wait for the flush that is to be caught in the middle."""

Strike = Callable[[Stage, random.Random, float], Awaitable[str]]


@dataclass(frozen=True)
class Fault:
    """A kind of fault. ``strike`` does it, lets it last for the seconds it is given, heals it, and says what it did.

    ``hold`` is how long it lasts, from and to. It has ended when ``strike`` returns.
    """

    name: str
    hold: tuple[float, float]
    strike: Strike
    needs_disk: bool = False


async def _worker_killed(stage: Stage, draws: random.Random, _hold: float) -> str:
    name = draws.choice(WORKERS)
    stage.kill(name)
    return name


async def _both_workers_killed(stage: Stage, draws: random.Random, _hold: float) -> str:
    stage.kill(*WORKERS)
    return "both"


async def _killed_between_inserts(stage: Stage, draws: random.Random, _hold: float) -> str:
    """The orders of a flush are stored; its KPI rows never are; whoever is left has other partitions beside them."""
    caught = asyncio.Event()

    async def hold(exchange: Exchange) -> None:
        caught.set()
        await cut(exchange)

    victims = list(WORKERS) if draws.random() < 0.5 else [draws.choice(WORKERS)]
    with stage.proxy.ruled(inserts(hold, tables.KPIS.name)):
        async with asyncio.timeout(CAUGHT_SECONDS):
            await caught.wait()
        stage.kill(*victims)
    return ", ".join(victims)


async def _broker_killed(stage: Stage, draws: random.Random, _hold: float) -> str:
    stage.kill(BROKER)
    return BROKER


async def _engine_killed(stage: Stage, draws: random.Random, _hold: float) -> str:
    stage.kill(ENGINE)
    return ENGINE


async def _engine_and_worker_killed(stage: Stage, draws: random.Random, _hold: float) -> str:
    name = draws.choice(WORKERS)
    stage.kill(ENGINE, name)
    return f"{ENGINE}, {name}"


async def _edge_killed(stage: Stage, draws: random.Random, _hold: float) -> str:
    name = draws.choice(EDGES)
    stage.kill(name)
    return name


async def _worker_frozen(stage: Stage, draws: random.Random, hold: float) -> str:
    """A zombie: it sleeps until others have its partitions, and wakes in the middle of what it was writing."""
    name = draws.choice(WORKERS)
    stage.signal(name, signal.SIGSTOP)
    try:
        await asyncio.sleep(hold)
    finally:
        stage.signal(name, signal.SIGCONT)
    return name


async def _frozen_while_writing(stage: Stage, draws: random.Random, hold: float) -> str:
    """A zombie whose KPI rows are on their way while others go on: they arrive when it has long been replaced."""
    caught = asyncio.Event()

    async def stop_here(exchange: Exchange) -> None:
        if caught.is_set():
            await forward(exchange)
            return
        caught.set()
        exchange.proxy.later(exchange.request, hold)
        await asyncio.sleep(hold)
        await cut(exchange)

    with stage.proxy.ruled(inserts(stop_here, tables.KPIS.name)):
        async with asyncio.timeout(CAUGHT_SECONDS):
            await caught.wait()
        # Whose insert it was is not told apart: both sleep, and one of them has it in hand.
        for name in WORKERS:
            stage.signal(name, signal.SIGSTOP)
        other = draws.choice(WORKERS)
        try:
            await asyncio.sleep(0.3)
            stage.signal(other, signal.SIGCONT)
            await asyncio.sleep(hold)
        finally:
            for name in WORKERS:
                stage.signal(name, signal.SIGCONT)
    await stage.proxy.settle()
    return f"all but {other}"


async def _joins_and_leaves(stage: Stage, draws: random.Random, hold: float) -> str:
    await stage.third_worker()
    await asyncio.sleep(hold)
    kindly = draws.random() < 0.7
    await stage.third_worker_leaves(kindly=kindly)
    return "told to leave" if kindly else "killed"


async def _leaves_and_returns(stage: Stage, draws: random.Random, _hold: float) -> str:
    name = draws.choice(WORKERS)
    stage.signal(name, signal.SIGTERM)
    return name


async def _refusing(stage: Stage, draws: random.Random, hold: float) -> str:
    await stage.proxy.refuse(hold)
    return f"{hold:.0f} s"


def _treated(treatment: Treatment, *names: str) -> Strike:
    rule = inserts(treatment, *names) if names else everything(treatment)

    async def strike(stage: Stage, draws: random.Random, hold: float) -> str:
        before = stage.proxy.struck
        with stage.proxy.ruled(rule):
            await asyncio.sleep(hold)
        return f"{stage.proxy.struck - before} requests in {hold:.0f} s"

    return strike


async def _answers_lost(stage: Stage, draws: random.Random, hold: float) -> str:
    """Each insert is stored or not as luck has it, and nobody is told."""
    before = stage.proxy.struck

    def rule(request: Request) -> Treatment:
        return draws.choice((lose_answer, lose_answer, cut, forward)) if request.table else forward

    with stage.proxy.ruled(rule):
        await asyncio.sleep(hold)
    return f"{stage.proxy.struck - before} requests in {hold:.0f} s"


async def _arriving_late(stage: Stage, draws: random.Random, hold: float) -> str:
    """Inserts whose sender has given them up arrive all the same, after later ones."""
    before = stage.proxy.struck

    def rule(request: Request) -> Treatment:
        return late(draws.uniform(0.5, hold)) if request.table and draws.random() < 0.6 else forward

    with stage.proxy.ruled(rule):
        await asyncio.sleep(hold)
    await stage.proxy.settle()
    return f"{stage.proxy.struck - before} requests in {hold:.0f} s"


async def _disk_full(stage: Stage, draws: random.Random, hold: float) -> str:
    await asyncio.to_thread(stage.disk.fill)
    try:
        await asyncio.sleep(hold)
    finally:
        stage.disk.free()
    return f"{hold:.0f} s"


async def _disk_read_only(stage: Stage, draws: random.Random, hold: float) -> str:
    stage.disk.seal()
    try:
        await asyncio.sleep(hold)
    finally:
        stage.disk.unseal()
    return f"{hold:.0f} s"


async def _broker_unreachable(stage: Stage, draws: random.Random, hold: float) -> str:
    """Connections are taken and nothing ever comes back."""
    stage.signal(BROKER, signal.SIGSTOP)
    try:
        await asyncio.sleep(hold)
    finally:
        stage.signal(BROKER, signal.SIGCONT)
    return f"{hold:.0f} s"


async def _clock_steps_back(stage: Stage, draws: random.Random, hold: float) -> str:
    # Back from where the step before has left it: from now on it never goes forward faster than time does.
    seconds = draws.choice((90, 3_600, 86_400))
    stage.step_back(seconds)
    await asyncio.sleep(hold)
    return f"{STEPPING} by {seconds} s"


BROKER_UNREACHABLE = "broker unreachable"

FAULTS: tuple[Fault, ...] = (
    Fault("kill -9 of a worker", (0, 0), _worker_killed),
    Fault("kill -9 of both workers", (0, 0), _both_workers_killed),
    Fault("kill -9 between the two inserts of a flush", (0, 2), _killed_between_inserts),
    Fault("kill -9 of the broker", (0, 0), _broker_killed),
    Fault("kill -9 of the ClickHouse engine", (0, 0), _engine_killed),
    Fault("kill -9 of the engine and a worker", (0, 0), _engine_and_worker_killed),
    Fault("kill -9 of an edge service", (0, 0), _edge_killed),
    Fault("a worker frozen past its session", (SESSION_SECONDS + 1.5, SESSION_SECONDS + 5), _worker_frozen),
    Fault(
        "a worker frozen with its insert on the way",
        (SESSION_SECONDS + 1.5, SESSION_SECONDS + 4),
        _frozen_while_writing,
    ),
    Fault("a third worker joins and leaves", (2, 4), _joins_and_leaves),
    Fault("a worker leaves and comes back", (0, 0), _leaves_and_returns),
    Fault("ClickHouse refuses connections", (2, 6), _refusing),
    Fault("ClickHouse answers 503", (2, 6), _treated(busy)),
    Fault("ClickHouse never answers", (2, 5), _treated(silence)),
    Fault("ClickHouse fails between the two inserts", (2, 5), _treated(cut, tables.KPIS.name)),
    Fault("answers of inserts lost", (3, 6), _answers_lost),
    Fault("inserts arrive late, out of order", (3, 6), _arriving_late),
    Fault("the engine's disk full", (3, 6), _disk_full, needs_disk=True),
    Fault("the engine's disk read-only", (3, 6), _disk_read_only, needs_disk=True),
    Fault(BROKER_UNREACHABLE, (8, 14), _broker_unreachable),
    Fault("a worker's clock steps back", (2, 4), _clock_steps_back),
)
