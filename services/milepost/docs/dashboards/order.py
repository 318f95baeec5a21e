"""Order: what happened to this one?"""

from milepost.docs.dashboards.frame import Dashboard, Shelf, currency, typed
from milepost.docs.dashboards.goals import Goals
from milepost.docs.dashboards.links import to_hub
from milepost.docs.dashboards.parts import COUNT, NUMBER, SECONDS, TEXT, TIME, Json, clickhouse
from milepost.docs.dashboards.tables import Column, table

_ORDER = "${order:singlequote}"
_MOMENTS = ("placed_at", "ready_at", "assigned_at", "out_at", "first_attempt_at", "first_arrived_at", "last_arrived_at",
            "deadline", "delivered_at", "cancelled_at", "closed_at")  # fmt: skip


def build(goals: Goals) -> Dashboard:
    """The timeline of one order."""
    del goals
    return Dashboard(
        "milepost-order",
        "Milepost: Order",
        "What happened to this order, and when?",
        ["order"],
        [
            Shelf(5, [_state()]),
            Shelf(10, [_moments(), _slas()], [10, 14]),
            Shelf(12, [_events()]),
            Shelf(6, [_dead_letters()]),
        ],
        [typed("order", "Order", "The order's id; lists on the other dashboards lead here."), currency()],
        refresh="1m",
    )


def _state() -> Json:
    asked = (
        "SELECT order_id, state, hub_id, zone_id, service_level, merchant_id, courier_id, deadline, eta, "
        "failed_attempts, "
        "multiIf(delivered_at IS NOT NULL AND delivered_at <= deadline, 'kept', delivered_at IS NOT NULL, 'broken: "
        "late', "
        "due = 0, 'not due', deadline < now(), 'broken: not delivered', 'still open') AS promise, "
        "multiIf(in_full IS NULL, 'unknown', in_full = 1, 'yes', 'no') AS complete, score, cost "
        f"FROM orders WHERE order_id = {_ORDER}"
    )
    columns = [
        Column("order_id", "Order", TEXT),
        Column("state", "State", TEXT),
        Column("hub_id", "Hub", TEXT, link=to_hub()),
        *(Column(name, name.removesuffix("_id").replace("_", " ").capitalize(), TEXT) for name in
          ("zone_id", "service_level", "merchant_id", "courier_id")),
        Column("deadline", "Promised until", TIME, "The promise in force."),
        Column("eta", "Expected", TIME, "The last ETA that was sent."),
        Column("failed_attempts", "Failed attempts", COUNT),
        Column("promise", "Promise", TEXT),
        Column("complete", "In full", TEXT),
        Column("score", "Score", NUMBER, "1 to 5, the latest."),
        Column("cost", "Cost (${currency})", NUMBER, "Booked on the order itself.", 2),
    ]  # fmt: skip
    text = "The order as everything that was heard of it says. Empty: nothing was heard of this id, or it has expired."
    return table("The order", text, [clickhouse(asked)], columns)


def _moments() -> Json:
    pairs = ", ".join(f"('{name.removesuffix('_at').replace('_', ' ')}', {name})" for name in _MOMENTS)
    asked = (
        "SELECT at, what, if(earlier = toDateTime64(0, 6, 'UTC'), NULL, dateDiff('second', earlier, at)) AS since "
        "FROM ("
        f"SELECT p.1 AS what, assumeNotNull(p.2) AS at, lagInFrame(at) OVER (ORDER BY at, what ROWS BETWEEN UNBOUNDED "
        f"PRECEDING AND CURRENT ROW) AS earlier FROM (SELECT arrayJoin([{pairs}]) AS p FROM orders "
        f"WHERE order_id = {_ORDER}) WHERE p.2 IS NOT NULL) ORDER BY at, what"
    )
    columns = [
        Column("at", "When", TIME),
        Column("what", "What", TEXT),
        Column("since", "After the line above", SECONDS, decimals=0),
    ]
    text = "The moments the KPIs are made of, each as the events known by now say; the promise stands among them."
    return table("Timeline", text, [clickhouse(asked)], columns)


def _slas() -> Json:
    asked = (
        "SELECT at, rule, state, cause, due, chance, detail FROM sla_events "
        f"WHERE order_id = {_ORDER} ORDER BY at, rule, rank"
    )
    columns = [
        Column("at", "When", TIME),
        Column("rule", "Rule", TEXT),
        Column("state", "State", TEXT),
        Column("cause", "Cause", TEXT),
        Column("due", "Due", TIME),
        Column("chance", "Chance to keep it", "percentunit", "As foreseen at that moment.", 0),
        Column("detail", "Detail", TEXT),
    ]
    text = "Every state that the order's promise and time limits have reached. Empty: none was ever at risk or broken."
    return table("Promises and limits", text, [clickhouse(asked)], columns)


def _events() -> Json:
    asked = (
        "SELECT time, type, source, id, dateDiff('second', time, coalesce(recorded, appended)) AS heard_after, "
        "testmode, "
        f"data FROM events WHERE subject = {_ORDER} ORDER BY time, source, id LIMIT 500"
    )
    columns = [
        Column("time", "When it happened", TIME, width=190),
        Column("type", "Event", TEXT, width=270),
        Column("source", "Sender", TEXT),
        Column("id", "Id", TEXT),
        Column("heard_after", "Heard after", SECONDS, "From the event's own time to when it was taken.", 0),
        Column("testmode", "Test", NUMBER, "1: it counts nowhere.", width=60),
        Column("data", "Data", TEXT, "Without personal data, which is kept apart."),
    ]
    text = "Every event of the order, read from the log by its key: the one panel that reads the log."
    return table("Events", text, [clickhouse(asked)], columns)


def _dead_letters() -> Json:
    asked = (
        "SELECT appended, reason, detail, source, id, state FROM dead_letters "
        f"WHERE subject = {_ORDER} ORDER BY partition, offset LIMIT 100"
    )
    columns = [
        Column("appended", "When it came", TIME),
        *(Column(name, name.capitalize(), TEXT) for name in ("reason", "detail", "source", "id", "state")),
    ]
    text = "Records about the order that could not be processed, or that contradict an event. Empty: there are none."
    return table("Put aside", text, [clickhouse(asked)], columns)
