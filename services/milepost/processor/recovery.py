"""Bringing a partition's state back: where it stands, what is stored, and whether its numbers add up."""

import logging
from collections.abc import Iterator

from milepost.domain import facts as f
from milepost.domain.contributions import Contributions, contributions, cost_contributions, totals
from milepost.domain.measures import INDEX, MEASURES
from milepost.domain.order import fold
from milepost.processor.cells import STRETCH_MINUTES, Cells
from milepost.processor.flush import cut_row
from milepost.processor.ledger import Account
from milepost.processor.loading import below
from milepost.processor.orders import OrderCache
from milepost.processor.partition import Partition
from milepost.processor.patience import patiently
from milepost.store import tables
from milepost.store.client import Row, Store

log = logging.getLogger(__name__)

ORDERS_A_PAGE = 20_000

_CUT = "SELECT max(version) FROM kpi_store WHERE grain = 'cut' AND partition = {partition:UInt16}"
_STRETCHES = """
SELECT DISTINCT toInt8(grain) AS g,
    intDiv(intDiv(toUInt32(minute), 60), transform(g, {grains:Array(Int8)}, {lengths:Array(UInt32)}, 1)) AS number
FROM kpi_store WHERE grain != 'cut' AND partition = {partition:UInt16}
"""
_SUBJECTS = "SELECT DISTINCT order_id FROM orders_store WHERE partition = {partition:UInt16}"
_ORDER_TOTALS = """
SELECT sumForEach(measures) FROM orders_store FINAL
WHERE partition = {partition:UInt16} AND version <= {cut:UInt64}
"""
_ORDERS_AHEAD = """
SELECT facts FROM orders_store FINAL WHERE partition = {partition:UInt16} AND version > {cut:UInt64}
"""
_LEDGER = "SELECT subject, facts FROM ledger_store FINAL WHERE partition = {partition:UInt16}"
_CELL_TOTALS = f"""
SELECT toInt8(grain), {", ".join(f"sum({name})" for name in MEASURES)} FROM kpi_store FINAL
WHERE grain != 'cut' AND partition = {{partition:UInt16}} GROUP BY grain
"""  # noqa: S608 - measure names only
_ORDER_PAGE = """
SELECT order_id, facts FROM orders_store FINAL
WHERE partition = {partition:UInt16} AND order_id > {after:String} ORDER BY order_id LIMIT {limit:UInt32}
"""
_CELL_KEYS = """
SELECT toInt8(grain), toUInt32(minute), hub_id, zone_id, service_level, merchant_id, courier_id, component, activity
FROM kpi_store FINAL WHERE grain != 'cut' AND partition = {partition:UInt16}
"""


async def recover(store: Store, number: int) -> Partition:
    """The state of partition ``number`` at its cut; KPI rows that do not add up to its orders are rebuilt first."""
    return await patiently(_recover, store, number)


def _recover(store: Store, number: int) -> Partition:
    of_partition = {"partition": number}
    cut = int(store.query(_CUT, of_partition)[0][0])
    if cut and not _adds_up(store, number, cut):
        log.warning("partition %d: KPI rows and orders disagree at offset %d, rebuilding the KPI rows", number, cut)
        _rebuild(store, number, cut)
    parameters = of_partition | {"grains": list(STRETCH_MINUTES), "lengths": list(STRETCH_MINUTES.values())}
    stored = store.query(_STRETCHES, parameters)
    stretches = [(grain, count * STRETCH_MINUTES[grain]) for grain, count in stored]
    subjects = [row[0] for row in store.query(_SUBJECTS, of_partition, {"max_result_rows": 0})]
    log.info("partition %d: %d orders stored, going on at offset %d", number, len(subjects), cut)
    return Partition(number, cut, Cells(stretches), OrderCache(subjects, len(subjects)))


def _adds_up(store: Store, number: int, cut: int) -> bool:
    """Whether the orders' measures, as of the cut, sum up to those of the KPI rows, in every grain."""
    parameters = {"partition": number, "cut": cut}
    expected = list(store.query(_ORDER_TOTALS, parameters)[0][0]) or [0] * len(MEASURES)
    for (facts,) in store.query(_ORDERS_AHEAD, parameters, binary=["facts"]):
        as_of_cut = below(cut, facts)
        if as_of_cut:
            share = totals(contributions(fold(f.decode(as_of_cut))))
            expected = [one + other for one, other in zip(expected, share, strict=True)]
    for cells in _ledger_contributions(store, number, cut):
        expected[INDEX["cost"]] += totals(cells)[INDEX["cost"]]
    found = {row[0]: list(row[1:]) for row in store.query(_CELL_TOTALS, parameters)}
    nothing = [0] * len(MEASURES)
    return all(found.get(grain, nothing) == expected for grain in STRETCH_MINUTES)


def _ledger_contributions(store: Store, number: int, cut: int) -> Iterator[Contributions]:
    accounts: dict[str, Account] = {}
    for subject, facts in store.query(_LEDGER, {"partition": number}, binary=["facts"]):
        account = accounts.setdefault(subject, Account())
        for fact in f.decode(facts):
            if fact.offset < cut:
                account.add(fact)
    for account in accounts.values():
        for cost_id in account.cost_ids():
            yield cost_contributions(account.current(cost_id))


def _rebuild(store: Store, number: int, cut: int) -> None:
    """Write all KPI rows of the partition anew from its orders and ledger, and zeros where none should be."""
    cells = Cells()
    for grain, seconds, *labels in store.query(_CELL_KEYS, {"partition": number}, {"max_result_rows": 0}):
        cells.touch(grain, (seconds // 60, *labels))
    for page in _pages(store, number):
        for _, facts in page:
            as_of_cut = below(cut, facts)
            if as_of_cut:
                cells.replace({}, contributions(fold(f.decode(as_of_cut))))
    for share in _ledger_contributions(store, number, cut):
        cells.replace({}, share)
    rows = cells.take_changed(number, cut)
    rows.append(cut_row(number, cut))
    store.insert(tables.KPIS, rows)


def _pages(store: Store, number: int) -> Iterator[list[Row]]:
    after = ""
    while True:
        page = store.query(_ORDER_PAGE, {"partition": number, "after": after, "limit": ORDERS_A_PAGE}, binary=["facts"])
        if not page:
            return
        yield page
        after = page[-1][0]
