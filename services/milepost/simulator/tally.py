"""Sums and samples of one group of orders, and the rows they come to."""

from array import array
from typing import Any

Row = dict[str, Any]

MINUTE_US = 60_000_000
MONEY = 10_000

RATIOS = (
    "on_time",
    "early",
    "promise_kept",
    "promise_kept_original",
    "repromised",
    "first_attempt_success",
    "not_attempted",
    "response_rate",
    "cancellation_rate",
    "return_rate",
)
"""KPIs that are a count over a count and nothing else."""


def quantile(ordered: "array[int] | list[int]", share: float) -> float:
    """The value at rank ``share`` * (n - 1) of ``ordered``, linear between the two nearest ranks."""
    place = share * (len(ordered) - 1)
    rank = int(place)
    if rank + 1 >= len(ordered):
        return float(ordered[rank])
    return ordered[rank] + (ordered[rank + 1] - ordered[rank]) * (place - rank)


class Tally:
    """Adds up numerators, denominators and what else a KPI shows; all whole numbers."""

    __slots__ = ("samples", "sums")

    def __init__(self) -> None:
        """Begin at nothing."""
        self.sums: dict[str, list[int]] = {}
        self.samples: dict[str, array[int]] = {}

    def add(self, kpi: str, numerator: int, denominator: int, third: int = 0) -> None:
        """Add to ``kpi``; ``third`` is what it shows besides (known, unknown, or the sum of scores)."""
        sums = self.sums.get(kpi)
        if sums is None:
            self.sums[kpi] = [numerator, denominator, third]
        else:
            sums[0] += numerator
            sums[1] += denominator
            sums[2] += third

    def sample(self, name: str, duration: int) -> None:
        """Add a duration in microseconds to ``name``."""
        samples = self.samples.get(name)
        if samples is None:
            samples = self.samples[name] = array("q")
        samples.append(duration)

    def rows(self, dimensions: dict[str, str]) -> list[Row]:
        """One row a KPI, and one a stage that occurred."""
        rows = [self._delivery_time(dimensions)]
        rows += [_row(kpi, dimensions, *self._of(kpi)[:2]) for kpi in RATIOS]
        rows += [self._in_full(dimensions), self._otif(dimensions), self._csat(dimensions)]
        rows.append(self._nps(dimensions))
        cost, deliveries, _ = self._of("cost_per_delivery")
        rows.append(_row("cost_per_delivery", dimensions, cost / MONEY, deliveries))
        rows.append(self._fee(dimensions))
        for name in sorted(self.samples):
            if name != "delivery_time":
                rows.append(self._durations("stage_time", {**dimensions, "stage": name}, name))
        return rows

    def _of(self, kpi: str) -> tuple[int, int, int]:
        numerator, denominator, third = self.sums.get(kpi, (0, 0, 0))
        return numerator, denominator, third

    def _durations(self, kpi: str, dimensions: dict[str, str], name: str) -> Row:
        ordered = sorted(self.samples.get(name, ()))
        row = _row(kpi, dimensions, sum(ordered) / MINUTE_US, len(ordered))
        if ordered:
            row |= {f"p{share}": quantile(ordered, share / 100) / MINUTE_US for share in (50, 90, 95)}
        return row

    def _delivery_time(self, dimensions: dict[str, str]) -> Row:
        row = self._durations("delivery_time", dimensions, "delivery_time")
        delivered = self._of("delivery_time")[1]
        row["coverage"] = row["denominator"] / delivered if delivered else None
        return row

    def _in_full(self, dimensions: dict[str, str]) -> Row:
        full, delivered, known = self._of("in_full")
        row = _row("in_full", dimensions, full, delivered)
        row["coverage"] = known / delivered if delivered else None
        if not known:
            row["value"] = None
        return row

    def _otif(self, dimensions: dict[str, str]) -> Row:
        good, due, unknown = self._of("otif")
        row = _row("otif", dimensions, good, due)
        row["coverage"] = 1 - unknown / due if due else None
        row["high"] = (good + unknown) / due if due else None
        if unknown == due:
            row["value"] = None
        return row

    def _fee(self, dimensions: dict[str, str]) -> Row:
        fees, named, delivered = self._of("fee_per_delivery")
        row = _row("fee_per_delivery", dimensions, fees / MONEY, named)
        row["coverage"] = named / delivered if delivered else None
        return row

    def _nps(self, dimensions: dict[str, str]) -> Row:
        balance, rated, _ = self._of("nps")
        row = _row("nps", dimensions, balance, rated)
        row["value"] = 100 * balance / rated if rated else None
        return row

    def _csat(self, dimensions: dict[str, str]) -> Row:
        good, scored, total = self._of("csat")
        row = _row("csat", dimensions, good, scored)
        row["mean"] = total / scored if scored else None
        return row


def _row(kpi: str, dimensions: dict[str, str], numerator: float, denominator: int) -> Row:
    value = numerator / denominator if denominator else None
    return {"kpi": kpi, "dimensions": dimensions, "numerator": numerator, "denominator": denominator, "value": value}
