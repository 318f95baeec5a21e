"""Rows of ``sla_events_store`` as the processor writes them, made by hand."""

import json
from datetime import datetime, timedelta
from typing import Any

from milepost.contracts.event import micros
from milepost.domain.sla.words import RANKS, State
from milepost.store.tables import SLA_EVENTS

MINUTE = timedelta(minutes=1)


def sla_row(
    order_id: str, rule: str, due: datetime, state: str, cause: str, at: datetime, **known: Any
) -> tuple[Any, ...]:
    """A state an SLA reached. Moments among ``known`` go into ``detail`` in microseconds, columns where they belong."""
    columns: dict[str, Any] = {
        "id": f"{order_id}/{rule}/{micros(due)}/{state}", "order_id": order_id, "rule": rule, "base": micros(due),
        "due": micros(due), "state": state, "rank": RANKS[State(state)], "cause": cause, "at": micros(at),
        "detected": micros(at) + 400_000, "chance": -1.0, "hub_id": "BER-1", "zone_id": "mitte",
        "service_level": "express", "merchant_id": "m1", "courier_id": "k1", "policy_version": 3, "partition": 0,
        "version": 1,
    }  # fmt: skip
    detail = {}
    for name, value in known.items():
        written = micros(value) if isinstance(value, datetime) else value
        if name in columns:
            columns[name] = written
        else:
            detail[name] = written
    columns["detail"] = json.dumps(detail)
    return tuple(columns[name] for name in SLA_EVENTS.columns)
