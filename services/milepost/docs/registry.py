"""Every generated document: its path in the repository and the function that gives its text."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from milepost.contracts.catalogue import EVENT_TYPES
from milepost.docs import asyncapi, events, kpis, metrics, openapi, policies, schemas, settings
from milepost.docs.alerts import platform, promises, routing, sources
from milepost.docs.committed import committed
from milepost.docs.dashboards import catalogue
from milepost.settings import EDGE_SERVICES, Service

Render = Callable[[], str]

GENERATED: dict[str, Render] = {
    "docs/events.md": events.render,
    "docs/asyncapi.yaml": asyncapi.render,
    "deploy/prometheus/rules/promises.yml": lambda: promises.render(committed()),
    "deploy/prometheus/rules/sources.yml": sources.render,
    "deploy/prometheus/rules/platform.yml": platform.render,
    "deploy/alertmanager/alertmanager.yml": routing.plain,
    "deploy/alertmanager/alertmanager.example.yml": routing.example,
    **{f"grafana/dashboards/{uid}.json": partial(catalogue.render, uid) for uid in catalogue.BUILDERS},
    "docs/kpis.md": kpis.render,
    "docs/metrics.md": metrics.render,
    "docs/settings.md": settings.render,
    "deploy/sla/policies.schema.json": policies.render,
    **{
        f"docs/openapi/{service.value}.json": partial(openapi.render, service)
        for service in (*EDGE_SERVICES, Service.INSIGHTS)
    },
    **{f"docs/schemas/{name}.json": partial(schemas.render, kind) for name, kind in EVENT_TYPES.items()},
}
"""Path relative to the repository's root → the text that belongs there, UTF-8, ending in a newline."""


def write(root: Path) -> list[str]:
    """Write every generated document under ``root``; returns the paths that changed."""
    changed = stale(root)
    for path in changed:
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(GENERATED[path](), encoding="utf-8")
    return changed


def stale(root: Path) -> list[str]:
    """Paths under ``root`` whose file is absent or says something else than its definition."""
    return [path for path, render in GENERATED.items() if _text(root / path) != render()]


def _text(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.is_file() else None
