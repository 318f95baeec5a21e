"""The campaign: round after round a block of known truth, a fault in its middle, and the time until all is right."""

import asyncio
import random
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import msgspec

from chaos.blocks import Block, Row
from chaos.faults import BROKER_UNREACHABLE, FAULTS, MINUTE_SECONDS, Fault
from chaos.promises import Promises
from chaos.stage import EDGES, WORKERS, Stage
from milepost.reading.kpis import answer
from milepost.reading.question import ask
from milepost.store.client import Store, reader
from milepost.store.errors import StoreError
from support.spine import differences

BLOCK_ORDERS = 150
TRICKLE_ORDERS_A_ROUND = 25
ROUND_SECONDS = 12.0
LEAST_SENDING_SECONDS = 4.5
LOOK_SECONDS = 0.25
GIVE_UP_SECONDS = 240.0
"""After so long a block that is not right will not be."""


@dataclass
class Round:
    """What came of one fault."""

    number: int
    fault: str
    what: str
    seconds: float
    """From the end of the fault, or from the last acknowledgement where that was later, until every KPI was right."""
    wrong: list[str] = field(default_factory=list)
    """What was still not right when it was given up."""
    wavered: list[str] = field(default_factory=list)
    """Numbers that had been right and were wrong for a while."""


@dataclass(frozen=True)
class Plan:
    """What a campaign is: the same plan draws the same faults, targets and moments."""

    seed: str
    faults: int
    limit_seconds: float = 30.0
    minute_outages: int = 0
    kinds: tuple[str, ...] = ()

    def chosen(self, absent: Callable[[Fault], str | None]) -> list[tuple[Fault, float]]:
        """The faults in their order, each with how long it lasts: all kinds before any comes again."""
        draws = random.Random(f"{self.seed}/plan")
        able = [fault for fault in FAULTS if absent(fault) is None and (not self.kinds or fault.name in self.kinds)]
        found: list[tuple[Fault, float]] = []
        minutes = self.minute_outages
        while len(found) < self.faults:
            cycle = list(able)
            draws.shuffle(cycle)
            for fault in cycle:
                hold = draws.uniform(*fault.hold)
                if fault.name == BROKER_UNREACHABLE and minutes > 0:
                    minutes, hold = minutes - 1, MINUTE_SECONDS
                found.append((fault, hold))
        return found[: self.faults]


class Campaign:
    """Runs a plan on a stage; afterwards ``rounds`` and ``blocks`` hold what there is to judge."""

    def __init__(self, plan: Plan, stage: Stage, say: Callable[[str], None]) -> None:
        self.plan = plan
        self.rounds: list[Round] = []
        self.blocks: dict[int, Block] = {}
        self.trickle = Block("trickle", max(50, plan.faults * TRICKLE_ORDERS_A_ROUND), f"{plan.seed}-trickle")
        self.waits: dict[str, int] = {}
        self.promises = Promises(self._waiting)
        self._stage = stage
        self._say = say
        self._draws = random.Random(f"{plan.seed}/strikes")

    async def run(self) -> None:
        """All rounds, with the trickle beside them, until everything has been acknowledged."""
        chosen = self.plan.chosen(lambda fault: self._stage.disk.absent if fault.needs_disk else None)
        seconds = ROUND_SECONDS * len(chosen)
        trickle = asyncio.create_task(self.trickle.send(self._stage.edges, seconds, self._waiting))
        promised: list[asyncio.Task[None]] = []
        with reader(self._stage.settings) as store:
            for number, (fault, hold) in enumerate(chosen, 1):
                edge = self._stage.edges[number % len(self._stage.edges)]
                promised.append(asyncio.create_task(self.promises.make(edge, number)))
                await self._round(store, number, fault, hold)
            if trickle.done():
                trickle.result()
            self._say("the trickle comes to its end")
            await trickle
            await asyncio.gather(*promised)
            began = max(time.monotonic(), self.trickle.last_acknowledged)
            found = await self._until_right(store, self.trickle, began)
            if found.wrong:
                self._say(f"  the trickle is NOT right: {found.wrong[:3]}")
            await self._until_told(store)

    async def _until_told(self, store: Store) -> None:
        """Wait until all that is to be said of the promises is said, as long as may be."""
        deadline = time.monotonic() + self.plan.limit_seconds
        while time.monotonic() < deadline:
            try:
                if not await asyncio.to_thread(self.promises.faults, self._stage.settings, store):
                    return
            except StoreError as error:
                self._say(f"    the store cannot be asked: {error}")
            await asyncio.sleep(4 * LOOK_SECONDS)

    async def _round(self, store: Store, number: int, fault: Fault, hold: float) -> None:
        block = self.blocks[number] = Block(f"r{number:03d}", BLOCK_ORDERS, f"{self.plan.seed}-{number}", number)
        moment = self._draws.uniform(0.8, 2.2)
        sending = asyncio.create_task(
            block.send(self._stage.edges, max(LEAST_SENDING_SECONDS, moment + hold + 1.5), self._waiting)
        )
        wavered: list[str] = []
        watching = asyncio.create_task(self._watch(store, number - 1, wavered))
        await asyncio.sleep(moment)
        try:
            self._say(f"{number:4d}  {fault.name}")
            what = await fault.strike(self._stage, self._draws, hold)
        except TimeoutError:
            what = "did not catch it in the middle"
        ended = time.monotonic()
        await sending
        found = await self._until_right(store, block, max(ended, block.last_acknowledged))
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        found = Round(number, fault.name, what, found.seconds, found.wrong, wavered)
        self.rounds.append(found)
        remark = ""
        if found.seconds > self.plan.limit_seconds:
            remark = f"  LATE {found.wrong[:3]}"
        if wavered:
            remark += f"  WAVERED {wavered[:3]}"
        self._say(f"{number:4d}  {what}: right after {found.seconds:.1f} s{remark}")
        try:
            async with asyncio.timeout(GIVE_UP_SECONDS):
                await self._stage.ready(*EDGES, *WORKERS)
        except TimeoutError:
            found.wrong.append(f"not every service is ready again after {GIVE_UP_SECONDS:.0f} s")
            self._say(f"      {found.wrong[-1]}")

    async def _until_right(self, store: Store, block: Block, since: float) -> Round:
        wrong = ["not looked at"]
        while time.monotonic() - since < GIVE_UP_SECONDS:
            try:
                wrong = await asyncio.to_thread(wrong_in, store, [block])
            except StoreError as error:
                wrong = [str(error)]
            if not wrong:
                break
            await asyncio.sleep(LOOK_SECONDS)
        return Round(0, "", "", max(0.0, time.monotonic() - since), wrong)

    async def _watch(self, store: Store, number: int, wavered: list[str]) -> None:
        """A block that was right stays so at every moment at which the numbers can be asked for."""
        if number not in self.blocks or self.rounds[number - 1].wrong:
            return
        while True:
            await asyncio.sleep(4 * LOOK_SECONDS)
            try:
                wavered += await asyncio.to_thread(wrong_in, store, [self.blocks[number]])
            except StoreError:
                continue

    def _waiting(self, why: str) -> None:
        if why not in self.waits:
            self._say(f"    a sender waits: {why}")
        self.waits[why] = self.waits.get(why, 0) + 1


def wrong_in(store: Store, blocks: Sequence[Block]) -> list[str]:
    """Where the KPIs of ``blocks``, by hub, are not what is true. Raises ``StoreError`` where nobody can tell."""
    hubs = [f"hub_id={hub}" for block in blocks for hub in block.hubs]
    return differences(asked(store, hubs), [row for block in blocks for row in block.truth])


def asked(store: Store, where: Iterable[str] = ()) -> list[Row]:
    """All KPIs by hub, of all time."""
    now = datetime.now(UTC)
    found = answer(store, ask(now, window="all", by=["hub_id"], where=where), now)
    rows: list[Row] = msgspec.json.decode(msgspec.json.encode(found))["rows"]
    return rows
