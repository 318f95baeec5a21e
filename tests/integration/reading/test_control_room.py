"""The control room over the real engine: its numbers are those of the queries, and nothing in it is believed."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from milepost.access.keys import KeyFile, Right, new_key, write_keys
from milepost.domain import facts as f
from milepost.insights.app import create_app
from milepost.reading.kpis import answer
from milepost.reading.question import ask, floor_minute
from milepost.reading.series import floor_step, read_steps
from milepost.settings import Settings
from milepost.store.client import reader, writer
from milepost.store.tables import EVENTS, ORDERS, Table

pytestmark = pytest.mark.needs_platform
NASTY = "<img src=x onerror=alert(1)>\"'&"


def client(settings: Settings) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app=create_app(settings), client=("127.0.0.1", 1234))
    return httpx.AsyncClient(transport=transport, base_url="http://localhost")


def stored_row(table: Table, **known: Any) -> tuple[Any, ...]:
    """A row of ``table``: what is known, else nothing."""
    empty = {name: "" if "String" in kind else ([] if "Array" in kind else 0) for name, kind in table.columns.items()}
    return tuple((empty | known).values())


def exact(html: str, name: str) -> str:
    """The value a tile gives to programs."""
    tile = html.split(f'id="tile-{name}"', 1)[1].split("</article>", 1)[0]
    found = re.search(r'<data value="([^"]*)"', tile)
    assert found, tile
    return found[1]


@pytest.mark.parametrize("window", ["1h", "24h", "7d"])
async def test_the_pages_numbers_are_those_of_the_command(
    installation: Settings, minutes: Any, orders: datetime, window: str
) -> None:
    async with client(installation) as room:
        html = (await room.get("/", params={"window": window})).text
    read_at = re.search(r'id="asof" datetime="([^"]*)"', html)
    assert read_at
    now = datetime.fromisoformat(read_at[1])
    with reader(installation) as store:
        rows = {row.kpi: row for row in answer(store, ask(now, window=window), now).rows}
        hubs = answer(store, ask(now, window=window, by=("hub_id",), kpis=("promise_kept",)), now).rows
    for name in ("promise_kept", "otif", "on_time", "first_attempt_success"):
        value = rows[name].value
        assert exact(html, name) == ("" if value is None else str(value))
    p50 = rows["delivery_time"].p50
    assert exact(html, "delivery_time") == (str(p50) if isinstance(p50, float) else "")
    for name in ("open_orders", "overdue_orders", "orphan_orders"):
        assert exact(html, name) == str(rows[name].numerator)
    for row in hubs:
        line = html.split(f'data-key="hub-{row.dimensions["hub_id"]}"', 1)[1].split("</tr>", 1)[0]
        assert f'<data value="{"" if row.value is None else row.value}">' in line


@pytest.mark.parametrize(("step", "hours"), [(5, 2), (60, 30), (360, 60)])
def test_steps_add_up_to_the_window(installation: Settings, minutes: Any, step: int, hours: int) -> None:
    end = minutes.last - timedelta(minutes=7)
    start, width = end - timedelta(hours=hours), timedelta(minutes=step)
    question = ask(datetime.now(UTC), start=start.isoformat(), end=end.isoformat(), kpis=("promise_kept", "on_time"))
    with reader(installation) as store:
        steps = read_steps(store, question, width)
    assert (steps[0].start, steps[-1].end) == (start, end)
    for one in steps:
        expected = minutes.sums(one.start, one.end).get((), {})
        assert floor_step(one.start, width) + width >= one.end
        for name in ("due", "kept", "delivered", "on_time"):
            assert one.sums.measures.get(name, 0) == expected.get(name, 0)


async def test_the_pace_is_that_of_the_last_hour_and_the_same_a_week_before(
    installation: Settings, minutes: Any
) -> None:
    async with client(installation) as room:
        html = (await room.get("/")).text
    ended = floor_minute(datetime.now(UTC))
    possible = {
        str(minutes.sums(end - timedelta(hours=1), end).get((), {}).get("delivered", 0))
        for end in (ended, ended - timedelta(minutes=1))
    }
    assert exact(html, "pace") in possible
    # The minutes go back five days.
    assert "nothing on record a week before" in html


async def test_from_a_hub_down_to_an_order(installation: Settings, orders: datetime) -> None:
    async with client(installation) as room:
        hub = (await room.get("/hub", params={"id": "BER-1"})).text
        assert exact(hub, "overdue_orders") == "1"
        overdue, due_next = hub.split('id="overdue"', 1)[1].split('id="open"', 1)
        assert '"/order?id=overdue-1"' in overdue
        assert "overdue-2" not in overdue
        assert '"/order?id=open-1"' in due_next
        assert "overdue-1" not in due_next.split("</table>", 1)[0]
        told = await room.get("/order", params={"id": "overdue-1", "tz": "Europe/Berlin"})
        assert "Europe/Berlin" in told.text
        assert (await room.get("/order", params={"id": "nobody"})).status_code == 404
        for state, order in (("orphan", "orphan-1"), ("abandoned", "abandoned-1"), ("closed", "closed-1")):
            assert order in (await room.get("/orders", params={"state": state})).text


async def test_whatever_others_wrote_stays_text(installation: Settings) -> None:
    now = int(datetime.now(UTC).timestamp()) * 1_000_000
    hour = 3_600_000_000
    common = {
        "placed_at": now - hour,
        "last_event_at": now,
        "state": "out",
        "version": 3,
        "agreed_until": now - 1,
        "facts": f.encode([]),
    }
    rows = [
        stored_row(ORDERS, order_id="..", hub_id="a..b", courier_id=NASTY, deadline=now - 2, **common),
        stored_row(ORDERS, order_id="x:1", hub_id="..", merchant_id=NASTY, deadline=now - 3, **common),
    ]
    told = stored_row(
        EVENTS, subject="..", source=NASTY, id=NASTY, type="milepost.delivery.lost.v1", time=now,
        data='{"reason_code": "<b>x</b>"}',
    )  # fmt: skip
    with writer(installation) as store:
        store.insert(ORDERS, rows)
        store.insert(EVENTS, [told])
    async with client(installation) as room:
        pages = [
            await room.get("/"),
            await room.get("/hub", params={"id": "a..b"}),
            await room.get("/hub", params={"id": ".."}),
            await room.get("/orders", params={"state": "overdue"}),
            await room.get("/order", params={"id": ".."}),
        ]
    assert [page.status_code for page in pages] == [200] * 5
    for page in pages:
        assert "<img src=x" not in page.text
        assert "<b>x</b>" not in page.text
    front, first, second, listed, order = (page.text for page in pages)
    # An id that is a step in a path goes into a parameter, where it is none.
    assert '"/hub?id=.."' in front
    assert '"/hub?id=a..b"' in front
    assert '"/order?id=.."' in first
    assert '"/order?id=x%3A1"' in second
    assert "&lt;img src=x" in listed
    assert "&lt;b&gt;x" in order


async def test_a_merchant_sees_its_own_orders_alone(
    installation: Settings, orders: datetime, minutes: Any, tmp_path: Path
) -> None:
    path = tmp_path / "keys.json"
    key, stored = new_key("m1", (Right.READ,), "/m1", "m1")
    whole, all_stored = new_key("all", (Right.READ,), "/all")
    write_keys(path, KeyFile((stored, all_stored)))
    mine, everyone = ({"Authorization": f"Bearer {one}"} for one in (key, whole))
    async with client(installation.model_copy(update={"keys": path})) as room:
        # First those who may see all: what they are shown is not to be shared with the merchant.
        everything = (await room.get("/?window=7d", headers=everyone)).text
        await room.get("/order?id=overdue-1", headers=everyone)
        await room.get("/orders?state=overdue", headers=everyone)
        own = (await room.get("/?window=7d", headers=mine)).text
        listed = (await room.get("/orders?state=overdue", headers=mine)).text
        assert (await room.get("/order?id=overdue-1", headers=mine)).status_code == 404
    assert exact(own, "overdue_orders") == "1"
    assert exact(own, "otif") != exact(everything, "otif")
    assert "overdue-2" in listed
    assert "overdue-1" not in listed


async def test_old_numbers_are_called_old(installation: Settings, minutes: Any) -> None:
    with writer(installation) as store:
        old = int((datetime.now(UTC) - timedelta(minutes=9)).timestamp()) * 1_000_000
        store.command(
            "INSERT INTO progress_store (partition, next_offset, end_offset, applied_until, event_time, checked_at) "
            f"VALUES (0, 5, 9, {old}, {old}, {old})"
        )
    async with client(installation) as room:
        html = (await room.get("/")).text
    assert "<strong>Behind.</strong>" in html
    assert "9 min</strong> ago" in html
