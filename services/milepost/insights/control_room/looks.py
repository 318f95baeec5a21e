"""What the pages show, read with the queries of ``milepost kpi`` and ``milepost order``."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta

from milepost.reading.kpis import Answer, answer
from milepost.reading.orders import OrderPage, cursor_at, find_order, find_orders
from milepost.reading.question import Question, ask
from milepost.reading.rows import KpiRow, kpi_rows
from milepost.reading.series import Step, floor_step, is_on_record, read_steps
from milepost.reading.sla.asked import Wanted
from milepost.reading.sla.open import SlaPage, find_open
from milepost.reading.sla.summary import HubSlas, read_summary
from milepost.reading.sums import read
from milepost.reading.timeline import Timeline
from milepost.store.client import Store

WEEK = timedelta(weeks=1)
PACE_WINDOW = "1h"
KPIS = (
    "promise_kept", "otif", "on_time", "first_attempt_success", "delivery_time", "stage_time", "open_orders",
    "overdue_orders", "orphan_orders",
)  # fmt: skip
HUB_KPIS = ("promise_kept", "otif", "first_attempt_success", "delivery_time", "open_orders", "overdue_orders")
STEP_KPIS = ("promise_kept", "on_time", "delivery_time")
LISTED = 20
"""Orders a hub's page lists of each kind; all of them are a link away."""

Rows = Mapping[str, KpiRow]


@dataclass(frozen=True)
class View:
    """A window people choose, and how its time series are cut."""

    window: str
    title: str
    step: timedelta
    steps: int
    step_title: str


VIEWS = {
    "1h": View("1h", "last hour", timedelta(minutes=5), 12, "every 5 minutes"),
    "24h": View("24h", "last 24 hours", timedelta(hours=1), 24, "each hour"),
    "7d": View("7d", "last 7 days", timedelta(hours=6), 28, "every 6 hours"),
}
DEFAULT_VIEW = "24h"


@dataclass(frozen=True)
class Pace:
    """Deliveries of the last hour, and of the same hour a week before; None where that week has nothing on record."""

    now: int
    before: int | None


@dataclass(frozen=True)
class StepRows:
    """A step of the time series with its KPIs, and what was delivered in the same step a week before."""

    step: Step
    rows: Rows
    delivered: int
    before: int | None


@dataclass(frozen=True)
class Overview:
    """Everything on the front page and on a hub's; ``hubs`` is empty on a hub's."""

    as_of: datetime
    watermark: datetime | None
    start: datetime
    end: datetime
    rows: Rows
    hubs: Mapping[str, Rows]
    pace: Pace
    steps: Sequence[StepRows]
    slas: Sequence[HubSlas]


@dataclass(frozen=True)
class HubLook:
    """A hub's page: its KPIs, what is at risk or broken, the orders that are late, and those that will be due next."""

    overview: Overview
    slas: SlaPage
    overdue: OrderPage
    open: OrderPage


def overview(store: Store, now: datetime, view: View, *, hub_id: str | None, merchant: str | None) -> Overview:
    """The KPIs of ``view``, of one hub or of all with each beside, for the whole installation or one merchant.

    Raises:
        StoreError: ClickHouse cannot be asked.
    """
    where = [f"{name}={value}" for name, value in (("hub_id", hub_id), ("merchant_id", merchant)) if value is not None]
    kpis = KPIS if hub_id is None else tuple(name for name in KPIS if name != "orphan_orders")
    whole = ask(now, window=view.window, where=where, kpis=kpis)
    with ThreadPoolExecutor(4) as aside:
        hubs = None
        if hub_id is None:
            by_hub = ask(now, window=view.window, where=where, by=("hub_id",), kpis=HUB_KPIS)
            hubs = aside.submit(answer, store, by_hub, now)
        paced = aside.submit(_pace, store, now, where)
        open_slas = aside.submit(read_summary, store, now, Wanted(hub_id=hub_id, merchant_id=merchant))
        stepped = aside.submit(_steps, store, now, view, where)
        on_record = is_on_record(store, now - WEEK)
        told = answer(store, whole, now)
        pace, steps = paced.result(), stepped.result()
        slas = open_slas.result()
        found = _by_hub(hubs.result()) if hubs else {}
    if not on_record:
        pace = Pace(pace.now, None)
        steps = [StepRows(step.step, step.rows, step.delivered, None) for step in steps]
    return Overview(told.as_of, told.watermark, told.start, told.end, named(told.rows), found, pace, steps, slas)


def hub_look(store: Store, now: datetime, view: View, hub_id: str, merchant: str | None) -> HubLook:
    """The page of one hub. Raises ``StoreError``."""
    where = {"hub_id": hub_id, "merchant_id": merchant}
    with ThreadPoolExecutor(3) as aside:
        slas = aside.submit(find_open, store, now, Wanted(hub_id=hub_id, merchant_id=merchant), limit=LISTED)
        overdue = aside.submit(find_orders, store, now, "overdue", where=where, limit=LISTED)
        opened = aside.submit(find_orders, store, now, "open", where=where, limit=LISTED, cursor=cursor_at(now))
        found = overview(store, now, view, hub_id=hub_id, merchant=merchant)
        return HubLook(found, slas.result(), overdue.result(), opened.result())


def order_look(store: Store, now: datetime, order_id: str, merchant: str | None) -> Timeline | None:
    """An order's timeline; None where nothing was heard of it, or it is another merchant's. Raises ``StoreError``."""
    found = find_order(store, order_id, now)
    if found is None or (merchant is not None and found.dimensions["merchant_id"] != merchant):
        return None
    return found


def named(rows: Sequence[KpiRow]) -> dict[str, KpiRow]:
    """Rows by KPI, a stage's as ``stage_time transit``."""
    return {" ".join((row.kpi, *_stage(row))): row for row in rows}


def _stage(row: KpiRow) -> tuple[str, ...]:
    return (row.dimensions["stage"],) if "stage" in row.dimensions else ()


def _by_hub(told: Answer) -> dict[str, Rows]:
    found: dict[str, dict[str, KpiRow]] = {}
    for row in told.rows:
        found.setdefault(row.dimensions["hub_id"], {})[row.kpi] = row
    return {
        hub: rows for hub, rows in found.items() if hub or any(row.denominator or row.value for row in rows.values())
    }


def _delivered(rows: Rows) -> int:
    return rows["on_time"].denominator or 0


def _pace(store: Store, now: datetime, where: list[str]) -> Pace:
    questions = [ask(moment, window=PACE_WINDOW, where=where, kpis=("on_time",)) for moment in (now, now - WEEK)]
    last, before = (_delivered(named(list(kpi_rows(one, read(store, one))))) for one in questions)
    return Pace(last, before)


def _steps(store: Store, now: datetime, view: View, where: list[str]) -> list[StepRows]:
    """The steps up to now, the last as far as it has come, beside the whole steps of the week before."""
    end = ask(now, window="1m").end
    start = floor_step(end - timedelta(microseconds=1), view.step) - (view.steps - 1) * view.step
    steps = read_steps(store, _between(now, start, end, where, STEP_KPIS), view.step)
    closing = start + view.steps * view.step
    past = read_steps(store, _between(now, start - WEEK, closing - WEEK, where, ("on_time",)), view.step)
    found = []
    for step, earlier in zip(steps, past, strict=True):
        question = _between(now, step.start, step.end, where, STEP_KPIS)
        rows = named(list(kpi_rows(question, {(): step.sums})))
        found.append(StepRows(step, rows, _delivered(rows), earlier.sums.measures.get("delivered", 0)))
    return found


def _between(now: datetime, start: datetime, end: datetime, where: list[str], kpis: tuple[str, ...]) -> Question:
    return ask(now, start=start.isoformat(), end=end.isoformat(), where=where, kpis=kpis)
