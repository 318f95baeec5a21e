"""Open SLAs, an order's SLAs and acknowledgements, from the real engine: queries, command, API and metrics."""

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import httpx
import pytest
from sla_rows import MINUTE, sla_row
from typer.testing import CliRunner

from milepost.access.keys import KeyFile, Right, new_key, write_keys
from milepost.cli.main import build
from milepost.exporter.app import create_app as create_exporter
from milepost.insights.app import create_app
from milepost.reading.orders import find_order
from milepost.reading.question import QuestionError
from milepost.reading.sla.acks import acknowledge
from milepost.reading.sla.asked import Wanted
from milepost.reading.sla.open import find_open
from milepost.reading.sla.orders import find_order_slas
from milepost.reading.sla.summary import read_hub_counts
from milepost.settings import Settings
from milepost.store.client import reader, writer
from milepost.store.erasures import erase
from milepost.store.tables import SLA_ACKS, SLA_EVENTS

pytestmark = pytest.mark.needs_platform
Command = Callable[..., CompletedProcess[str]]

WORST_FIRST = ["late-long", "silent", "late", "risk-low", "risk", "noted"]


@pytest.fixture(scope="module")
def now(installation: Settings) -> datetime:
    """The moment as of which these SLAs stand; each order's id says how."""
    now = datetime.now(UTC).replace(microsecond=0)
    past, soon = now - 10 * MINUTE, now + 20 * MINUTE
    ham = {"hub_id": "HAM-1", "merchant_id": "m2"}
    risk = {"milestone": "out", "since": now - 40 * MINUTE, "threshold": 0.5, "expected": soon + 7 * MINUTE}
    rows = [
        sla_row("late-long", "promise", now - 90 * MINUTE, "breached", "late", now - 90 * MINUTE),
        sla_row("late", "promise", past, "at_risk", "predicted", past - 22 * MINUTE, chance=0.41, **risk),
        sla_row("late", "promise", past, "breached", "late", past, last_heard=past - 4 * MINUTE),
        # The same state, written again after a crash.
        sla_row("late", "promise", past, "breached", "late", past, last_heard=past - 4 * MINUTE, version=2),
        sla_row("silent", "silence", now - 25 * MINUTE, "breached", "silent", now - 25 * MINUTE, limit_us=1, **ham),
        sla_row("risk", "promise", soon, "at_risk", "predicted", now - MINUTE, chance=0.4, **risk),
        sla_row("risk-low", "promise", soon, "at_risk", "predicted", now - MINUTE, chance=0.1, **risk, **ham),
        sla_row("noted", "transit", now - 99 * MINUTE, "breached", "late", now - 99 * MINUTE),
        sla_row("eased", "promise", soon, "at_risk", "predicted", now - 9 * MINUTE, chance=0.4),
        sla_row("eased", "promise", soon, "eased", "predicted", now - 2 * MINUTE, chance=0.8),
        sla_row("met", "promise", past, "breached", "silent", past),
        sla_row("met", "promise", past, "resolved", "met_late", now - 5 * MINUTE, moment=now - 5 * MINUTE),
        sla_row("moved", "promise", past, "at_risk", "predicted", past - MINUTE, chance=0.4),
        sla_row("moved", "promise", past, "withdrawn", "moved", past),
        # Nobody will come back to it: abandoned.
        sla_row("old", "promise", now - timedelta(days=31), "breached", "late", now - timedelta(days=31)),
    ]  # fmt: skip
    with writer(installation) as store:
        store.insert(SLA_EVENTS, rows[:4])
        store.insert(SLA_EVENTS, rows[4:])
        acknowledge(store, "noted", "Ann", "a van is on its way")
        # Ann took note of the warning; the breach is news.
        store.insert(SLA_ACKS, [("late", "promise", int(past.timestamp()) * 1_000_000, "at_risk", 1, "Ann", "")])
    return now


def ids(settings: Settings, now: datetime, wanted: Wanted | None = None) -> list[str]:
    with reader(settings) as store:
        return [item.order_id for item in find_open(store, now, wanted).items]


def test_what_is_open_comes_worst_first_and_acknowledged_last(installation: Settings, now: datetime) -> None:
    with reader(installation) as store:
        page = find_open(store, now)
    assert [item.order_id for item in page.items] == WORST_FIRST
    late = page.items[2]
    assert (late.state, late.cause, late.overdue_minutes, late.chance) == ("breached", "late", 10.0, None)
    assert (late.acknowledged, page.next) == (None, None)
    assert page.items[3].overdue_minutes == -20.0
    assert page.items[3].said.startswith("the chance to keep it fell to 10 %, under the 50 % that warns")
    noted = page.items[-1].acknowledged
    assert noted is not None
    assert (noted.by, noted.note, noted.state) == ("Ann", "a van is on its way", "breached")


def test_hubs_are_summed_up_the_worst_first(installation: Settings, now: datetime) -> None:
    with reader(installation) as store:
        berlin, hamburg = find_open(store, now, limit=1).summary
    assert (berlin.hub_id, berlin.orders, berlin.at_risk, berlin.unacknowledged) == ("BER-1", 4, 1, 3)
    assert (berlin.breached, berlin.worst_overdue_minutes) == ({"promise": 2, "transit": 1}, 99.0)
    assert (hamburg.hub_id, hamburg.breached, hamburg.at_risk) == ("HAM-1", {"silence": 1}, 1)


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (Wanted(hub_id="HAM-1"), ["silent", "risk-low"]),
        (Wanted(rule="promise", state="breached"), ["late-long", "late"]),
        (Wanted(state="at_risk", merchant_id="m1"), ["risk"]),
        (Wanted(acknowledged=True), ["noted"]),
        (Wanted(hub_id="BER-1", acknowledged=False), ["late-long", "late", "risk"]),
        (Wanted(hub_id="nowhere"), []),
    ],
)
def test_it_can_be_narrowed(installation: Settings, now: datetime, wanted: Wanted, expected: list[str]) -> None:
    assert ids(installation, now, wanted) == expected


def test_pages_follow_one_another_without_gap(installation: Settings, now: datetime) -> None:
    found: list[str] = []
    cursor = None
    with reader(installation) as store:
        for _ in range(3):
            page = find_open(store, now, limit=2, cursor=cursor)
            found += [item.order_id for item in page.items]
            cursor = page.next
        assert cursor is None
        with pytest.raises(QuestionError, match="is not one that this service gave"):
            find_open(store, now, cursor="x")
    assert found == WORST_FIRST
    with pytest.raises(QuestionError, match="there are promise, prepare"):
        Wanted(rule="speed")
    with pytest.raises(QuestionError, match="there are at_risk, breached"):
        Wanted(state="resolved")


def test_metrics_count_orders_that_are_at_risk_and_not_due_yet(installation: Settings, now: datetime) -> None:
    with reader(installation) as store:
        at_risk, breached = read_hub_counts(store, now)
        later, _ = read_hub_counts(store, now + 30 * MINUTE)
    assert at_risk == {"BER-1": 1, "HAM-1": 1}
    assert breached == {("promise", "BER-1"): 2, ("transit", "BER-1"): 1, ("silence", "HAM-1"): 1}
    # Their moment has passed: the breach is about to be found, but a warning it is no more.
    assert later == {}


async def test_the_exporter_serves_them(installation: Settings, now: datetime, orders: datetime) -> None:
    app = create_exporter(installation)
    await asyncio.to_thread(app.state.refresher.refresh)
    text = app.state.refresher.exposition().decode()
    assert 'milepost_at_risk_orders{hub_id="HAM-1"} 1.0' in text
    assert 'milepost_sla_breached_orders{rule="silence",hub_id="HAM-1"} 1.0' in text
    assert 'milepost_sla_breached_orders{rule="door",hub_id="HAM-1"} 0.0' in text


def test_an_order_is_explained_with_all_that_happened(installation: Settings, now: datetime) -> None:
    with reader(installation) as store:
        found = find_order_slas(store, "late", now)
        timeline = find_order(store, "late", now)
        assert find_order_slas(store, "nobody", now) is None
    assert found is not None
    assert (found.hub_id, found.merchant_id) == ("BER-1", "m1")
    (life,) = found.slas
    assert (life.rule, life.state, life.open, life.policy_version) == ("promise", "breached", True, 3)
    assert [step.state for step in life.steps] == ["at_risk", "breached"]
    assert [(ack.state, ack.by) for ack in life.acknowledgements] == [("at_risk", "Ann")]
    # Nothing but its SLA is known of it, so there is no timeline.
    assert timeline is None


def test_an_acknowledgement_is_for_what_is_open_and_the_latest_counts(
    installation: Settings, now: datetime, unique: str
) -> None:
    due, name = now - MINUTE, f"{unique}-ack"
    warned = sla_row(name, "promise", due, "at_risk", "predicted", due - MINUTE, chance=0.3, hub_id="ack")
    broken = sla_row(name, "promise", due, "breached", "late", due, hub_id="ack")
    silent = sla_row(name, "silence", due, "breached", "silent", due, hub_id="ack")
    here = Wanted(hub_id="ack", acknowledged=True)
    with writer(installation) as store:
        store.insert(SLA_EVENTS, [warned, silent])
        assert [life.rule for life in acknowledge(store, name, "Ann", rule="promise")] == ["promise"]
        assert [life.rule for life in acknowledge(store, name, "Bob", "on the phone")] == ["promise", "silence"]
        found = find_open(store, now, here).items
        assert [(item.rule, item.acknowledged.by if item.acknowledged else "") for item in found] == [
            ("silence", "Bob"),
            ("promise", "Bob"),
        ]
        store.insert(SLA_EVENTS, [broken])
        assert [item.rule for item in find_open(store, now, here).items] == ["silence"]
        ended = [sla_row(name, rule, due, "resolved", "met_late", now, hub_id="ack") for rule in ("promise", "silence")]
        store.insert(SLA_EVENTS, ended)
        assert acknowledge(store, name, "Ann") == []
        for by, note in ((" ", ""), ("Ann", "\x1b[2J"), ("Ann", "x" * 1_001)):
            with pytest.raises(QuestionError):
                acknowledge(store, name, by, note)


def test_a_note_goes_with_the_personal_data_of_its_order(installation: Settings, now: datetime, unique: str) -> None:
    with writer(installation) as store:
        store.insert(SLA_EVENTS, [sla_row(unique, "door", now, "breached", "late", now, hub_id="gone")])
        acknowledge(store, unique, "Ann", "Ms Roe waits in the yard")
        erase(store, [unique])
        found = find_order_slas(store, unique, now)
    assert found is not None
    assert [(ack.by, ack.note) for ack in found.slas[0].acknowledgements] == [("Ann", "")]


def test_the_command_lists_explains_and_acknowledges(
    installation: Settings, now: datetime, unique: str, milepost: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"{unique}-cli"
    monkeypatch.setattr("milepost.settings.load", lambda: installation)

    def run(*arguments: str, code: int = 0) -> str:
        done = CliRunner().invoke(build(), ["sla", *arguments])
        assert done.exit_code == code, done.output
        return done.output

    with writer(installation) as store:
        store.insert(SLA_EVENTS, [sla_row(name, "promise", now, "breached", "late", now, hub_id="CLI-1")])
    listed = run("ls", "--hub", "CLI-1")
    assert "CLI-1  1 breached (promise 1), 1 order" in listed
    assert name in listed
    assert "there are promise" in " ".join(run("ack", name, "--by", "Ann", "--rule", "speed", code=2).split())
    # What people write is shown as they wrote it.
    assert f"order {name}, promise breached, by Ann" in run("ack", name, "--by", "Ann", "--note", "[bold]called[/x]")
    shown = run("show", name)
    assert "it was not delivered by" in shown
    assert "by Ann: [bold]called[/x]" in shown
    assert json.loads(run("show", name, "--json"))["slas"][0]["rule"] == "promise"
    told = json.loads(run("ls", "--unacknowledged", "--hub", "CLI-1", "--json"))
    assert (told["items"], told["summary"]) == ([], [])
    assert "has no open SLA" in run("ack", "met", "--by", "Ann", code=1)
    run("show", "nobody", code=1)
    run("ls", "--state", "resolved", code=2)
    run("ls", "--watch", "--json", code=2)
    gone = installation.model_copy(update={"clickhouse": "http://127.0.0.1:9"})
    monkeypatch.setattr("milepost.settings.load", lambda: gone)
    assert "Is the platform up" in run("ls", code=1)
    # As people run it.
    assert name in milepost(installation, "sla", "ls", "--hub", "CLI-1").stdout


def client(app: Any) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app=app, client=("127.0.0.1", 1234))
    return httpx.AsyncClient(transport=transport, base_url="http://localhost")


async def test_the_api_answers_the_same(installation: Settings, now: datetime) -> None:
    async with client(create_app(installation)) as api:
        first = (await api.get("/v1/sla", params={"limit": 1, "hub_id": "BER-1"})).json()
        second = (await api.get("/v1/sla", params={"hub_id": "BER-1", "cursor": first["next"]})).json()
        one = (await api.get("/v1/sla/late")).json()
        assert (await api.get("/v1/sla/nobody")).status_code == 404
        for wrong, field in (({"rule": "x"}, "rule"), ({"state": "resolved"}, "state"), ({"cursor": "x"}, "cursor")):
            refused = await api.get("/v1/sla", params=wrong)
            assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, f"/query/{field}")
    assert [item["order_id"] for item in first["items"] + second["items"]] == ["late-long", "late", "risk", "noted"]
    ((hub, of_first), (_, of_second)) = ((page["summary"][0]["hub_id"], page["summary"][0]) for page in (first, second))
    assert (hub, of_first["breached"]) == ("BER-1", of_second["breached"])
    assert [step["state"] for step in one["slas"][0]["steps"]] == ["at_risk", "breached"]


async def test_a_merchant_sees_its_own_alone(installation: Settings, now: datetime, tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    key, stored = new_key("m2", (Right.READ,), "/m2", "m2")
    write_keys(path, KeyFile((stored,)))
    async with client(create_app(installation.model_copy(update={"keys": path}))) as api:
        assert (await api.get("/v1/sla")).status_code == 401
        api.headers["Authorization"] = f"Bearer {key}"
        page = (await api.get("/v1/sla")).json()
        assert (await api.get("/v1/sla", params={"merchant_id": "m1"})).status_code == 403
        assert (await api.get("/v1/sla/late")).status_code == 404
        assert (await api.get("/v1/sla/silent")).status_code == 200
    assert [item["order_id"] for item in page["items"]] == ["silent", "risk-low"]
    assert [hub["hub_id"] for hub in page["summary"]] == ["HAM-1"]


async def test_the_pages_show_them(installation: Settings, now: datetime, unique: str) -> None:
    nasty = "<img src=x onerror=alert(1)>"
    name = f"{unique}-nasty"
    with writer(installation) as store:
        store.insert(
            SLA_EVENTS, [sla_row(name, "promise", now, "breached", "late", now, milestone=nasty, hub_id="PAGE")]
        )
        acknowledge(store, name, nasty, nasty)
    async with client(create_app(installation)) as room:
        front = (await room.get("/")).text
        listed = (await room.get("/sla")).text
        hub = (await room.get("/hub", params={"id": "PAGE"})).text
        one = (await room.get("/sla", params={"state": "at_risk", "tz": "Asia/Kathmandu"})).text
        assert (await room.get("/sla", params={"state": "resolved"})).status_code == 422
    assert 'id="tile-at_risk_orders"' in front
    assert '<data value="2">' in front.split('id="tile-at_risk_orders"')[1].split("</article>")[0]
    assert "late-long" in listed
    assert "risk-low" in one
    assert "late-long" not in one
    for html in (listed, hub):
        assert name in html
        assert "<img" not in html
        assert "&lt;img" in html
