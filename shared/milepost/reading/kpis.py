"""The one way from a question about KPIs to its answer."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

from msgspec import Struct

from milepost.reading.gauges import read_gauges
from milepost.reading.progress import watermark
from milepost.reading.question import Question
from milepost.reading.rows import KpiRow, gauge_row, kpi_rows
from milepost.reading.sums import read
from milepost.store.client import Store


class Answer(Struct, frozen=True, rename={"start": "from", "end": "to"}):
    """KPIs over ``[from, to)``, asked at ``as_of``; everything received until ``watermark`` is in them."""

    as_of: datetime
    watermark: datetime | None
    start: datetime
    end: datetime
    rows: list[KpiRow]


def answer(store: Store, question: Question, now: datetime) -> Answer:
    """The answer to ``question``; gauges are counted at ``now``.

    The watermark is read first, so that it never promises more than the rows hold.

    Raises:
        StoreError: ClickHouse cannot be asked.
    """
    until = watermark(store)
    with ThreadPoolExecutor(1) as aside:
        counting = aside.submit(read_gauges, store, now, question.gauges, question.by, question.where)
        rows = list(kpi_rows(question, read(store, question)))
        counted = counting.result()
    for gauge in question.gauges:
        for labels in sorted(counted):
            rows.append(gauge_row(gauge, dict(zip(question.by, labels, strict=True)), counted[labels][gauge.name]))
    return Answer(as_of=now, watermark=until, start=question.start, end=question.end, rows=rows)
