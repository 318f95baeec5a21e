"""How good the warnings of broken promises were, from the lives of SLAs."""

from datetime import datetime
from typing import Any, NamedTuple

from milepost.contracts.event import micros
from milepost.domain.kpis import COST_DIMENSIONS
from milepost.domain.sla.words import PROMISE, Cause
from milepost.reading.sums import Labels
from milepost.store.client import Store


class Warned(NamedTuple):
    """Promises that came due: how many ``broken``, how many of these were ``foreseen``, how many warned of were kept.

    ``lead_p50`` is the median time from the warning to the due moment of those foreseen, in microseconds.
    """

    broken: int = 0
    foreseen: int = 0
    false_alarms: int = 0
    lead_p50: float = 0.0


_BROKEN = "breached > 0 AND withdrawn = 0"
# A breach that was withdrawn because a late event shows the promise met was a false alarm too.
_KEPT = "cause = {met:String}"
_WARNED = "warned > 0 AND at_risk_at < due"
_LEAD = "toUnixTimestamp64Micro(due) - toUnixTimestamp64Micro(at_risk_at)"


def read_foresight(
    store: Store,
    start: datetime,
    end: datetime,
    by: tuple[str, ...] = (),
    where: tuple[tuple[str, tuple[str, ...]], ...] = (),
) -> dict[Labels, Warned]:
    """How good the warnings were of promises due in ``[start, end)``, by dimensions.

    Raises:
        StoreError: ClickHouse cannot be asked.
    """
    if start >= end or {*by, *(name for name, _ in where)} & set(COST_DIMENSIONS):
        return {}
    parameters: dict[str, Any] = {
        "rule": PROMISE,
        "met": Cause.MET.value,
        "start": micros(start),
        "end": micros(end),
    }
    # Nothing is due before the deadline it counts from, and that is in the key.
    parts = [
        "rule = {rule:String}",
        "base < fromUnixTimestamp64Micro({end:Int64}, 'UTC')",
        "due >= fromUnixTimestamp64Micro({start:Int64}, 'UTC')",
        "due < fromUnixTimestamp64Micro({end:Int64}, 'UTC')",
    ]
    for name, values in where:
        parts.append(f"{name} IN {{where_{name}:Array(String)}}")
        parameters[f"where_{name}"] = list(values)
    columns = "".join(f"{name}, " for name in by)
    group = f" GROUP BY {', '.join(by)}" if by else ""
    rows = store.query(
        f"SELECT {columns}countIf({_BROKEN}), countIf({_WARNED} AND {_BROKEN}), "
        f"countIf({_WARNED} AND NOT ({_BROKEN}) AND {_KEPT}), "
        f"quantileExactInclusiveIf(0.5)({_LEAD}, {_WARNED} AND {_BROKEN}) "
        f"FROM sla_now WHERE {' AND '.join(parts)}{group}",
        parameters,
    )
    found: dict[Labels, Warned] = {}
    for row in rows:
        broken, foreseen, false_alarms, lead = row[len(by) :]
        found[row[: len(by)]] = Warned(broken, foreseen, false_alarms, float(lead) if foreseen else 0.0)
    return found
