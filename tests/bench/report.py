"""The figures as a table for people."""

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


def lines(results: dict[str, Any]) -> list[Line]:
    """What is reported of ``results``, step by step, in the order one asks."""
    found: list[Line] = []
    speed: dict[str, float] = {}
    for name, what, goal in (
        ("ceiling", "ceiling: consume and decode", None),
        ("ceiling_contract", "consume and check the contract", None),
        ("processor", "processor, one worker, Kafka to ClickHouse", 60_000),
        ("faust_tables", "peer: Faust, orders and KPI minutes in tables", None),
        ("faust_sums", "peer: Faust, orders in a table, sums to ClickHouse", None),
        ("quixstreams", "peer: quixstreams, RocksDB state, sums to ClickHouse", None),
    ):
        step = results.get(name)
        if step is None:
            continue
        if "skipped" in step:
            found.append(Line(what, None, "events/s", remark=step["skipped"]))
            continue
        remark = f"{step['cpu_micros_an_event']:g} µs of CPU an event"
        if not step["complete"]:
            remark += "; stopped before the end"
        if step.get("same_numbers") is False:
            remark += "; ITS NUMBERS DIFFER: no comparison"
        else:
            speed[name] = step["events_a_second"]
        found.append(Line(what, step["events_a_second"], "events/s", goal, remark=remark))
    own = speed.get("processor")
    for name, what, wanted in (
        ("faust_tables", "processor / Faust with tables", 10),
        ("faust_sums", "processor / Faust with sums", None),
        ("quixstreams", "processor / quixstreams", 1),
        ("ceiling", "processor / ceiling", None),
    ):
        if own and speed.get(name):
            found.append(Line(what, round(own / speed[name], 2), "×", wanted))
    edge = results.get("edge")
    if edge:
        for name, what, goal in (("batches", "batches of 500", 15_000), ("single", "single posts", 1_500)):
            step = edge[name]
            busy = f"busy: edge {step['edge_busy']:.0%}, client {step['client_busy']:.0%}"
            remark = f"p50 {step['p50_ms']:g} ms, p99 {step['p99_ms']:g} ms; {busy}"
            found.append(Line(f"edge, one process, {what}", step["events_a_second"], "events/s", goal, remark=remark))
    fresh = results.get("freshness")
    if fresh:
        remark = f"{fresh['events_a_second']} events/s, {fresh['probes']} probes, {fresh['never_seen']} never seen"
        found.append(Line("POST to visible in kpi, p50", fresh["p50_s"], "s", remark=remark))
        found.append(Line("POST to visible in kpi, p99", fresh["p99_s"], "s", 2.0, at_least=False))
    memory = results.get("memory")
    if memory:
        remark = f"bounded at {memory['orders_kept_in_memory_at_most']:,} orders by MILEPOST_CACHE_ORDERS"
        found.append(
            Line("worker's memory per million open orders", memory["mib_per_million_open_orders"], "MiB", remark=remark)
        )
    return found


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
