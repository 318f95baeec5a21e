"""Pages: templates filled, escaped, and sent under a policy that lets nothing in from elsewhere."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse

from milepost.contracts.event import Fault
from milepost.edge.problems import ProblemError
from milepost.insights.control_room import figures, sla_figures, words
from milepost.insights.control_room.looks import DEFAULT_VIEW, VIEWS, View
from milepost.reading.sla import words as sla_words

FOLDER = Path(__file__).parent
STATIC = FOLDER / "static"
STALE_SECONDS = 60
"""From this age on the numbers are called stale, as the exporter and the command do."""
DEFAULT_ZONE = "UTC"

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}

_templates = Environment(
    loader=FileSystemLoader(FOLDER / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_templates.globals.update(
    words=words,
    sla_words=sla_words,
    figures=figures,
    sla_figures=sla_figures,
    views=VIEWS,
    stale_seconds=STALE_SECONDS,
    titles=words.TITLES,
)


class Asked:
    """What every page is asked with: the window and the time zone, which its links keep."""

    def __init__(self, window: str, zone: str) -> None:
        """Raises ``ProblemError`` 422 where there is no such window or zone."""
        if window not in VIEWS:
            raise _wrong("window", f"there is no window {window!r} here; there are {', '.join(VIEWS)}")
        try:
            self.zone = ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise _wrong("tz", f"there is no time zone {zone!r}; write it like Europe/Berlin") from error
        self.view: View = VIEWS[window]

    def link(self, path: str, **more: str | None) -> str:
        """A link to ``path`` that keeps what was asked; ids go in as parameters, as ``..`` is an id, too."""
        asked = {"window": self.view.window, "tz": self.zone.key, **more}
        usual = {"window": DEFAULT_VIEW, "tz": DEFAULT_ZONE}
        kept = {name: value for name, value in asked.items() if value is not None and value != usual.get(name)}
        return f"{path}?{urlencode(kept)}" if kept else path


def page(
    request: Request,
    template: str,
    asked: Asked,
    *,
    fault: str | None = None,
    watermark: datetime | None = None,
    as_of: datetime | None = None,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    **more: Any,
) -> HTMLResponse:
    """The page of ``template``: ``as_of`` is when its numbers were read, ``fault`` why they are not of now."""
    now = datetime.now(UTC)
    html = _templates.get_template(template).render(
        asked=asked,
        link=asked.link,
        clock=words.Clock(asked.zone, now),
        now=now,
        fault=fault,
        watermark=watermark,
        as_of=as_of,
        age=None if watermark is None else max(0, int((now - watermark).total_seconds())),
        path=request.url.path,
        **more,
    )
    return HTMLResponse(html, status, {**HEADERS, **(headers or {})})


def _wrong(name: str, detail: str) -> ProblemError:
    return ProblemError(422, detail, faults=[Fault(f"/query/{name}", detail)])
