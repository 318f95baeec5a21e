"""Every PromQL query of every dashboard, on a real Prometheus that scrapes what the exporter makes of a database."""

import json
import re
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest
from grafana_queries import ALL, Document, View, documents, queries

from milepost import metrics
from milepost.embedded.parts import programs
from milepost.embedded.process import Part, spawn, stop, wait_ready
from milepost.exporter.snapshot import look
from milepost.reading.kpis import answer
from milepost.reading.question import ask
from milepost.settings import Service, Settings
from milepost.store.client import reader

pytestmark = [pytest.mark.needs_platform, pytest.mark.needs_prometheus]

HUBS = ("BER-1", "HAM-1", "MUC-1")
DASHBOARDS = documents()
SLA = DASHBOARDS["milepost-sla"]
LABELS = {"hub_id": HUBS[0], "rule": "promise", "state": "at_risk"}
ALWAYS = {"alert": "Always", "expr": "vector(1)", "labels": {"severity": "page", "team": "x", "hub_id": HUBS[0]}}
RULES = {"groups": [{"name": "test", "rules": [ALWAYS]}]}


def others(served: str) -> str:
    """A sample of every metric that another process than the exporter serves, so that each query finds something."""
    lines = []
    for metric in (one for one in vars(metrics).values() if isinstance(one, metrics.Metric)):
        if f"\n{metric.name}{{" in served or f"\n{metric.name} " in served:
            continue
        labels = [f'{name}="{LABELS.get(name, "one")}"' for name in metric.labels]
        said = ("", "_count", "_sum")
        lines += [f"{metric.name}{part}{{{','.join(labels)}}} 1" for part in said]
        for bound in ("1", "+Inf"):
            bucket = ",".join([*labels, f'le="{bound}"'])
            lines.append(f"{metric.name}_bucket{{{bucket}}} 1")
    return "\n".join(lines) + "\n"


class Served:
    """What is scraped."""

    def __init__(self, text: str) -> None:
        body = text.encode()

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("content-type", "text/plain; version=0.0.4")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Nothing is worth a line."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = Thread(target=self.server.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self._thread.join()


Asked = Callable[[str], list[dict[str, Any]]]


@pytest.fixture(scope="module")
def prometheus(
    installation: Settings,
    minutes: Any,
    orders: datetime,
    free_settings: Callable[[], Settings],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Asked]:
    """Asks a Prometheus that has scraped twice."""
    folder = tmp_path_factory.mktemp("prometheus")
    with reader(installation) as store:
        text = look(store, datetime.now(UTC)).rendered.decode()
    served = Served(text + others(text))
    part = _part(folder, served.server.server_port, free_settings().port_of(Service.PROMETHEUS))
    process = spawn(part, folder / "log")
    try:
        wait_ready(part, process, 60, folder / "log")
        with httpx.Client(base_url=part.address, trust_env=False, timeout=30) as client:

            def asked(expression: str) -> list[dict[str, Any]]:
                answered = client.get("/api/v1/query", params={"query": expression}).json()
                assert answered["status"] == "success", (expression, answered)
                found: list[dict[str, Any]] = answered["data"]["result"]
                return found

            deadline = time.monotonic() + 60
            while not (asked('ALERTS{alertstate="firing"}') and asked("count_over_time(up[1m]) > 2")):
                assert time.monotonic() < deadline, (folder / "log").read_text()
                time.sleep(0.2)
            yield asked
    finally:
        stop(process, part.stop_seconds)
        served.close()


def _part(folder: Path, scraped: int, port: int) -> Part:
    program, _ = programs()
    assert program
    (folder / "rules.yml").write_text(json.dumps(RULES))
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(folder / "rules.yml")],
        "scrape_configs": [{"job_name": "all", "static_configs": [{"targets": [f"127.0.0.1:{scraped}"]}]}],
    }
    (folder / "prometheus.yml").write_text(json.dumps(config))
    argv = (
        program,
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'tsdb'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=warn",
    )
    return Part("prometheus", argv, port, ready_path="/-/ready")


def seen(uid: str, hub: Any = ALL) -> View:
    """The present; PromQL has no macros of the time range here."""
    now = datetime.now(UTC)
    return View(now, now, now, {"hub": HUBS[0] if uid == "milepost-hub" else hub}, {"hub": HUBS})


@pytest.mark.parametrize("uid", [uid for uid, one in DASHBOARDS.items() if queries(one, "expr")])
def test_every_query_finds_something(prometheus: Asked, uid: str) -> None:
    for panel, text in queries(DASHBOARDS[uid], "expr"):
        # What is in the database is hours old: over minutes nothing is due, and nothing is what is to be said.
        asked = re.sub(r'window="(5m|1h)"', 'window="1d"', text)
        for hub in (ALL, HUBS[0]):
            prometheus(seen(uid, hub).promql(text))
            assert prometheus(seen(uid, hub).promql(asked)), (panel["title"], text)
    for annotation in DASHBOARDS[uid]["annotations"]["list"]:
        if "expr" in annotation:
            assert prometheus(annotation["expr"])


def value(found: list[dict[str, Any]]) -> float:
    """The one number."""
    (one,) = found
    return float(one["value"][1])


def targets(document: Document, title: str) -> list[str]:
    """The expressions of a panel."""
    return [text for panel, text in queries(document, "expr") if panel["title"] == title]


def test_the_budget_follows_from_the_kpi(prometheus: Asked, installation: Settings, minutes: Any) -> None:
    asked = seen("milepost-sla", ("BER-1", "MUC-1"))
    now = datetime.now(UTC)
    question = ask(now, window="30d", where=["hub_id=BER-1", "hub_id=MUC-1"], kpis=["promise_kept"])
    with reader(installation) as store:
        (known,) = answer(store, question, now).rows
    assert known.value is not None
    share, orders = (value(prometheus(asked.promql(text))) for text in targets(SLA, "promise_kept over 30d"))
    (left,) = (value(prometheus(asked.promql(text))) for text in targets(SLA, "Error budget left"))
    bad, budget = (value(prometheus(asked.promql(text))) for text in targets(SLA, "Bad orders, and the budget"))
    assert (share, orders) == (pytest.approx(known.value), known.denominator)
    assert left == pytest.approx(1 - (1 - known.value) / 0.03)
    assert known.denominator is not None
    assert bad == pytest.approx(known.denominator - known.numerator)
    assert budget == pytest.approx(0.03 * known.denominator)


def test_gauges_are_those_of_the_chosen_hubs(prometheus: Asked, installation: Settings, orders: datetime) -> None:
    (text,) = targets(DASHBOARDS["milepost-control-room"], "Overdue")
    with reader(installation) as store:
        rows = answer(store, ask(orders, by=["hub_id"], kpis=["overdue_orders"]), orders).rows
    by_hub = {row.dimensions["hub_id"]: row.numerator for row in rows}
    assert value(prometheus(seen("", ALL).promql(text))) == sum(by_hub.values())
    assert value(prometheus(seen("", "HAM-1").promql(text))) == by_hub["HAM-1"]


def test_no_exporter_is_no_zero(prometheus: Asked) -> None:
    for uid, title in (("milepost-control-room", "Active alerts"), ("milepost-platform", "Open dead letters")):
        (text,) = targets(DASHBOARDS[uid], title)
        assert prometheus(text)
        gone = text.replace(metrics.EXPORTER_UP.name, "nobody").replace("firing", "no").replace("stored", "none")
        assert prometheus(gone) == []
