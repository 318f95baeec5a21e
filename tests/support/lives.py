"""Generated lives of orders, and the logs they make: hypothesis strategies.

An event is drawn as a few bytes, each a choice from a short list, so that drawing is quick, shrinking works, and things
meet: equal times, deadlines hit exactly, retractions that find their target, copies that say something else.
"""

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from milepost.bus.partitions import partition_of
from milepost.contracts import topics
from milepost.contracts.reasons import DOOR_REASONS, NEVER_REACHED_REASONS

T = TypeVar("T")
Event = dict[str, Any]

START = datetime(2026, 3, 2, 22, 58, 30, tzinfo=UTC)
"""Shortly before an hour and a day end, so that lives lie across both."""
EVENT_BYTES = 20
MOST_EVENTS = 36

MINUTES = [0, 0.5, 1, 1, 1.5, 2, 2, 2.5, 3, 4, 5, 6, 8, 10, 12, 61.5, 0.25, 0.000_001 / 60, 1_441, 51_900]
"""When things happen, in minutes after ``START``; some a microsecond later, a day or more than a month."""
DEADLINES = [3, 1, 2, 2.5, 4, 5, 10, 0.5, 62, 1_445, 0]
REASONS = ["not_home", "no_time", "refused", "weather", *sorted(DOOR_REASONS | NEVER_REACHED_REASONS)]
PARCELS = [None, None, None, ["a"], ["b"], ["a", "b"], ["x"], ["b", "x"]]
COURIERS = [None, "e-c1", "e-c2"]
KINDS = [
    "delivery.delivered",
    "order.placed",
    "delivery.arrived",
    "delivery.attempt_failed",
    "dispatch.assigned",
    "event.retracted",
    "order.promise_changed",
    "cost.recorded",
    "order.cancelled",
    "dispatch.ready",
    "delivery.picked_up",
    "delivery.returned",
    "feedback.submitted",
    "delivery.delivered",
    "order.placed",
    "dispatch.unassigned",
    "dispatch.departed",
    "delivery.lost",
    "cost.recorded",
    "delivery.eta_updated",
    "feedback.requested",
    "delivery.delivered",
    "delivery.attempt_failed",
    "event.retracted",
    "order.promise_changed",
]


def examples(count: int) -> settings:
    """Settings of a property test: ``count`` examples, or as many as ``MILEPOST_TEST_EXAMPLES`` says."""
    return settings(
        max_examples=int(os.environ.get("MILEPOST_TEST_EXAMPLES", count)),
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )


class Choices:
    """Drawn bytes, spent one a choice; the first choice once they are spent."""

    def __init__(self, drawn: bytes) -> None:
        self._left = iter(drawn)

    def number(self, below: int = 256) -> int:
        """A number from 0."""
        return next(self._left, 0) % below

    def one(self, of: Sequence[T]) -> T:
        """One of these."""
        return of[self.number(len(of))]


@dataclass
class Copy:
    """A record of the lifecycle topic, as the Kafka client gives it; ``event`` is what it says, None for rubbish."""

    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    timestamp: int
    event: Event | None = None
    topic: str = topics.LIFECYCLE.name


class Log:
    """The topic: what was produced, by partition."""

    def __init__(self, partitions: int, first: int = 0) -> None:
        self.partitions = partitions
        self.records: dict[int, list[Copy]] = {first + number: [] for number in range(partitions)}
        self._first = first

    def produce(self, value: bytes | None, subject: str, appended: int, event: Event | None = None) -> Copy:
        """Append a record where ``subject`` belongs, at ``appended`` milliseconds."""
        number = self._first + partition_of(subject.encode(), self.partitions)
        record = Copy(number, len(self.records[number]), subject.encode(), value, appended, event)
        self.records[number].append(record)
        return record

    def events(self, upto: dict[int, int] | None = None) -> Iterator[tuple[int, int, int, Event]]:
        """What stands in it, for ``definition.define``; of each partition only below the offset ``upto``."""
        for number, records in self.records.items():
            for record in records[: upto[number] if upto else None]:
                if record.event is not None:
                    yield number, record.offset, record.timestamp * 1000, record.event

    def __repr__(self) -> str:
        lines = [
            f"{record.partition}/{record.offset} at {record.timestamp}: {record.value!r}"
            for records in self.records.values()
            for record in records
        ]
        return "\n".join(["", *lines])


def moment(minutes: float, offset_hours: int = 0) -> str:
    """The moment so many minutes after ``START``, written in a zone so far from UTC."""
    at = (START + timedelta(minutes=minutes)).astimezone(timezone(timedelta(hours=offset_hours)))
    return at.isoformat()


def _data(kind: str, subject: str, at: float, c: Choices) -> dict[str, Any]:  # noqa: PLR0912 - one case a type
    """The ``data`` of an event; what it says comes from ``c``."""
    data: dict[str, Any] = {"order_id": subject}
    match kind:
        case "order.placed":
            until = c.one(DEADLINES)
            data |= {
                "hub_id": c.one(["e-h1", "e-h2"]),
                "promised_until": moment(until),
                "promised_from": c.one([None, moment(until - 2), moment(until)]),
                "lines": c.one(_LINES),
                "parcels": c.one([None, None, [{"parcel_id": "a"}, {"parcel_id": "b"}], [{"parcel_id": "b"}]]),
                "zone_id": c.one([None, "z1"]),
                "merchant_id": c.one([None, "m1"]),
                "service_level": c.one([None, "express"]),
                "customer_ref": c.one([None, "somebody"]),
                "delivery_fee": c.one([None, {"amount": "4.9", "currency": "EUR"}, {"amount": 0, "currency": "EUR"}]),
            }
        case "order.promise_changed":
            until = at + c.one([1, 0, 0.5, 3, 62])
            data |= {
                "promised_until": moment(until),
                "promised_from": c.one([None, moment(until - 1)]),
                "requested_by": c.one(["customer", "merchant", "carrier"]),
            }
        case "order.cancelled":
            data["requested_by"] = c.one(["customer", "carrier", "merchant"])
        case "dispatch.assigned":
            data["courier_id"] = c.one(["e-c1", "e-c2"])
        case "dispatch.ready" | "dispatch.departed":
            data["parcel_ids"] = c.one(PARCELS)
        case "delivery.picked_up" | "delivery.arrived":
            data |= {"courier_id": c.one(COURIERS), "parcel_ids": c.one(PARCELS)}
        case "delivery.eta_updated":
            data["eta"] = moment(c.one(MINUTES))
        case "delivery.attempt_failed":
            data |= {"reason_code": c.one(REASONS), "courier_id": c.one(COURIERS), "parcel_ids": c.one(PARCELS)}
        case "delivery.delivered":
            data |= {"parcel_ids": c.one(PARCELS), "lines": c.one(_HANDED), "courier_id": c.one(COURIERS)}
        case "delivery.returned":
            data |= {
                "disposition": c.one(["to_sender", "back_to_hub", "after_delivery"]),
                "parcel_ids": c.one(PARCELS),
            }
        case "delivery.lost":
            data["parcel_ids"] = c.one(PARCELS)
        case "feedback.submitted":
            score = c.one([5, None, 3, 4, 1])
            data |= {"score": score, "nps": c.one([None, 0, 6, 7, 9, 10] if score else [9, 0, 7])}
            data["reasons"] = c.one([None, ["late"], [], ["kind", "late", "kind"], [f"r{n}" for n in range(12)]])
        case "cost.recorded":
            data = {
                "cost_id": c.one(["k1", "k2", "k3"]),
                "hub_id": c.one(["e-h1", "e-h9"]),
                "component": c.one(["labour", "fuel"]),
                "activity": c.one([None, "delivery", "return"]),
                "amount": c.one(["3.5", 2, "-1.2505", 0, "0.0001"]),
                "currency": "EUR",
                **_whose(subject, c),
            }
    return {name: value for name, value in data.items() if value is not None}


_LINES = [
    [{"sku": "milk", "quantity": 1}],
    [{"sku": "milk", "quantity": 2}, {"sku": "bread", "quantity": 1}],
    [{"sku": "milk", "quantity": 1}, {"sku": "milk", "quantity": 1}],
]
_HANDED: list[list[dict[str, Any]] | None] = [
    [{"sku": "milk", "quantity": 2}, {"sku": "bread", "quantity": 1}],
    None,
    [{"sku": "milk", "quantity": 1}],
    [{"sku": "bread", "quantity": 1, "damaged": True}, {"sku": "milk", "quantity": 2}],
    [],
]


def _whose(subject: str, c: Choices) -> dict[str, Any]:
    """The ids that make ``subject`` a cost's subject, and perhaps a courier beside."""
    if subject.startswith("e-o"):
        return {"order_id": subject, "courier_id": c.one(COURIERS), "route_id": c.one([None, "e-r1"])}
    if subject.startswith("e-r"):
        return {"route_id": subject, "courier_id": c.one(COURIERS)}
    if subject.startswith("e-c"):
        return {"courier_id": subject}
    return {"hub_id": subject}


SUBJECTS = ["e-o1", "e-o1", "e-o1", "e-o2", "e-o2", "e-o3", "e-o4"]
LEDGER_SUBJECTS = ["e-o1", "e-o2", "e-r1", "e-r2", "e-c1", "e-h1"]


def _event(index: int, drawn: bytes, before: list[Event]) -> Event:
    """The event these bytes choose, the ``index``-th; a retraction speaks of one ``before`` it, or of one to come."""
    c = Choices(drawn)
    kind = c.one(KINDS)
    subject = c.one(LEDGER_SUBJECTS if kind == COST else SUBJECTS)
    at = c.one(MINUTES)
    # Most identities are the event's own; some are another's, which then says something else.
    identity = f"e{index}" if c.number(16) != 7 else f"e{c.number(index + 1)}"
    source = c.one(["/a", "/a", "/b"])
    if kind == RETRACTED:
        target = before[c.number(len(before))] if before and c.number(6) != 5 else None
        if target is not None:
            subject = target["subject"]
        named = {"source": target["source"], "id": target["id"]} if target else {"source": "/a", "id": f"e{index + 1}"}
        data: dict[str, Any] = {"retracts": named, "reason": c.one(["did_not_occur", "incorrect_data"])}
    else:
        data = _data(kind, subject, at, c)
    event = {
        "specversion": "1.0",
        "id": identity,
        "source": source,
        "type": f"milepost.{kind}.v1",
        "time": moment(at),
        "subject": subject,
        "data": data,
    }
    return event | ({"testmode": True} if drawn[-1] == 255 else {})


RETRACTED, COST = "event.retracted", "cost.recorded"


def _rewritten(event: Event) -> Event:
    """The same, said otherwise."""
    at = datetime.fromisoformat(event["time"])
    return {
        "recordedtime": moment(60 * 24 * 50),
        **dict(reversed(event.items())),
        "time": at.astimezone(timezone(timedelta(hours=-5, minutes=-30))).isoformat(),
        "data": dict(reversed(event["data"].items())),
    }


def _contradicted(event: Event) -> Event:
    """The same identity, saying something else."""
    return event | {"time": (datetime.fromisoformat(event["time"]) - timedelta(seconds=45)).isoformat()}


_event_bytes = st.binary(min_size=EVENT_BYTES, max_size=EVENT_BYTES)
_drawn = st.one_of(
    *(st.lists(_event_bytes, min_size=least, max_size=MOST_EVENTS) for least in (1, MOST_EVENTS // 3, MOST_EVENTS // 2))
)


@st.composite
def events(draw: st.DrawFn) -> list[Event]:
    """What is sent, copies and all, in the order in which it is thought of."""
    found: list[Event] = []
    sent: list[Event] = []
    for index, drawn in enumerate(draw(_drawn)):
        event = _event(index, drawn, found)
        found.append(event)
        sent.append(event)
        copies = drawn[-2]
        if copies >= 192:
            sent.append(event if copies < 224 else _rewritten(event))
        if copies >= 248:
            sent.append(_contradicted(event))
    return sent


LATE_MS = int((START + timedelta(days=45)).timestamp() * 1000)
LIVE_MS = int(START.timestamp() * 1000)
STEPS_MS = [0, 1, 250, 30_000, 61_000, 600_000]


def log_of(
    sent: Sequence[Event],
    partitions: int,
    order: bytes = b"",
    *,
    live: bool = False,
    prefix: str = "e-",
    first: int = 0,
) -> Log:
    """The log that ``sent`` makes: ``order`` gives each a place among the others and a pause before it.

    All come long after they happened, or, where it is ``live``, some so early that their time is refused. Every id
    begins with ``prefix``; the partitions' numbers from ``first``.
    """
    log = Log(partitions, first)
    places = sorted(range(len(sent)), key=lambda index: (order[index : index + 1], index))
    appended = LIVE_MS if live else LATE_MS
    for number, index in enumerate(places):
        appended += STEPS_MS[order[number % len(order)] % len(STEPS_MS)] if order else 1
        value = json.dumps(sent[index]).replace('"e-', f'"{prefix}').encode()
        if order and order[number % len(order)] == 251:
            log.produce(value[:-3], sent[index]["subject"], appended)
        event = json.loads(value)
        log.produce(value, event["subject"], appended, event)
    return log


orders_of_arrival = st.binary(min_size=0, max_size=MOST_EVENTS * 2)
partition_counts = st.integers(1, 4)


@st.composite
def logs(draw: st.DrawFn, live: bool | None = None) -> Log:
    """A log of 1 to 4 partitions."""
    return log_of(
        draw(events()),
        draw(partition_counts),
        draw(orders_of_arrival),
        live=draw(st.booleans()) if live is None else live,
    )
