"""The example's receivers, by a real Alertmanager: what PagerDuty, Slack and a webhook get, with secrets from files."""

import json
import queue
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from on_call import hurried, serving

from milepost.embedded.parts import programs
from milepost.embedded.platform import Platform
from milepost.embedded.process import Part
from milepost.settings import Service, Settings

pytestmark = pytest.mark.needs_prometheus

ALERTMANAGER = Path(__file__).parents[3] / "deploy" / "alertmanager"
PATIENCE = 60.0
Told = queue.Queue[tuple[str, str, Any]]


@pytest.fixture
def receiver() -> Iterator[tuple[str, Told]]:
    """Whatever is posted: its path, its authorization and its body."""
    told: Told = queue.Queue()

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            told.put((self.path, self.headers.get("Authorization", ""), body))
            # As PagerDuty answers; the others look at nothing but the status.
            answer = b'{"status": "success", "message": "ok", "dedup_key": "x"}'
            self.send_response(202 if "pagerduty" in self.path else 200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_arguments: Any) -> None:
            pass

    with serving(Receiver) as port:
        yield f"http://127.0.0.1:{port}", told


def configuration(folder: Path, url: str) -> Path:
    """The example with its secrets in ``folder``, and every address ``url``; mail is left out."""
    secrets = {
        "pagerduty_operations_key": "key-of-operations",
        "pagerduty_platform_key": "key-of-platform",
        "slack_api_url": f"{url}/slack",
        "smtp_password": "unused",
        "webhook_token": "token-of-tickets",
        "watchdog_token": "token-of-watchdog",
    }
    for name, secret in secrets.items():
        (folder / name).write_text(secret)
    text = (ALERTMANAGER / "alertmanager.example.yml").read_text()
    text = text.replace("/etc/alertmanager/secrets", str(folder)).replace(
        "templates/*.tmpl", f"{ALERTMANAGER}/templates/*.tmpl"
    )
    config = yaml.safe_load(text)
    for route in (config["route"], *config["route"]["routes"]):
        route |= {name: hurried(route[name]) for name in ("group_wait", "group_interval") if name in route}
    for one in config["receivers"]:
        one.pop("email_configs", None)
        for page in one.get("pagerduty_configs", ()):
            page["url"] = f"{url}/pagerduty"
        for hook in one.get("webhook_configs", ()):
            hook["url"] = f"{url}/{one['name']}"
    path = folder / "alertmanager.yml"
    path.write_text(yaml.safe_dump(config))
    return path


def alert(name: str, severity: str, team: str, **labels: str) -> dict[str, Any]:
    return {
        "labels": {"alertname": name, "severity": severity, "team": team, **labels},
        "annotations": {
            "summary": f"{name} is the trouble",
            "description": "12 of 40 came late.",
            "runbook_url": "https://example.com/runbook.md",
            "dashboard_url": "https://example.com/dashboard",
        },
        "startsAt": datetime.now(UTC).isoformat(),
    }


def test_every_receiver_gets_a_message_that_can_be_read(
    tmp_path: Path, receiver: tuple[str, Told], free_settings: Callable[[], Settings]
) -> None:
    url, told = receiver
    settings = free_settings()
    port = settings.port_of(Service.ALERTMANAGER)
    _, program = programs()
    arguments = (
        str(program),
        f"--config.file={configuration(tmp_path, url)}",
        f"--storage.path={tmp_path}/alerts",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
    )
    stage = Platform(tmp_path / "stage", settings)
    stage.add(Part("alertmanager", arguments, port, "/-/ready"))
    try:
        stage.start("alertmanager")
        alerts = [
            alert("HubBreakingPromises", "page", "operations", hub_id="BER-1"),
            alert("DeadLettersGrowing", "ticket", "platform", reason="invalid"),
            alert("Watchdog", "none", "platform"),
        ]
        httpx.post(f"http://127.0.0.1:{port}/api/v2/alerts", json=alerts, timeout=30).raise_for_status()
        paths = {"/pagerduty", "/slack", "/platform-tickets", "/watchdog"}
        got: dict[str, tuple[str, Any]] = {}
        while got.keys() < paths:
            path, authorization, body = told.get(timeout=PATIENCE)
            got[path] = authorization, body
    finally:
        stage.stop()

    _, paged = got["/pagerduty"]
    assert paged["routing_key"] == "key-of-operations"
    assert paged["payload"]["summary"] == "HubBreakingPromises is the trouble"
    assert paged["payload"]["severity"] == "critical"
    assert "12 of 40 came late." in paged["payload"]["custom_details"]["what"]
    assert paged["links"] == [{"href": "https://example.com/runbook.md", "text": "Runbook"}]
    assert paged["client_url"] == "https://example.com/dashboard"

    [message] = got["/slack"][1]["attachments"]
    assert message["title"] == "HubBreakingPromises is the trouble"
    assert message["color"] == "danger"
    assert "What to do: https://example.com/runbook.md" in message["text"]
    assert [button["url"] for button in message["actions"]] == [
        "https://example.com/runbook.md",
        "https://example.com/dashboard",
    ]

    authorization, tickets = got["/platform-tickets"]
    assert authorization == "Bearer token-of-tickets"
    assert [one["labels"]["alertname"] for one in tickets["alerts"]] == ["DeadLettersGrowing"]
    assert got["/watchdog"][0] == "Bearer token-of-watchdog"
