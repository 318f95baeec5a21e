"""`make grafana-shots`: a picture of every dashboard of a running Grafana, taken with chromium.

``GRAFANA_URL`` says where it is; ``GRAFANA_TOKEN_FILE`` names a file with a service account's token where it asks for
one (or GRAFANA_TOKEN holds it). Pictures go to ``docs/pictures/dashboards``, or where ``--folder`` says.
"""

import argparse
import os
import sys
import urllib.error
import urllib.request
from pathlib import Path

from grafana_queries import ROOT, documents
from playwright.sync_api import sync_playwright

WIDE = {"width": 1920, "height": 1080}
MOST_HEIGHT = 6000
_SETTLED_MS = 60_000


def main() -> int:
    """Take the pictures; 2 where there is no Grafana to take them of."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=ROOT / "docs" / "pictures" / "dashboards")
    parser.add_argument("--theme", choices=("dark", "light"), default="dark")
    parser.add_argument(
        "--from", dest="start", default="", help="Start of the time range; each dashboard's own if not given."
    )
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    arguments = parser.parse_args()
    url = os.environ.get("GRAFANA_URL", "").rstrip("/")
    if not url:
        print("no pictures: GRAFANA_URL does not say where a Grafana is", file=sys.stderr)
        return 2
    try:
        urllib.request.urlopen(f"{url}/api/health", timeout=10).close()
    except (urllib.error.URLError, OSError, ValueError) as error:
        print(f"no pictures: no Grafana answers at {url}: {error}", file=sys.stderr)
        return 2
    arguments.folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=arguments.chromium)
        page = browser.new_page(viewport=WIDE, extra_http_headers=_credentials())
        for uid in documents():
            span = f"&from={arguments.start}&to=now" if arguments.start else ""
            page.goto(
                f"{url}/d/{uid}?kiosk&theme={arguments.theme}{span}", wait_until="networkidle", timeout=_SETTLED_MS
            )
            tall = page.evaluate("document.querySelector('.react-grid-layout')?.scrollHeight ?? 0")
            page.set_viewport_size({**WIDE, "height": min(MOST_HEIGHT, max(WIDE["height"], int(tall) + 120))})
            page.wait_for_load_state("networkidle", timeout=_SETTLED_MS)
            page.screenshot(path=arguments.folder / f"{uid}.png")
            page.set_viewport_size(WIDE)
            print(arguments.folder / f"{uid}.png")
        browser.close()
    return 0


def _credentials() -> dict[str, str]:
    file = os.environ.get("GRAFANA_TOKEN_FILE")
    token = Path(file).read_text().strip() if file else os.environ.get("GRAFANA_TOKEN", "")
    return {"Authorization": f"Bearer {token}"} if token else {}


if __name__ == "__main__":
    raise SystemExit(main())
