"""Sums by hub over several windows that end together, in one pass: what the exporter serves."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from milepost.domain.kpis import KPIS, Kpi
from milepost.domain.windows import COST_WINDOWS, WINDOWS
from milepost.reading.question import COST_KPI, floor_minute, parse_window
from milepost.reading.spans import COSTS, WHOLE, condition, spans
from milepost.reading.sums import Sums, measure_names
from milepost.store.client import Store

_BY_HUB = frozenset({"hub_id"})


@dataclass(frozen=True)
class Window:
    """A span of time before the last whole minute, as people write it."""

    name: str
    span: timedelta


def windows(names: tuple[str, ...] = WINDOWS) -> tuple[Window, ...]:
    """The windows of these names, the shortest first."""
    return tuple(sorted((Window(name, parse_window(name)) for name in names), key=lambda window: window.span))


def window_sums(
    store: Store, now: datetime, asked: tuple[Window, ...], kpis: tuple[Kpi, ...] = KPIS
) -> dict[str, dict[str, Sums]]:
    """Sums by window and hub, without histograms; costs only over ``COST_WINDOWS``.

    Raises:
        StoreError: ClickHouse cannot be asked.
    """
    measures = measure_names(kpis)
    found = _cumulated(store, now, asked, measures, WHOLE)
    costly = tuple(window for window in asked if window.name in COST_WINDOWS)
    if costly and any(kpi.name == COST_KPI for kpi in kpis):
        for name, hubs in _cumulated(store, now, costly, ("cost",), COSTS).items():
            for hub, sums in hubs.items():
                found[name].setdefault(hub, Sums()).measures.update(sums.measures)
    return found


def _cumulated(
    store: Store, now: datetime, asked: tuple[Window, ...], measures: tuple[str, ...], rows: str
) -> dict[str, dict[str, Sums]]:
    """Read what lies between the starts of two windows once, and add it up from the shortest to the longest."""
    end = floor_minute(now)
    edges = [end, *(end - window.span for window in asked)]
    bands = [span for newer, older in pairwise(edges) for span in spans(older, newer, _BY_HUB)]
    starts = "[" + ", ".join(str(int(edge.timestamp())) for edge in edges[1:]) + "]"
    sums = ", ".join(f"sum({name}) AS sum_{name}" for name in measures)
    answer = store.query(
        f"SELECT arrayFirstIndex(start -> toUInt32(minute) >= start, {starts}) AS band, hub_id, {sums} "
        f"FROM kpi_store FINAL PREWHERE {condition(tuple(bands))} AND {rows} GROUP BY band, hub_id"
    )
    by_band: dict[int, list[tuple[str, Mapping[str, int]]]] = {}
    for band, hub, *values in answer:
        by_band.setdefault(int(band) - 1, []).append((hub, dict(zip(measures, map(int, values), strict=True))))
    found: dict[str, dict[str, Sums]] = {}
    running: dict[str, dict[str, int]] = {}
    for number, window in enumerate(asked):
        for hub, band_sums in by_band.get(number, ()):
            total = running.setdefault(hub, dict.fromkeys(measures, 0))
            for name, value in band_sums.items():
                total[name] += value
        found[window.name] = {hub: Sums(dict(total)) for hub, total in running.items()}
    return found
