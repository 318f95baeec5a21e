"""The figures as a table for people."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table


class Line(NamedTuple):
    """A line of the report: ``goal`` with ``at_least`` or at most; None where there is none."""

    what: str
    figure: float | None
    unit: str
    goal: float | None = None
    at_least: bool = True
    remark: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the goal is met; None where there is no goal or no figure."""
        if self.goal is None or self.figure is None:
            return None
        return self.figure >= self.goal if self.at_least else self.figure <= self.goal


_RUNS = (
    ("ceiling", "ceiling: consume and decode", None),
    ("ceiling_contract", "consume and check the contract", None),
    ("processor", "processor, one worker, Kafka to ClickHouse", 60_000),
    ("faust_tables", "peer: Faust, orders and KPI minutes in tables", None),
    ("faust_sums", "peer: Faust, orders in a table, sums to ClickHouse", None),
    ("quixstreams", "peer: quixstreams, RocksDB state, sums to ClickHouse", None),
)
_RATIOS = (
    ("faust_tables", "processor / Faust with tables", 10),
    ("faust_sums", "processor / Faust with sums", None),
    ("quixstreams", "processor / quixstreams", 1),
    ("ceiling", "processor / ceiling", None),
)


def lines(results: dict[str, Any]) -> list[Line]:
    """What is reported of ``results``, step by step, in the order one asks."""
    good = {name: step for name, step in results.items() if "failed" not in step}
    found = [*_runs(results), *_ratios(good)]
    if "edge" in good:
        found += _edge(good["edge"])
    if "detection" in good:
        found += _detection(good["detection"])
    if "freshness" in good:
        found += _freshness(good["freshness"])
    if "memory" in good:
        found += _memory(good["memory"])
    if "recovery" in good:
        found += _recovery(good["recovery"])
    if "memory_curve" in good:
        found += _memory_curve(good["memory_curve"])
    if "reading" in good:
        found += _reading(good["reading"])
    return found


def _runs(results: dict[str, Any]) -> Iterator[Line]:
    for name, what, goal in _RUNS:
        step = results.get(name)
        if step is None:
            continue
        if "skipped" in step or "failed" in step:
            yield Line(what, None, "events/s", goal, remark=step.get("skipped") or "FAILED, see the JSON")
            continue
        remark = f"{step['cpu_micros_an_event']:g} µs of CPU an event"
        if not step["complete"]:
            remark += "; stopped before the end"
        if step.get("same_numbers") is False:
            remark += "; ITS NUMBERS DIFFER: no comparison"
        yield Line(what, step["events_a_second"], "events/s", goal, remark=remark)


def _ratios(results: dict[str, Any]) -> Iterator[Line]:
    own = results.get("processor")
    for name, what, goal in _RATIOS:
        peer = results.get(name)
        if own and peer and peer.get("events_a_second") and peer.get("same_numbers") is not False:
            by_cpu = peer["cpu_micros_an_event"] / own["cpu_micros_an_event"]
            ratio = round(own["events_a_second"] / peer["events_a_second"], 2)
            yield Line(what, ratio, "×", goal, remark=f"{by_cpu:.2g} × by CPU an event")


def _edge(figures: dict[str, Any]) -> Iterator[Line]:
    for name, what, goal in (("batches", "batches of 500", 15_000), ("single", "single posts", 1_500)):
        step = figures[name]
        busy = f"busy: edge {step['edge_busy']:.0%}, client {step['client_busy']:.0%}"
        remark = f"p50 {step['p50_ms']:g} ms, p99 {step['p99_ms']:g} ms; {busy}"
        if step["not_taken"]:
            remark += f"; {step['not_taken']} posts NOT TAKEN"
        yield Line(f"edge, one process, {what}", step["events_a_second"], "events/s", goal, remark=remark)


def _freshness(figures: dict[str, Any]) -> Iterator[Line]:
    remark = f"{figures['events_a_second']} events/s, {figures['probes']} probes, {figures['never_seen']} never seen"
    yield Line("POST to visible in kpi, p50", figures["p50_s"], "s", remark=remark)
    yield Line("POST to visible in kpi, p99", figures["p99_s"], "s", 2.0, at_least=False)


def _detection(figures: dict[str, Any]) -> Iterator[Line]:
    remark = f"{figures['events_a_second']} events/s, {figures['probes']} probes, {figures['never_told']} never told"
    yield Line("broken promise to its message, p50", figures["published_p50_s"], "s", remark=remark)
    yield Line("broken promise to its message, p99", figures["published_p99_s"], "s", 1.0, at_least=False)


def _memory(figures: dict[str, Any]) -> Iterator[Line]:
    remark = f"bounded at {figures['orders_kept_in_memory_at_most']:,} orders by MILEPOST_CACHE_ORDERS"
    figure = figures["mib_per_million_open_orders"]
    yield Line("worker's memory per million open orders", figure, "MiB", remark=remark)


def _recovery(figures: dict[str, Any]) -> Iterator[Line]:
    for size in figures["sizes"]:
        remark = f"{size['start_to_ready_s']:g} s from the start of the process; {size['rss_mib']:g} MiB then"
        remark += f"; rebuilt from the log in {size['rebuild_s']:g} s"
        yield Line(f"recovery with {size['open_orders']:,} open orders", size["recovery_s"], "s", remark=remark)


def _memory_curve(figures: dict[str, Any]) -> Iterator[Line]:
    what = f"worker's memory over {figures['events']:,} events of {figures['orders']:,} orders"
    remark = f"{figures['growth_of_last_half_mib']:+} MiB over the last half; {figures['table']}"
    yield Line(f"{what}, at most", figures["rss_mib_most"], "MiB", remark=remark)


def _reading(figures: dict[str, Any]) -> Iterator[Line]:
    for asked in figures["questions"]:
        what = f"{figures['orders'] / 1e6:g} M orders: {asked['question']}"
        yield Line(what, asked["median_ms"], "ms", asked["goal_ms"], at_least=False)


def show(found: list[Line], machine: dict[str, Any]) -> None:
    """Print the table."""
    console = Console(width=None if Console().is_terminal else 150)
    table = Table(title=f"Milepost, {machine['cores']} cores, Python {machine['python']}", title_justify="left")
    table.add_column("what")
    table.add_column("figure", justify="right")
    table.add_column("unit")
    table.add_column("goal", justify="right")
    table.add_column("remark")
    for line in found:
        goal = "" if line.goal is None else f"{'≥' if line.at_least else '≤'} {line.goal:,g}"
        mark = {None: "", True: " ✓", False: " ✗"}[line.met]
        figure = "–" if line.figure is None else f"{line.figure:,g}" if line.figure < 100 else f"{line.figure:,.0f}"
        table.add_row(line.what, figure, line.unit, goal + mark, line.remark)
    console.print(table)
