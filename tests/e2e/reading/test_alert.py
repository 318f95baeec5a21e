"""The first alert, through to the end: break promises and be told once; keep them after all and it resolves.

Everything is real: Kafka, ClickHouse, edge, processor, exporter, the repository's rule, Prometheus, Alertmanager. Only
the intervals are shorter than in operation, and whoever is on call is a server in this test.
"""

import json
import queue
import re
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import httpx
import pytest
import yaml

from milepost.embedded.alerting import prometheus_config
from milepost.embedded.parts import full_platform, programs
from milepost.embedded.platform import Platform
from milepost.embedded.process import Part
from milepost.settings import Service, Settings

pytestmark = [pytest.mark.needs_platform, pytest.mark.needs_prometheus, pytest.mark.timeout(300)]

ROOT = Path(__file__).parents[3]
RULES = ROOT / "deploy" / "prometheus" / "rules" / "promise_kept.yml"
ALERTMANAGER = ROOT / "deploy" / "alertmanager" / "alertmanager.yml"
SERVICES = (Service.ORDERS, Service.PROCESSOR, Service.EXPORTER)
ORDERS_A_HUB = 25
PATIENCE = 120.0
QUIET_SECONDS = 8.0
"""Longer than several scrapes, evaluations and group intervals: what was to be repeated would have been."""

Notification = dict[str, Any]


@pytest.fixture
def on_call() -> Iterator[tuple[str, "queue.Queue[Notification]"]]:
    """A webhook receiver: its URL and what it was sent."""
    told: queue.Queue[Notification] = queue.Queue()

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/", told
    server.shutdown()
    thread.join()
    server.server_close()


def monitoring(folder: Path, settings: Settings, webhook: str) -> list[Part]:
    """Prometheus and Alertmanager with the repository's rule and route, in a hurry."""
    folder.mkdir()
    rules = folder / "rules.yml"
    rules.write_text(re.sub(r"\b(for|keep_firing_for): \S+", r"\1: 2s", RULES.read_text()))
    scraping = prometheus_config(settings, 1) | {"rule_files": [str(rules)]}
    scraping["global"] = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
    (folder / "prometheus.yml").write_text(yaml.safe_dump(scraping))
    routing = yaml.safe_load(ALERTMANAGER.read_text())
    routing["route"] |= {"group_wait": "1s", "group_interval": "1s"}
    routing["receivers"][0]["webhook_configs"] = [{"url": webhook, "send_resolved": True}]
    (folder / "alertmanager.yml").write_text(yaml.safe_dump(routing))
    prometheus, alertmanager = programs()
    ports = settings.port_of(Service.PROMETHEUS), settings.port_of(Service.ALERTMANAGER)
    return [
        Part(
            "alertmanager",
            (str(alertmanager), f"--config.file={folder}/alertmanager.yml", f"--storage.path={folder}/alerts",
             f"--web.listen-address=127.0.0.1:{ports[1]}", "--cluster.listen-address="),
            ports[1],
            "/-/ready",
        ),
        Part(
            "prometheus",
            (str(prometheus), f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/series",
             f"--web.listen-address=127.0.0.1:{ports[0]}"),
            ports[0],
            "/-/ready",
        ),
    ]  # fmt: skip


def event(kind: str, order_id: str, time_of_it: datetime, **data: Any) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": f"{order_id}-{kind}",
        "source": "/test",
        "type": f"milepost.{kind}.v1",
        "time": time_of_it.isoformat(),
        "subject": order_id,
        "data": {"order_id": order_id, **data},
    }


def post(settings: Settings, events: list[dict[str, Any]]) -> None:
    answer = httpx.post(
        f"{settings.url_of(Service.ORDERS)}/v1/events",
        content=json.dumps(events),
        headers={"Content-Type": "application/cloudevents-batch+json"},
        timeout=30,
    )
    assert answer.status_code == 202, answer.text


def told_of(told: "queue.Queue[Notification]", status: str) -> dict[str, Any]:
    """The next notification: of one alert, in ``status``."""
    notification = told.get(timeout=PATIENCE)
    assert notification["status"] == status
    (alert,) = notification["alerts"]
    return dict(alert)


def test_broken_promises_are_told_once_and_resolve(
    start_platform: Callable[[], Platform],
    milepost: Callable[..., CompletedProcess[str]],
    tmp_path: Path,
    on_call: tuple[str, "queue.Queue[Notification]"],
) -> None:
    webhook, told = on_call
    platform = start_platform()
    settings = platform.settings
    milepost(settings, "topics", "apply")
    milepost(settings, "migrate", "apply")
    parts = {part.name: part for part in full_platform(platform.data, settings, 1, with_prometheus=False)}
    for part in (
        *(parts[service.value] for service in SERVICES),
        *monitoring(tmp_path / "monitoring", settings, webhook),
    ):
        platform.add(part)
        platform.start(part.name, wait=False)
    for name in (*(service.value for service in SERVICES), "alertmanager", "prometheus"):
        platform.wait_ready(name)

    now = datetime.now(UTC)
    placed, delivered, promised = now - timedelta(minutes=90), now - timedelta(minutes=35), now - timedelta(minutes=20)
    hubs = {"BER-1": [f"late-{n}" for n in range(ORDERS_A_HUB)], "HAM-1": [f"well-{n}" for n in range(ORDERS_A_HUB)]}
    lines = [{"sku": "x", "quantity": 1}]
    post(
        settings,
        [
            event("order.placed", order, placed, hub_id=hub, promised_until=promised.isoformat(), lines=lines)
            for hub, orders in hubs.items()
            for order in orders
        ]
        + [event("delivery.delivered", order, delivered) for order in hubs["HAM-1"]],
    )

    firing = told_of(told, "firing")
    assert firing["labels"] == {
        "alertname": "PromiseKeptLow", "hub_id": "BER-1", "severity": "page", "team": "operations",
    }  # fmt: skip
    assert firing["annotations"]["summary"] == "Hub BER-1 keeps 0% of its promises"
    assert f"Of the {ORDERS_A_HUB} orders" in firing["annotations"]["description"]
    time.sleep(QUIET_SECONDS)
    assert told.empty()

    # The couriers had no network: what they delivered in time is heard of now, and counts where it belongs.
    post(settings, [event("delivery.delivered", order, delivered) for order in hubs["BER-1"]])
    resolved = told_of(told, "resolved")
    assert resolved["labels"] == firing["labels"]
    time.sleep(QUIET_SECONDS)
    assert told.empty()
