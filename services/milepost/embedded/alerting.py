"""Prometheus and Alertmanager on this machine: their configuration from the repository's, their commands."""

import json
import os
from pathlib import Path
from urllib.parse import urlsplit

from milepost.settings import EDGE_SERVICES, Service, Settings

WEBHOOK_VARIABLE = "MILEPOST_ALERT_WEBHOOK"
"""Where alerts of the embedded platform are posted; to nobody where it is not set."""

_KEPT_DAYS = 35
_RECEIVERS = ("operations-pages", "operations-tickets", "platform-pages", "platform-tickets")
"""The receivers that get the webhook; the dead man's switch is for something that counts its calls."""
_TEMPLATES = "  - templates/*.tmpl\n"


def deploy_folder() -> Path:
    """The folder of deployment files: beside the sources in a checkout, inside the package where it was installed.

    Raises:
        FileNotFoundError: neither is there.
    """
    package = Path(__file__).resolve().parents[1]
    for folder in (package.parents[1] / "deploy", package / "_deploy"):
        if (folder / "prometheus").is_dir():
            return folder
    raise FileNotFoundError(f"the deployment files are neither beside the sources nor in {package}")


def prometheus_argv(program: str, folder: Path, settings: Settings, workers: int) -> list[str]:
    """Write Prometheus's configuration into ``folder`` and give the command that runs it there."""
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "prometheus.yml"
    # JSON is YAML, and it needs no quoting of ours.
    config.write_text(json.dumps(prometheus_config(settings, workers), indent=2))
    return [
        program,
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'tsdb'}",
        f"--storage.tsdb.retention.time={_KEPT_DAYS}d",
        f"--web.listen-address=127.0.0.1:{settings.port_of(Service.PROMETHEUS)}",
        "--log.level=warn",
    ]


def prometheus_config(settings: Settings, workers: int) -> dict[str, object]:
    """Prometheus's configuration: every service scraped by its port, the repository's rules, Alertmanager."""
    targets = [(service, 0) for service in (*EDGE_SERVICES, Service.EXPORTER, Service.INSIGHTS, Service.AUDITOR)]
    targets += [(Service.PROCESSOR, index) for index in range(workers)]
    scraped: dict[str, list[str]] = {}
    for service, index in targets:
        scraped.setdefault(service.value, []).append(f"127.0.0.1:{settings.port_of(service, index)}")
    return {
        "global": {"scrape_interval": "15s", "evaluation_interval": "15s"},
        "rule_files": [str(deploy_folder() / "prometheus" / "rules" / "*.yml")],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": [_host(settings.alertmanager_url)]}]}]},
        "scrape_configs": [
            {"job_name": name, "static_configs": [{"targets": addresses}]} for name, addresses in scraped.items()
        ],
    }


def alertmanager_argv(program: str, folder: Path, settings: Settings) -> list[str]:
    """Write Alertmanager's configuration into ``folder`` and give the command that runs it there."""
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "alertmanager.yml"
    config.write_text(alertmanager_config(os.environ.get(WEBHOOK_VARIABLE)))
    return [
        program,
        f"--config.file={config}",
        f"--storage.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{settings.port_of(Service.ALERTMANAGER)}",
        # Alone on one machine there is nobody to agree with.
        "--cluster.listen-address=",
        "--log.level=warn",
    ]


def alertmanager_config(webhook: str | None) -> str:
    """The repository's Alertmanager configuration, for any folder; its receivers given ``webhook`` where there is one.

    Raises:
        ValueError: the configuration has not the lines that are to be changed.
    """
    folder = deploy_folder() / "alertmanager"
    text = (folder / "alertmanager.yml").read_text()
    changes = {_TEMPLATES: f"  - {json.dumps(str(folder / 'templates' / '*.tmpl'))}\n"}
    if webhook:
        told = f"    webhook_configs:\n      - url: {json.dumps(webhook)}\n        send_resolved: true\n"
        changes |= {f"  - name: {name}\n": f"  - name: {name}\n{told}" for name in _RECEIVERS}
    for line, instead in changes.items():
        if line not in text:
            raise ValueError(f"{folder}/alertmanager.yml has no line {line.strip()!r}")
        text = text.replace(line, instead)
    return text


def _host(url: str) -> str:
    return urlsplit(url).netloc
