"""The events of a simulated week, against the contract."""

from collections import Counter, defaultdict
from datetime import UTC, datetime
from typing import Any

from milepost.contracts.catalogue import EVENT_TYPES
from milepost.contracts.event import decode
from milepost.contracts.reasons import DOOR_REASONS, NEVER_REACHED_REASONS

TAKEN = datetime(2026, 11, 1, tzinfo=UTC)


def test_every_event_keeps_the_contract(week: Any) -> None:
    for line in week.lines:
        decode(line, "EUR", TAKEN)


def test_no_event_has_a_field_the_contract_does_not_know(week: Any) -> None:
    for event in week.events:
        assert event.keys() <= {
            "specversion",
            "id",
            "source",
            "type",
            "time",
            "subject",
            "datacontenttype",
            "testmode",
            "data",
        }
        assert event["data"].keys() <= set(EVENT_TYPES[event["type"]].body.__struct_fields__)


def test_every_time_has_an_offset(week: Any) -> None:
    offsets = Counter(datetime.fromisoformat(event["time"]).utcoffset() for event in week.events)
    assert None not in offsets
    assert len(offsets) == 2


def test_every_event_type_occurs(week: Any) -> None:
    assert {event["type"] for event in week.events} == set(EVENT_TYPES)


def test_every_reason_disposition_and_requester_occurs(week: Any) -> None:
    said = defaultdict(set)
    for event in week.events:
        for field in (
            "reason_code",
            "disposition",
            "requested_by",
            "component",
            "activity",
            "service_level",
            "channel",
        ):
            said[event["type"].split(".")[2], field].add(event["data"].get(field))
    assert said["attempt_failed", "reason_code"] == DOOR_REASONS | NEVER_REACHED_REASONS
    assert said["returned", "disposition"] == {"back_to_hub", "to_sender", "after_delivery"}
    for type_ in ("cancelled", "promise_changed"):
        assert said[type_, "requested_by"] == {"customer", "merchant", "carrier"}
    assert said["recorded", "component"] == {"labour", "fuel", "vehicle", "toll", "packaging", "third_party", "other"}
    assert said["recorded", "activity"] == {None, "delivery", "redelivery", "return", "linehaul"}
    assert said["placed", "service_level"] == {None, "express", "same_day", "scheduled", "standard"}


def test_the_stream_has_the_troubles_of_real_ones(week: Any) -> None:
    seen: dict[tuple[str, str, str], bytes] = {}
    repeats = conflicts = 0
    for event, line in zip(week.events, week.lines, strict=True):
        key = (event["subject"], event["source"], event["id"])
        if key in seen:
            repeats += seen[key] == line
            conflicts += seen[key] != line
        seen.setdefault(key, line)
    assert repeats > 100
    assert conflicts > 10
    assert any(event.get("testmode") for event in week.events)
    times = [datetime.fromisoformat(event["time"]) for event in week.events]
    latest, out_of_order = times[0], 0
    for time in times:
        out_of_order += time < latest
        latest = max(latest, time)
    assert out_of_order > len(times) // 20


def test_retractions_come_before_and_after_what_they_take_back(week: Any) -> None:
    place = {
        (event["subject"], event["source"], event["id"]): index for index, event in reversed([*enumerate(week.events)])
    }
    gaps = [
        index - place[event["subject"], event["data"]["retracts"]["source"], event["data"]["retracts"]["id"]]
        for index, event in enumerate(week.events)
        if event["type"].endswith("retracted.v1")
    ]
    assert min(gaps) < 0 < max(gaps)


def test_identities_are_only_unique_within_their_subject(week: Any) -> None:
    subjects = defaultdict(set)
    for event in week.events:
        subjects[event["source"], event["id"]].add(event["subject"])
    assert max(len(found) for found in subjects.values()) > 10


def test_orders_have_parcels_partial_deliveries_and_unknown_lines(week: Any) -> None:
    placed = [event["data"] for event in week.events if event["type"].endswith("placed.v1")]
    delivered = [event["data"] for event in week.events if event["type"].endswith("delivered.v1")]
    assert any(len(order.get("parcels", ())) > 1 for order in placed)
    assert any("parcels" not in order for order in placed)
    assert any("promised_from" in order for order in placed)
    assert any("promised_from" not in order for order in placed)
    assert any("lines" not in handover for handover in delivered)
    assert any(handover.get("lines") == [] for handover in delivered)
    assert any(line.get("damaged") for handover in delivered for line in handover.get("lines", ()))


def test_costs_are_charged_to_orders_routes_couriers_and_hubs_and_put_right(week: Any) -> None:
    costs = [event for event in week.events if event["type"].endswith("cost.recorded.v1")]
    subjects = {
        next(name for name in ("order_id", "route_id", "courier_id", "hub_id") if name in event["data"])
        for event in costs
    }
    assert subjects == {"order_id", "route_id", "courier_id", "hub_id"}
    records = Counter((event["subject"], event["data"]["cost_id"]) for event in {e["id"]: e for e in costs}.values())
    assert max(records.values()) > 1
    assert any(float(event["data"]["amount"]) < 0 for event in costs)
    assert {type(event["data"]["amount"]) for event in costs} >= {str, float}


def test_some_orders_are_never_placed_and_some_never_end(week: Any) -> None:
    types = defaultdict(set)
    for event in week.events:
        if event["subject"].startswith("s11-"):
            types[event["subject"]].add(event["type"].split(".")[2])
    assert any("placed" not in said for said in types.values())
    ends = {"delivered", "cancelled", "returned", "lost"}
    assert any(not said & ends for said in types.values())


def test_responses_follow_from_what_happened(week: Any) -> None:
    late, in_time = [], []
    delivered = {e["subject"]: e["time"] for e in week.events if e["type"].endswith("delivered.v1")}
    promised = {e["subject"]: e["data"]["promised_until"] for e in week.events if e["type"].endswith("placed.v1")}
    for event in week.events:
        subject, score = event["subject"], event["data"].get("score")
        if score is not None and subject in delivered and subject in promised:
            kept = datetime.fromisoformat(delivered[subject]) <= datetime.fromisoformat(promised[subject])
            (in_time if kept else late).append(score)
    assert sum(in_time) / len(in_time) > 1 + sum(late) / len(late)
