"""The control room in a real browser, on a running platform with a simulated city in it."""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect, sync_playwright
from sla_rows import MINUTE, sla_row
from spine import ENGINE, Spine

from milepost.embedded.process import Part, environment
from milepost.reading.sla.acks import acknowledge
from milepost.settings import Service, Settings
from milepost.store.client import writer
from milepost.store.tables import SLA_EVENTS

pytestmark = [pytest.mark.needs_platform, pytest.mark.needs_browser, pytest.mark.timeout(240)]

Command = Callable[..., subprocess.CompletedProcess[str]]
DESK, PHONE = (1920, 1080), (360, 740)
REFRESH_MS = 10_000
SHARED_SECONDS = 5.5
RATIOS = ("promise_kept", "otif", "on_time", "first_attempt_success")
GAUGES = ("open_orders", "overdue_orders", "orphan_orders")


@pytest.fixture(scope="module")
def city(
    tmp_path_factory: pytest.TempPathFactory, free_settings: Callable[[], Settings], milepost: Command
) -> Iterator[Spine]:
    """A platform with an insights service, and two days of a simulated city up to now."""
    folder, settings = tmp_path_factory.mktemp("control-room"), free_settings()
    with Spine(folder, settings, milepost) as spine:
        name = Service.INSIGHTS.value
        command = (sys.executable, "-m", "milepost.cli", "run", name)
        port = settings.port_of(Service.INSIGHTS)
        spine.platform.add(Part(name, command, port, "/readyz", environment=environment(settings)))
        spine.platform.start(name, wait=False)
        file = folder / "city.jsonl"
        start = f"{datetime.now(UTC) - timedelta(days=2):%Y-%m-%dT%H:00:00Z}"
        milepost(settings, "simulate", "--orders=500", "--days=2", f"--start={start}", f"--out={file}")
        # What has not happened yet is refused.
        milepost(settings, "send", str(file), check=False)
        spine.catch_up()
        _put_slas(settings)
        spine.platform.wait_ready(name)
        yield spine


def _put_slas(settings: Settings) -> None:
    """SLAs in every state, whatever the city's own orders have: of one hub, and of the first order delivered."""
    now = datetime.now(UTC)
    with writer(settings) as store:
        ((order,),) = store.query(
            "SELECT order_id FROM orders WHERE delivered_at > 0 ORDER BY deadline, order_id LIMIT 1"
        )
        due, soon = now - 30 * MINUTE, now + 12 * MINUTE
        warned = {"milestone": "out", "since": now - 40 * MINUTE, "threshold": 0.5, "hub_id": "hub-01"}
        rows = [
            sla_row(order, "promise", due, "at_risk", "predicted", due - 20 * MINUTE, chance=0.3, eta=due, **warned),
            sla_row(order, "promise", due, "breached", "silent", due, last_heard=due - 9 * MINUTE),
            sla_row(order, "promise", due, "resolved", "met_late", now, moment=now),
            sla_row(f"{'long-' * 20}id", "transit", due, "breached", "late", due, hub_id="hub-01", milestone="out"),
            sla_row("noted", "silence", due, "breached", "silent", due, hub_id="hub-01", last_heard=due),
            sla_row("risk", "promise", soon, "at_risk", "predicted", now, chance=0.2, expected=soon + MINUTE, **warned),
        ]
        store.insert(SLA_EVENTS, rows)
        acknowledge(store, "noted", "Ann", "the courier’s phone is off; a colleague takes the rest of the route over")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The system's Chromium."""
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        yield running
        running.close()


class Visit:
    """A page opened, and everything it asked for or complained of."""

    def __init__(self, browser: Browser, base: str, size: tuple[int, int], scheme: Any = "light") -> None:
        self.base = base
        self.context = browser.new_context(
            viewport={"width": size[0], "height": size[1]}, color_scheme=scheme, reduced_motion="reduce"
        )
        self.page: Page = self.context.new_page()
        self.asked: list[str] = []
        self.complaints: list[str] = []
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def go(self, path: str) -> Page:
        """Open a path."""
        self.page.goto(self.base + path)
        return self.page

    def exact(self, name: str) -> str:
        """The value of a tile as programs read it."""
        return self.page.locator(f"#tile-{name} data").get_attribute("value") or ""


@pytest.fixture
def visit(browser: Browser, city: Spine) -> Iterator[Callable[..., Visit]]:
    """Opens pages; at the end none has complained or asked anybody else."""
    made: list[Visit] = []

    def open_one(size: tuple[int, int] = DESK, scheme: str = "light") -> Visit:
        made.append(Visit(browser, city.settings.insights_url, size, scheme))
        return made[-1]

    yield open_one
    for one in made:
        one.context.close()
        assert one.complaints == []
        assert {urlsplit(url).hostname for url in one.asked} == {"127.0.0.1"}


def as_told(rows: list[dict[str, Any]]) -> dict[str, str]:
    """What the tiles must say, from the rows of ``milepost kpi --json``."""
    by_name = {row["kpi"]: row for row in rows}
    told = {name: by_name[name]["value"] for name in RATIOS}
    told |= {name: by_name[name]["numerator"] for name in GAUGES}
    told["delivery_time"] = by_name["delivery_time"]["p50"]
    return {name: "" if value is None else str(value) for name, value in told.items()}


def test_the_numbers_are_those_of_the_command(visit: Callable[..., Visit], city: Spine) -> None:
    seen = visit()
    for _ in range(5):
        # A minute may end, or an order become overdue, between the two.
        page = seen.go("/")
        shown = {name: seen.exact(name) for name in (*RATIOS, *GAUGES, "delivery_time")}
        told = as_told(json.loads(city.command("kpi", "--json"))["rows"])
        if shown == told:
            break
        time.sleep(SHARED_SECONDS)
    assert shown == told
    assert all(shown[name] for name in RATIOS)
    hubs = {row["dimensions"]["hub_id"]: row for row in city.ask(by=("hub_id",), kpis=("promise_kept",))}
    assert page.locator(".hubs tbody tr").count() == len(hubs)
    for hub, row in hubs.items():
        line = page.locator(f'[data-key="hub-{hub}"]')
        assert line.locator("data").get_attribute("value") == str(row["value"])
        assert f"{row['denominator']:,}" in line.inner_text().replace("\u202f", ",")


def test_it_keeps_itself_up_to_date_and_disturbs_nobody(visit: Callable[..., Visit], city: Spine) -> None:
    seen = visit((1280, 500))
    seen.page.clock.install()
    page = seen.go("/")
    before = int(seen.exact("open_orders"))
    page.locator("#meanings-hubs summary").click()
    link = page.locator('[data-key="hub-hub-01"] a')
    link.focus()
    page.evaluate("scrollTo(0, 400)")
    now = datetime.now(UTC)
    order = {
        "order_id": "seen-live", "hub_id": "hub-01", "lines": [{"sku": "s", "quantity": 1}],
        "promised_until": (now + timedelta(hours=1)).isoformat(),
    }  # fmt: skip
    placed = httpx.post(f"{city.settings.edge_url}/v1/orders", json=order)
    assert placed.status_code == 202
    city.catch_up()
    time.sleep(SHARED_SECONDS)
    page.clock.fast_forward(REFRESH_MS)
    expect(page.locator("#tile-open_orders data")).to_have_attribute("value", str(before + 1))
    assert link.evaluate("link => link === document.activeElement")
    assert page.evaluate("scrollY") == 400
    assert page.locator("#meanings-hubs").get_attribute("open") is not None
    # It stands still when told to.
    page.get_by_role("button", name="Pause").click()
    asked = len(seen.asked)
    page.clock.fast_forward(3 * REFRESH_MS)
    page.wait_for_timeout(200)
    assert len(seen.asked) == asked


def test_a_lost_connection_is_said_loudly_and_mends(visit: Callable[..., Visit]) -> None:
    seen = visit()
    seen.page.clock.install()
    page = seen.go("/")
    assert page.locator("#banner").is_hidden()
    seen.context.set_offline(True)
    page.clock.fast_forward(REFRESH_MS)
    page.locator("#banner.loud").wait_for()
    assert "No connection" in page.locator("#banner").inner_text()
    seen.context.set_offline(False)
    page.clock.fast_forward(REFRESH_MS)
    page.locator("#banner:not(.loud)").wait_for(state="attached")
    # The browser notes the failed request by itself; nothing else is complained of.
    assert all("ERR_INTERNET_DISCONNECTED" in said for said in seen.complaints)
    seen.complaints.clear()


OUTSIDE = """[...document.querySelectorAll('main *, header *')].filter(one => {
    const box = one.getBoundingClientRect();
    const unseen = one.closest('.scroll, .hidden, svg, details:not([open]) > :not(summary)');
    return box.width && !unseen && (box.right > innerWidth + 1 || box.left < -1);
}).map(one => one.outerHTML.slice(0, 160))"""


def fits(page: Page) -> bool:
    """Whether nothing lies outside what a person can scroll to."""
    wide, room = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    outside = page.evaluate(OUTSIDE)
    assert outside == [], page.url
    return bool(wide <= room)


def pages(seen: Visit) -> dict[str, str]:
    """One page of each kind, the order's by way of the list."""
    order = seen.go("/orders?state=delivered").locator("table a").first.get_attribute("href") or ""
    return {
        "control room": "/", "week": "/?window=7d&tz=Asia/Kathmandu", "hub": "/hub?id=hub-01",
        "orders": "/orders?state=overdue", "slas": "/sla", "order": order,
    }  # fmt: skip


def test_every_page_fits_every_screen(visit: Callable[..., Visit]) -> None:
    seen = visit()
    sizes = (DESK, (1680, 1050), (1366, 768), (800, 1100), PHONE)
    for path in pages(seen).values():
        page = seen.go(path)
        for width, height in sizes:
            page.set_viewport_size({"width": width, "height": height})
            assert fits(page), (path, width)
    page = seen.go("/")
    for width, height in sizes:
        page.set_viewport_size({"width": width, "height": height})
        # The ranking is not to be scrolled for its last column.
        assert page.locator(".hubs .scroll").evaluate("box => box.scrollWidth <= box.clientWidth + 1"), width
        for name in ("overdue_orders", "at_risk_orders", "pace", "promise_kept", "otif", "delivery_time"):
            page.locator(f"#tile-{name} summary").click()
            assert fits(page), (name, width)
            page.keyboard.press("Escape")


@pytest.mark.parametrize(
    ("size", "scheme", "kinds"),
    [(DESK, "light", ("control room", "order")), (PHONE, "dark", ("hub", "slas"))],
)
def test_everybody_can_read_it(
    visit: Callable[..., Visit], size: tuple[int, int], scheme: str, kinds: tuple[str, ...]
) -> None:
    seen = visit(size, scheme)
    paths = pages(seen)
    for kind in kinds:
        found = Axe().run(seen.go(paths[kind])).response["violations"]
        assert [(one["id"], [node["html"] for node in one["nodes"]]) for one in found] == [], kind


def test_it_can_be_used_from_the_keyboard(visit: Callable[..., Visit]) -> None:
    seen = visit()
    listed = seen.go("/orders?state=delivered").locator("table a").first
    order = listed.inner_text()
    listed.focus()
    seen.page.keyboard.press("Enter")
    seen.page.get_by_role("heading", level=1, name=f"Order {order}").wait_for()
    page = seen.go("/")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the numbers"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "live"
    page.locator("#tile-promise_kept summary").focus()
    page.keyboard.press("Enter")
    text = page.locator("#tile-promise_kept .text")
    assert text.is_visible()
    assert "What never came counts as broken" in text.inner_text()
    page.keyboard.press("Escape")
    assert text.is_hidden()
    page.locator(".hubs tbody a").first.focus()
    page.keyboard.press("Enter")
    page.get_by_role("heading", level=1, name="Hub hub-").wait_for()
    page.get_by_label("Order", exact=True).fill(order)
    page.keyboard.press("Enter")
    page.get_by_role("heading", level=1, name=f"Order {order}").wait_for()
    page.get_by_label("Order", exact=True).fill("not heard of")
    page.keyboard.press("Enter")
    page.get_by_text("nothing was ever heard of an order").wait_for()
    # The browser notes every 404 by itself.
    assert ["404" in said for said in seen.complaints] == [True]
    seen.complaints.clear()
    page.get_by_role("link", name="To the control room").click()
    page.get_by_role("heading", name="Hubs, worst first").wait_for()


def test_while_the_store_is_away_the_last_numbers_stand_there_as_such(visit: Callable[..., Visit], city: Spine) -> None:
    seen = visit()
    page = seen.go("/")
    kept = seen.exact("otif")
    city.platform.kill(ENGINE)
    time.sleep(SHARED_SECONDS)
    page = seen.go("/")
    assert "The store is away" in page.locator("#banner.loud").inner_text()
    assert "are of" in page.locator("#banner").inner_text()
    assert seen.exact("otif") == kept
    seen.go("/?window=1h")
    seen.complaints.clear()
    city.platform.start(ENGINE)
    page.goto(city.settings.insights_url)
    page.locator("#banner:not(.loud)").wait_for(state="attached")


def test_the_files_are_in_the_package() -> None:
    folder = Path(__file__).parents[2] / "services" / "milepost" / "insights" / "control_room"
    assert {path.name for path in (folder / "static").iterdir()} == {
        "control-room.css", "control-room.js", "milepost.svg",
    }  # fmt: skip
