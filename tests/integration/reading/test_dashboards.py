"""Every query of every dashboard, expanded as Grafana does, on the real engine: it runs, and says what KPIs say."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from grafana_queries import ALL, Chosen, Document, View, documents, queries, variable_queries

from milepost.domain.kpis import KPIS
from milepost.domain.measures import BUCKETS_PER_HISTOGRAM, STAGES, bucket_key, bucket_middle
from milepost.domain.sla.words import PROMISE, RANKS, State
from milepost.reading.kpis import answer
from milepost.reading.question import ask
from milepost.reading.rows import KpiRow
from milepost.settings import Settings
from milepost.store.client import reader, writer
from milepost.store.tables import EVENTS, SLA_EVENTS, Table
from milepost.store.tables import KPIS as MINUTES

pytestmark = pytest.mark.needs_platform

HUBS = ("BER-1", "HAM-1", "MUC-1")
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
DASHBOARDS = documents()
ONE_HUB = {"milepost-hub", "milepost-courier"}
PLAIN = {kpi.name: kpi for kpi in KPIS if kpi.stage is None}
DIMENSIONS = ("hub_id", "zone_id", "merchant_id", "courier_id")


def view(minutes: Any, uid: str, hub: Chosen = ALL) -> View:
    """Four days that end at a whole hour, seen at their end, so that what is asked for is the same everywhere."""
    end = minutes.last - 2 * HOUR
    chosen = {"hub": HUBS[0] if uid in ONE_HUB else hub, "zone": "Asia/Kolkata", "currency": "EUR", "stops": "1",
              "courier": "c1", "order": "overdue-1"}  # fmt: skip
    return View(end - 4 * DAY - 5 * HOUR, end, end, chosen, {"hub": HUBS})


def window(text: str, seen: View) -> tuple[datetime, datetime]:
    """The window of time a panel's SQL is about."""
    if "kpi_days" in text or "kpi_courier_days" in text:
        midnight = {"hour": 0, "minute": 0}
        return (seen.start + DAY).replace(**midnight), seen.now.replace(**midnight)
    if "kpi_minutes AS k" in text:
        return seen.now - HOUR, seen.now
    return seen.start, seen.end


def query_of(uid: str, part: str) -> str:
    """The query of the panel whose title has ``part`` in it."""
    (text,) = [text for panel, text in queries(DASHBOARDS[uid], "rawSql") if part in panel["title"]]
    return text


def same(found: float | None, known: float | None, rel: float = 1e-9) -> bool:
    """Whether two values are the same, or both are unknown."""
    return found is known if found is None or known is None else found == pytest.approx(known, rel=rel)


class Expected:
    """What `milepost kpi` says, asked once for each window, dimension and hub."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._known: dict[Any, dict[tuple[str, ...], KpiRow]] = {}

    def __call__(self, span: tuple[datetime, datetime], by: tuple[str, ...], seen: View) -> Any:
        hub = seen.chosen["hub"]
        where = [] if hub == ALL else [f"hub_id={one}" for one in ([hub] if isinstance(hub, str) else hub)]
        key = (span, by, tuple(where))
        if key not in self._known:
            start, end = (moment.isoformat() for moment in span)
            question = ask(datetime.now(UTC), start=start, end=end, by=by, where=where)
            with reader(self._settings) as store:
                rows = answer(store, question, datetime.now(UTC)).rows
            self._known[key] = {
                (row.kpi, row.dimensions.get("stage", ""), *(row.dimensions[name] for name in by)): row for row in rows
            }
        return self._known[key]


@pytest.fixture(scope="module")
def expected(installation: Settings) -> Expected:
    return Expected(installation)


def _stored(table: Table, **known: Any) -> tuple[Any, ...]:
    empty = {name: "" if "String" in kind else ([] if "Array" in kind else 0) for name, kind in table.columns.items()}
    return tuple((empty | known).values())


@pytest.fixture(scope="module")
def told(installation: Settings, minutes: Any, orders: datetime) -> Settings:
    """The installation with KPI minutes, orders, and of some an event and the life of their promise."""
    at = int((minutes.last - 3 * HOUR).timestamp()) * 1_000_000
    lives = {
        "overdue-1": [(State.AT_RISK, at - 600_000_000, 0.2), (State.BREACHED, at, -1.0)],
        "closed-1": [(State.AT_RISK, at - 300_000_000, 0.4), (State.RESOLVED, at, -1.0)],
        "overdue-2": [(State.BREACHED, at, -1.0)],
    }
    rows = [
        _stored(SLA_EVENTS, id=f"{order}-{state}", order_id=order, rule=PROMISE, base=at, due=at, state=state,
                rank=RANKS[state], at=moment, detected=moment + 1_000_000, chance=chance, hub_id="BER-1", version=1)
        for order, life in lives.items()
        for state, moment, chance in life
    ]  # fmt: skip
    with writer(installation) as store:
        store.insert(SLA_EVENTS, rows)
        store.insert(EVENTS, [_stored(EVENTS, subject="overdue-1", source="/shop", id="1", time=at, appended=at,
                                      type="milepost.order.placed.v1", data="{}")])  # fmt: skip
    return installation


@pytest.mark.parametrize(
    ("uid", "hub"),
    [
        *((uid, ALL) for uid in DASHBOARDS),
        ("milepost-control-room", "BER-1"),
        *((uid, ("BER-1", "MUC-1")) for uid in ("milepost-control-room", "milepost-delivery-time", "milepost-cost")),
    ],
    ids=str,
)
def test_panels_say_what_the_kpis_say(told: Settings, minutes: Any, expected: Expected, uid: str, hub: Chosen) -> None:
    seen = view(minutes, uid, hub)
    compared = 0
    with reader(told) as store:
        for panel, text in queries(DASHBOARDS[uid], "rawSql"):
            rows = store.named(seen.sql(text))
            _check_columns(panel, rows)
            if "kpi_" in text:
                assert rows, panel["title"]
                compared += _compare(panel, text, rows, expected, seen)
    assert compared > 2 or uid in ("milepost-order", "milepost-sla", "milepost-platform")


def _check_columns(panel: Document, rows: list[dict[str, Any]]) -> None:
    """What a panel formats, it is given."""
    if not rows:
        return
    formatted = {one["matcher"]["options"] for one in panel["fieldConfig"]["overrides"]}
    assert formatted <= set(rows[0]), panel["title"]
    if panel["type"] in ("timeseries", "heatmap"):
        assert rows == sorted(rows, key=lambda row: row["time"])


def _compare(panel: Document, text: str, rows: list[dict[str, Any]], expected: Expected, seen: View) -> int:
    title, compared = panel["title"], 0
    span = window(text, seen)
    if "time" in rows[0]:
        span = rows[-1]["time"].replace(tzinfo=UTC), (rows[-1]["time"] + HOUR).replace(tzinfo=UTC)
        rows = rows[-1:]
    by = tuple(name for name in DIMENSIONS if name in rows[0])
    if "courier_id = '" in seen.sql(text) or "band" in rows[0]:
        return 0
    found = expected(span, by, seen)
    for row in rows:
        labels = tuple(row[name] for name in by)
        for name in PLAIN.keys() & row.keys():
            one = found[name, "", *labels]
            assert same(row[name], one.value), (title, name)
            compared += 1
            if "behind" in row:
                assert f"{one.denominator:,} " in row["behind"], title
            counted = row.get(f"n_{PLAIN[name].denominator}")
            assert counted in (None, one.denominator), title
            if row.get(f"known_{name}") is not None:
                assert same(row[f"known_{name}"], one.coverage), title
            if "if_unknown_good" in row and isinstance(one.high, float):
                assert same(row["if_unknown_good"], one.high), title
        for name in {"p50", "p90", "p95"} & row.keys():
            assert same(row[name], getattr(found["delivery_time", "", *labels], name), 1e-3), title
            compared += 1
        for stage in set(STAGES) & row.keys():
            assert same(row[stage], found["stage_time", stage, *labels].value), title
            compared += 1
        if "stage" in row:
            assert same(row["mean"], found["stage_time", row["stage"]].value), title
            compared += 1
    return compared


def rows_of(told: Settings, minutes: Any, uid: str, part: str) -> tuple[list[dict[str, Any]], Any]:
    """What the panel with ``part`` in its title shows, and a function that sums the same window up."""
    seen, text = view(minutes, uid), query_of(uid, part)
    with reader(told) as store:
        return store.named(seen.sql(text)), partial(minutes.sums, *window(text, seen))


def test_reasons_are_ranked_by_how_often_they_were_given(told: Settings, minutes: Any) -> None:
    rows, sums = rows_of(told, minutes, "milepost-accuracy", "Why attempts fail")
    found = sums(("component", "activity")).items()
    given = {reason: counted["reasons"] for (of, reason), counted in found if of == "failed_attempt"}
    assert {row["reason"]: row["given"] for row in rows} == given
    assert [(row["reason"], row["place"], row["whose"]) for row in rows] == [
        ("not_home", "at the door", "customer"), ("weather", "never reached the door", "nobody"),
    ]  # fmt: skip
    whole = sum(given.values())
    assert [row["share"] for row in rows] == pytest.approx([given["not_home"] / whole, given["weather"] / whole])
    assert [row["cumulative"] for row in rows] == pytest.approx([given["not_home"] / whole, 1])
    ((named,), _) = rows_of(told, minutes, "milepost-customers", "What customers name")
    assert (named["reason"], named["share"]) == ("late", 1)


def test_the_margin_is_the_mean_known_fee_less_what_a_delivery_cost(told: Settings, minutes: Any) -> None:
    def margin(found: dict[str, int]) -> Any:
        return pytest.approx((found["fee"] / found["priced"] - found["cost"] / found["delivered"]) / 10_000)

    ((row,), sums) = rows_of(told, minutes, "milepost-cost", "Margin per delivery")
    assert row["margin"] == margin(sums()[()])
    rows, sums = rows_of(told, minutes, "milepost-cost", "By hub")
    by_hub = {row["hub_id"]: row for row in rows}
    for (hub,), found in sums(("hub_id",)).items():
        assert by_hub[hub]["margin"] == margin(found)
        assert by_hub[hub]["known_fee"] == pytest.approx(found["priced"] / found["delivered"])


def test_a_couriers_rates_are_those_of_the_kpis(told: Settings, minutes: Any, expected: Expected) -> None:
    seen = view(minutes, "milepost-courier")
    hidden = View(seen.start, seen.end, seen.now, {**seen.chosen, "stops": "1000000"}, seen.options)
    with reader(told) as store:
        for panel, text in queries(DASHBOARDS["milepost-courier"], "rawSql"):
            if panel["type"] != "stat":
                continue
            (row,), (too_few,) = store.named(seen.sql(text)), store.named(hidden.sql(text))
            found = expected(window(text, seen), ("courier_id",), seen)
            for name in (PLAIN.keys() | set(STAGES)) & row.keys():
                one = found[(name, "", "c1") if name in PLAIN else ("stage_time", name, "c1")]
                assert same(row[name], one.value), panel["title"]
                assert too_few[name] is None
                assert "too few stops" in too_few["behind"] or name != "first_attempt_success"


def buckets(minutes: Any, start: datetime, end: datetime) -> int:
    """How many deliveries the minutes' histograms hold; the fixture's measures are drawn apart from them."""
    sums = minutes.sums(start, end)[()]
    return sum(n for name, n in sums.items() if name.startswith("bucket ") and int(name[7:]) < BUCKETS_PER_HISTOGRAM)


def test_the_running_hour_is_in_the_quantiles_as_far_as_it_has_ended(told: Settings, minutes: Any) -> None:
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    first = int(hour.timestamp())
    key = bucket_key(0, 1_800_000_000)
    with writer(told) as store:
        store.insert(MINUTES, [
            _stored(MINUTES, grain=1, minute=first + 60 * number, hub_id="RUN-1", version=1, hist_bucket=[key, 5000],
                    hist_count=[1, 7])
            for number in range(120)
        ])  # fmt: skip
    seen = view(minutes, "milepost-delivery-time", "RUN-1")
    running = View(hour, hour + 2 * HOUR, hour, seen.chosen, seen.options)
    with reader(told) as store:
        before = (datetime.now(UTC) - hour) // timedelta(minutes=1)
        (row,) = store.named(running.sql(query_of("milepost-delivery-time", "so many")))
        after = (datetime.now(UTC) - hour) // timedelta(minutes=1)
    assert before <= row["orders"] <= after
    assert row["p95"] is None or same(row["p95"], bucket_middle(key) / 6e7, 1e-3)


def test_the_heatmap_counts_every_order_once(told: Settings, minutes: Any) -> None:
    seen = view(minutes, "milepost-delivery-time")
    text = query_of("milepost-delivery-time", "Distribution")
    with reader(told) as store:
        rows = store.named(seen.sql(text))
    counted = sum(value for row in rows for name, value in row.items() if name != "time")
    assert counted == buckets(minutes, seen.start, seen.end)
    bounds = [float(name.replace("+Inf", "inf")) for name in rows[0] if name != "time"]
    assert bounds == sorted(bounds)


def test_hours_of_the_week_are_those_of_the_time_zone(told: Settings, minutes: Any) -> None:
    seen = view(minutes, "milepost-delivery-time")
    text = query_of("milepost-delivery-time", "week")
    cells: dict[str, set[tuple[str, str]]] = {}
    with reader(told) as store:
        for zone in ("UTC", "America/New_York"):
            there = View(seen.start, seen.end, seen.now, {**seen.chosen, "zone": zone}, seen.options)
            rows = store.named(there.sql(text))
            cells[zone] = {
                (row["weekday"], name) for row in rows for name in row if name.isdigit() and row[name] is not None
            }
            assert sum(int(row["orders"].replace(",", "")) for row in rows) > 0
    assert cells["UTC"] != cells["America/New_York"]
    assert len(cells["UTC"]) == len(cells["America/New_York"])


def test_a_promise_in_danger_is_listed_and_its_prediction_judged(told: Settings, minutes: Any) -> None:
    seen = view(minutes, "milepost-hub")
    found: dict[str, list[dict[str, Any]]] = {}
    with reader(told) as store:
        for uid in ("milepost-hub", "milepost-sla", "milepost-order"):
            there = view(minutes, uid)
            for panel, text in queries(DASHBOARDS[uid], "rawSql"):
                found[panel["title"]] = store.named(there.sql(text))
    assert {row["order_id"] for row in found["Orders that need somebody"]} == {"overdue-1", "overdue-2"}
    assert {row["order_id"] for row in found["Broken promises and limits"]} == {"overdue-1", "overdue-2"}
    (judged,) = found["Warnings"]
    assert judged == {"precision": 0.5, "recall": 0.5, "ahead": 600, "warnings": 2, "breaches": 2}
    assert [(row["foreseen"], row["kept"]) for row in found["What was said, and what came"]] == [
        ("20 to 30 %", 0.0),
        ("40 to 50 %", 1.0),
    ]
    assert [row["state"] for row in found["Promises and limits"]] == ["at_risk", "breached"]
    assert [row["type"] for row in found["Events"]] == ["milepost.order.placed.v1"]
    assert found["The order"][0]["promise"] == "not due"
    assert [row["what"] for row in found["Timeline"]] == ["placed", "deadline"]
    del seen


@pytest.mark.parametrize("uid", DASHBOARDS)
def test_variables_find_what_there_is(told: Settings, minutes: Any, uid: str) -> None:
    there: dict[str, Callable[[list[str]], bool]] = {
        "hub": lambda found: found == list(HUBS),
        "courier": lambda found: found == ["c1", "c2"],
        "currency": lambda found: found == ["EUR"],
        "zone": lambda found: {"UTC", "Europe/Berlin", "Asia/Kolkata"} <= set(found),
    }
    # The hubs of the last thirty days are asked for by the present.
    with reader(told) as store:
        for name, text in variable_queries(DASHBOARDS[uid]):
            assert there[name]([row[0] for row in store.query(view(minutes, uid).sql(text))]), name
