"""Bringing partitions' state back: where they stand, what is stored, and whether their numbers add up."""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from milepost.domain import facts as f
from milepost.domain.contributions import contributions, cost_contributions, totals
from milepost.domain.measures import INDEX, MEASURES
from milepost.domain.order import fold
from milepost.processor.patience import patiently
from milepost.processor.state.cells import STRETCH_MINUTES, Cells, Stretch
from milepost.processor.state.ledger import Account
from milepost.processor.state.loading import below, stretches
from milepost.processor.state.orders import OrderCache
from milepost.processor.state.partition import Partition
from milepost.processor.upkeep.rebuild import Rebuild
from milepost.processor.upkeep.tenure import Tenure, writers
from milepost.store import tables
from milepost.store.client import Row, Store

log = logging.getLogger(__name__)

SUBJECTS_A_PAGE = 200_000
COST = INDEX["cost"]

# Of all partitions at once: the tables are not ordered by partition, so each would read as much as all do.
_OURS = "partition IN {partitions:Array(UInt16)}"
_UP_TO_CUT = "version <= transform(partition, {partitions:Array(UInt16)}, {cuts:Array(UInt64)}, toUInt64(0))"
_CUTS = f"SELECT partition, max(version) FROM kpi_store WHERE grain = 'cut' AND {_OURS} GROUP BY partition"  # noqa: S608
_COUNTS = f"SELECT partition, count() FROM orders_store WHERE {_OURS} GROUP BY partition"  # noqa: S608
_SUBJECTS = f"""
SELECT order_id, partition FROM orders_store WHERE {_OURS} AND order_id > {{after:String}}
ORDER BY order_id LIMIT {{limit:UInt32}}
"""  # noqa: S608 - no outside value is put into the text
_ORDER_TOTALS = f"""
SELECT partition, arrayResize(sumForEach(measures), {len(MEASURES)}) FROM orders_store FINAL
WHERE {_OURS} AND {_UP_TO_CUT} GROUP BY partition
"""  # noqa: S608 - a number only; rows of an earlier release have fewer measures
_ORDERS_AHEAD = f"SELECT partition, facts FROM orders_store FINAL WHERE {_OURS} AND NOT {_UP_TO_CUT}"  # noqa: S608
_SUBJECTS_AHEAD = f"SELECT subject FROM ledger_store WHERE {_OURS} AND NOT {_UP_TO_CUT}"  # noqa: S608
_LEDGER_TOTALS = f"""
SELECT partition, sum(amount) FROM ledger_store FINAL
WHERE counted = 1 AND {_OURS} AND subject NOT IN ({_SUBJECTS_AHEAD}) GROUP BY partition
"""  # noqa: S608
_LEDGER_AHEAD = f"""
SELECT partition, subject, facts FROM ledger_store FINAL WHERE {_OURS} AND subject IN ({_SUBJECTS_AHEAD})
"""  # noqa: S608
_CELL_TOTALS = f"""
SELECT partition, toInt8(grain) AS g, {", ".join(f"sum({name})" for name in MEASURES)} FROM kpi_store FINAL
WHERE grain != 'cut' AND {_OURS} GROUP BY partition, g
"""  # noqa: S608 - measure names only


@dataclass
class _Stand:
    """What is stored of a partition: its cut, the stretches of its KPI rows, and whether these are its orders' sum."""

    cut: int
    orders: OrderCache
    stretches: list[Stretch] = field(default_factory=list)
    adds_up: bool = True
    tenure: Tenure = field(default_factory=Tenure)


Tell = Callable[[int, int], None]
"""Is told how many orders and KPI minutes were written anew."""


async def recover(
    store: Store, numbers: Sequence[int], siblings: int | None = None, tell: Tell = lambda orders, minutes: None
) -> list[Partition]:
    """The state of the partitions ``numbers`` at their cuts; one whose KPI rows are not the sum of its orders is
    rebuilt from its log first. ``siblings`` is how many partitions the topic has.
    """
    if not numbers:
        return []
    found = await patiently(_look, store, list(numbers))
    partitions = []
    for number in numbers:
        stand = found[number]
        partition = Partition(
            number, stand.cut, Cells(stand.stretches), stand.orders, siblings=siblings, tenure=stand.tenure
        )
        if not stand.adds_up:
            log.warning("partition %d: KPI rows and orders disagree at offset %d, rebuilding", number, stand.cut)
            await _mend(store, partition, tell)
        partitions.append(partition)
    return partitions


async def _mend(store: Store, partition: Partition, tell: Tell) -> None:
    async def insert(table: tables.Table, rows: list[Row]) -> None:
        await patiently(store.insert, table, rows, writes=True)

    rebuild = Rebuild(store, insert, partition)
    async for _ in rebuild.pages():
        pass
    tell(rebuild.found.changed, rebuild.found.minutes)
    partition.cells.reset(())
    if not all((await patiently(_add_up, store, {partition.number: partition.cut})).values()):
        log.error(
            "partition %d: KPI rows and orders still disagree: what is wrong lies in minutes that are frozen, "
            "for orders that counted in them have expired. It stays as it is",
            partition.number,
        )


def _look(store: Store, numbers: list[int]) -> dict[int, _Stand]:
    of_these = {"partitions": numbers}
    # First of all: what is written from here on is noticed.
    written = writers(store, numbers)
    cuts = dict.fromkeys(numbers, 0) | {row[0]: int(row[1]) for row in store.query(_CUTS, of_these)}
    counts: dict[int, int] = dict(store.query(_COUNTS, of_these))
    found = {number: _Stand(cuts[number], OrderCache((), counts.get(number, 0))) for number in numbers}
    for page in _pages(store, of_these):
        for subject, number in page:
            found[number].orders.know(subject)
    for number, right in _add_up(store, {number: cut for number, cut in cuts.items() if cut}).items():
        found[number].adds_up = right
    for number, stand in found.items():
        stand.tenure = Tenure.begin(written[number], stand.cut)
        stand.stretches = stretches(store, number)
        log.info("partition %d: %d orders stored, going on at offset %d", number, counts.get(number, 0), stand.cut)
    return found


def _pages(store: Store, of_these: dict[str, list[int]]) -> Iterator[list[Row]]:
    after = ""
    while page := store.query(_SUBJECTS, {**of_these, "after": after, "limit": SUBJECTS_A_PAGE}):
        yield page
        after = page[-1][0]


def _add_up(store: Store, cuts: dict[int, int]) -> dict[int, bool]:
    """By partition, whether the orders' measures, as of the cut, sum up to those of the KPI rows, in every grain."""
    if not cuts:
        return {}
    parameters = {"partitions": list(cuts), "cuts": list(cuts.values())}
    expected = {number: [0] * len(MEASURES) for number in cuts}

    def add(number: int, share: Sequence[int]) -> None:
        expected[number] = [one + other for one, other in zip(expected[number], share, strict=True)]

    for number, sums in store.query(_ORDER_TOTALS, parameters):
        add(number, list(sums))
    for number, facts in store.query(_ORDERS_AHEAD, parameters, binary=["facts"]):
        as_of_cut = below(cuts[number], facts)
        if as_of_cut:
            add(number, totals(contributions(fold(f.decode(as_of_cut)))))
    for number, amount in store.query(_LEDGER_TOTALS, parameters):
        expected[number][COST] += amount
    accounts: dict[tuple[int, str], Account] = {}
    for number, subject, facts in store.query(_LEDGER_AHEAD, parameters, binary=["facts"]):
        account = accounts.setdefault((number, subject), Account())
        for fact in f.decode(facts):
            if fact.offset < cuts[number]:
                account.add(fact)
    for (number, _), account in accounts.items():
        for cost_id in account.cost_ids():
            expected[number][COST] += totals(cost_contributions(account.current(cost_id)))[COST]
    found = {(row[0], row[1]): list(row[2:]) for row in store.query(_CELL_TOTALS, parameters)}
    nothing = [0] * len(MEASURES)
    return {
        number: all(found.get((number, grain), nothing) == expected[number] for grain in STRETCH_MINUTES)
        for number in cuts
    }
