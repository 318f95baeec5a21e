"""The one way from a question about KPIs to its answer."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

from msgspec import Struct

from milepost.reading.foresight import Warned, read_foresight
from milepost.reading.gauges import read_gauges
from milepost.reading.progress import watermark
from milepost.reading.question import Question
from milepost.reading.rows import KpiRow, foresight_row, gauge_row, kpi_rows
from milepost.reading.sums import read
from milepost.store.client import Store
from milepost.store.currency import stored_currency


class Answer(Struct, frozen=True, rename={"start": "from", "end": "to"}):
    """KPIs over ``[from, to)``, asked at ``as_of``; everything received until ``watermark`` is in them.

    ``currency`` is the reporting currency, in which rows of the unit ``currency`` are.
    """

    as_of: datetime
    watermark: datetime | None
    start: datetime
    end: datetime
    currency: str
    rows: list[KpiRow]


def answer(store: Store, question: Question, now: datetime) -> Answer:
    """The answer to ``question``; gauges are counted at ``now``.

    The watermark is read first, so that it never promises more than the rows hold.

    Raises:
        StoreError: ClickHouse cannot be asked.
    """
    until = watermark(store)
    with ThreadPoolExecutor(2) as aside:
        reading_currency = aside.submit(stored_currency, store)
        counting = aside.submit(read_gauges, store, now, question.gauges, question.by, question.where)
        rows = list(kpi_rows(question, read(store, question)))
        rows += _foresight_rows(store, question)
        counted, currency = counting.result(), reading_currency.result() or ""
    for gauge in question.gauges:
        for labels in sorted(counted):
            rows.append(gauge_row(gauge, dict(zip(question.by, labels, strict=True)), counted[labels][gauge.name]))
    return Answer(as_of=now, watermark=until, start=question.start, end=question.end, currency=currency, rows=rows)


def _foresight_rows(store: Store, question: Question) -> list[KpiRow]:
    if not question.foresights:
        return []
    warned = read_foresight(store, question.start, question.end, question.by, question.where)
    return [
        foresight_row(foresight, dict(zip(question.by, labels, strict=True)), warned.get(labels, Warned()))
        for foresight in question.foresights
        for labels in (sorted(warned) if question.by else [()])
    ]
