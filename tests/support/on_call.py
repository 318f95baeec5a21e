"""Prometheus and Alertmanager with the repository's rules and routes, in a hurry, and somebody to be told.

Everything that waits waits a sixtieth of the time (a twentieth to fire), so that a drill takes seconds; nothing else is
changed. What is scraped may be a server of the test's own (``Told``), whose numbers it chooses.
"""

import json
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import yaml

from milepost.embedded.alerting import alertmanager_config, deploy_folder
from milepost.embedded.parts import programs
from milepost.embedded.platform import Platform
from milepost.embedded.process import Part
from milepost.settings import Service, Settings

HURRY = 60
WAITING_HURRY = 20
"""What waits to fire is less in a hurry: a scrape that a busy machine missed is to be outlasted here too."""
PATIENCE = 90.0
ABSENCES = {"ExporterAbsent", "AuditorAbsent", "TargetDown"}
"""What is told when scrapes fail is in no hurry at all: here they fail because the machine is busy."""
_SECONDS = {"s": 1, "m": 60, "h": 3600}
_DURATION = re.compile(r"(\d+)([smh])$")

Notification = dict[str, Any]


def hurried(duration: str, least: int = 1, hurry: int = HURRY) -> str:
    """A part of a duration, at least ``least`` seconds."""
    number, unit = _DURATION.fullmatch(duration).groups()  # type: ignore[union-attr]
    return f"{max(least, int(number) * _SECONDS[unit] // hurry)}s"


def hurried_rules(folder: Path) -> Path:
    """A copy of every rule file whose waits are short; windows that were measured elsewhere stay what they are."""
    target = folder / "rules"
    target.mkdir(parents=True)
    for path in sorted((deploy_folder() / "prometheus" / "rules").glob("*.yml")):
        rules = yaml.safe_load(path.read_text().replace("[10m]", "[5s]").replace("offset 10m", "offset 5s"))
        for group in rules["groups"]:
            if "interval" in group:
                group["interval"] = hurried(group["interval"])
            for rule in group["rules"]:
                if "for" in rule and rule["alert"] not in ABSENCES:
                    rule["for"] = hurried(rule["for"], hurry=WAITING_HURRY)
                if "keep_firing_for" in rule:
                    rule["keep_firing_for"] = hurried(rule["keep_firing_for"])
        (target / path.name).write_text(yaml.safe_dump(rules))
    return target


def hurried_routes(webhook: str) -> dict[str, Any]:
    """Alertmanager's configuration, every receiver ``webhook``, its waits short."""
    config: dict[str, Any] = yaml.safe_load(alertmanager_config(webhook))
    routes = [config["route"], *config["route"]["routes"]]
    for route in routes:
        for name in {"group_wait", "group_interval"} & route.keys():
            # Twice the time between two scrapes at least, as in operation: what belongs together is told together.
            route[name] = hurried(route[name], 4)
    return config


@dataclass
class OnCall:
    """Whoever is on call: what they were sent, in order."""

    url: str
    told: list[Notification] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)

    def take(self, notification: Notification) -> None:
        """One more."""
        with self.changed:
            self.told.append(notification)
            self.changed.notify_all()

    def pages(self, status: str = "firing", team: str = "") -> list[Notification]:
        """What would have woken them, of one team or of any."""
        with self.changed:
            told = [one for one in self.told if one["receiver"].endswith(f"{team}-pages")]
            return [one for one in told if one["status"] == status]

    def wait_for(self, status: str, number: int = 1, seconds: float = PATIENCE, team: str = "") -> list[Notification]:
        """Wait for so many pages in ``status``."""
        deadline = time.monotonic() + seconds
        while len(found := self.pages(status, team)) < number:
            with self.changed:
                assert self.changed.wait(deadline - time.monotonic()), f"{len(found)} pages {status}: {self.told}"
        return found


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[int]:
    """A server on a port of its own, which it gives."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def on_call() -> Iterator[OnCall]:
    """A webhook receiver."""

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            person.take(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_arguments: Any) -> None:
            pass

    with serving(Receiver) as port:
        person = OnCall(f"http://127.0.0.1:{port}/")
        yield person


class Told:
    """A service that tells Prometheus what a test says: series by job, each with its value or what gives it."""

    def __init__(self) -> None:
        self.port = 0
        self._series: dict[str, dict[str, float | Callable[[], float]]] = {}

    def say(self, job: str, series: Mapping[str, float | Callable[[], float]]) -> None:
        """Have ``job`` serve these series as well, or with another value."""
        self._series[job] = {**self._series.get(job, {}), **series}

    def forget(self, job: str, name: str) -> None:
        """Have ``job`` serve no series of this name any more."""
        self._series[job] = {one: value for one, value in self._series[job].items() if not one.startswith(name)}

    def scraping(self) -> list[dict[str, Any]]:
        """The jobs, as Prometheus's configuration names them."""
        return [
            {"job_name": job, "metrics_path": f"/{job}", "static_configs": [{"targets": [f"127.0.0.1:{self.port}"]}]}
            for job in self._series
        ]

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Answer Prometheus."""
        told = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                series = told._series[self.path.strip("/")]
                lines = [f"{name} {value() if callable(value) else value}\n" for name, value in series.items()]
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.end_headers()
                self.wfile.write("".join(lines).encode())

            def log_message(self, *_arguments: Any) -> None:
                pass

        with serving(Handler) as port:
            self.port = port
            yield


def monitoring(
    folder: Path, settings: Settings, webhook: str, scraping: list[dict[str, Any]], *, hurry: bool = True
) -> list[Part]:
    """Prometheus and Alertmanager, as parts of a platform; Prometheus's data is in ``folder/series``.

    Without ``hurry`` they wait as they do in operation.
    """
    folder.mkdir(exist_ok=True)
    prometheus, alertmanager = programs()
    ports = settings.port_of(Service.PROMETHEUS), settings.port_of(Service.ALERTMANAGER)
    often = {"scrape_interval": "2s", "scrape_timeout": "2s", "evaluation_interval": "1s"}
    config = {
        "global": often if hurry else {"scrape_interval": "15s", "evaluation_interval": "15s"},
        "rule_files": [f"{hurried_rules(folder) if hurry else deploy_folder() / 'prometheus' / 'rules'}/*.yml"],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": [f"127.0.0.1:{ports[1]}"]}]}]},
        "scrape_configs": scraping,
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    routes = yaml.safe_dump(hurried_routes(webhook)) if hurry else alertmanager_config(webhook)
    (folder / "alertmanager.yml").write_text(routes)
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
             "--storage.tsdb.retention.time=35d", f"--web.listen-address=127.0.0.1:{ports[0]}"),
            ports[0],
            "/-/ready",
        ),
    ]  # fmt: skip


@contextmanager
def drill(folder: Path, settings: Settings, person: OnCall, told: Told) -> Iterator["Drill"]:
    """Prometheus and Alertmanager running on what is told."""
    with told.serving():
        stage = Platform(folder, settings)
        try:
            for part in monitoring(folder, settings, person.url, told.scraping()):
                stage.add(part)
                stage.start(part.name, wait=False)
            for name in ("alertmanager", "prometheus"):
                stage.wait_ready(name)
            yield Drill(settings)
        finally:
            stage.stop()


@dataclass(frozen=True)
class Drill:
    """What runs, and what it says of itself."""

    settings: Settings

    def value(self, query: str) -> float | None:
        """What Prometheus says of a query with one answer; None where it has none."""
        url = f"http://127.0.0.1:{self.settings.port_of(Service.PROMETHEUS)}/api/v1/query"
        found = httpx.get(url, params={"query": query}, timeout=30).json()["data"]["result"]
        return float(found[0]["value"][1]) if found else None

    def held_back(self, alertname: str) -> int:
        """How many alerts of a name Alertmanager knows and tells nobody of."""
        url = f"http://127.0.0.1:{self.settings.port_of(Service.ALERTMANAGER)}/api/v2/alerts"
        asked = {"filter": f'alertname="{alertname}"'}
        return sum(1 for alert in httpx.get(url, params=asked, timeout=30).json() if alert["status"]["inhibitedBy"])


def wait_until(true: Callable[[], bool], what: str, seconds: float = PATIENCE) -> None:
    """Wait for a condition; fails with ``what`` where it does not come."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.2)
