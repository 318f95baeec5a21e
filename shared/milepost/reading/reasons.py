"""How often each reason was given: of failed attempts, and by customers who answered."""

from milepost.reading.question import Question
from milepost.reading.spans import REASONS
from milepost.reading.sums import Labels, plain, rows_of
from milepost.store.client import Store

Reasons = dict[tuple[str, str], int]
"""Times a reason was given, by what it is the reason of (``domain.kpis.REASONS_OF``) and the reason."""


def read_reasons(store: Store, question: Question) -> dict[Labels, Reasons]:
    """The reasons over the question's window, by its dimensions; what only costs are split by does not split them.

    Raises:
        StoreError: ClickHouse cannot be asked.
    """
    found: dict[Labels, Reasons] = {}
    if question.start >= question.end:
        return found
    keys = ", ".join((*plain(question.by), "component", "activity"))
    where, parameters = rows_of(question, REASONS)
    asked = (
        f"SELECT {keys}, sum(reasons) AS given FROM kpi_store FINAL PREWHERE {where} GROUP BY {keys} HAVING given != 0"
    )
    for *labels, of, reason, given in store.query(asked, parameters):
        found.setdefault(tuple(labels), {})[of, reason] = int(given)
    return found
