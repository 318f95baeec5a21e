"""From the bytes of a request to the events to publish and the ones refused, with the reason of each."""

import contextlib
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec

from milepost.access.keys import Credential
from milepost.bus.producer import MAX_RECORD_BYTES
from milepost.contracts.catalogue import EVENT_TYPES, PLACED
from milepost.contracts.event import Event, Fault, InvalidEventError, decode, encode
from milepost.contracts.faults import every_fault
from milepost.edge.unknown import unknown_fields

MAX_WARNINGS = 100
"""Warnings named in one answer; the last then says how many more there were."""
MAX_EXPLAINED = 100
"""Refused events of one request of which every fault is named; the others show their first."""
MAX_EXPLAINED_BYTES = 262_144
"""Bytes of refused events of one request that are looked through for every fault, at some 0.5 µs each."""
UNKNOWN_TYPE = "unknown"
"""The label of events whose type is not in the catalogue."""

_builtins = msgspec.json.Decoder().decode


@dataclass(frozen=True)
class Refused:
    """An event that is not taken: its place in the request, its identity as far as readable, and every fault found."""

    index: int
    source: str | None
    id: str | None
    errors: list[Fault]
    reason: str
    type: str = UNKNOWN_TYPE

    def as_answer(self) -> dict[str, Any]:
        """The event's entry in ``refused``."""
        return {
            "index": self.index,
            "source": self.source,
            "id": self.id,
            "errors": [fault._asdict() for fault in self.errors],
        }


@dataclass
class Intake:
    """What became of the events of one request, before anything is published."""

    currency: str
    credential: Credential
    taken: datetime
    records: list[tuple[bytes, bytes]] = field(default_factory=list)
    types: list[str] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    warnings: list[dict[str, Any]] = field(default_factory=list)
    warnings_left_out: int = 0
    explained: int = 0
    explained_bytes: int = 0

    def add(self, index: int, raw: bytes | msgspec.Raw) -> None:
        """Take or refuse the event in ``raw``, the request's ``index``-th (from 0)."""
        try:
            event = decode(raw, self.currency, self.taken)
            unknown = unknown_fields(_document(raw), event.type.name)
            value = self._value(self.permitted(event))
        except InvalidEventError as error:
            self._refuse(index, raw, error)
            return
        self.records.append((event.subject.encode(), value))
        self.types.append(event.type.name)
        for pointer in unknown:
            self._warn(index, pointer)

    def _value(self, event: Event) -> bytes:
        """What is published for ``event``. Raises ``InvalidEventError`` where it is too large."""
        value = encode(msgspec.structs.replace(event, recorded=self.taken))
        if len(value) > MAX_RECORD_BYTES:
            raise InvalidEventError("invalid", [Fault("", f"is larger than {MAX_RECORD_BYTES:,} bytes")])
        return value

    def permitted(self, event: Event) -> Event:
        """The event as its sender may send it; a merchant's key fills in its merchant. Raises ``InvalidEventError``."""
        credential = self.credential
        faults = []
        if not credential.may_write_as(event.source):
            faults.append(
                Fault("/source", f"the key of {credential.name!r} writes only under {credential.source_prefix!r}")
            )
        if credential.merchant is not None and event.type is PLACED:
            merchant = getattr(event.body, "merchant_id", None)
            if merchant is None:
                event = msgspec.structs.replace(
                    event, body=msgspec.structs.replace(event.body, merchant_id=credential.merchant)
                )
            elif merchant != credential.merchant:
                faults.append(
                    Fault(
                        "/data/merchant_id", f"the key of {credential.name!r} stands for {credential.merchant!r} only"
                    )
                )
        if faults:
            raise InvalidEventError("forbidden", faults)
        return event

    def _refuse(self, index: int, raw: bytes | msgspec.Raw, error: InvalidEventError) -> None:
        source = event_id = None
        type_name = UNKNOWN_TYPE
        with contextlib.suppress(InvalidEventError):
            document = _document(raw)
            if not isinstance(document, dict):
                document = {}
            source, event_id = _text(document.get("source")), _text(document.get("id"))
            named = document.get("type")
            type_name = named if isinstance(named, str) and named in EVENT_TYPES else UNKNOWN_TYPE
        self.refused.append(Refused(index, source, event_id, self._all_faults(raw, error), error.reason, type_name))

    def _all_faults(self, raw: bytes | msgspec.Raw, error: InvalidEventError) -> list[Fault]:
        """Every fault of the event as long as the request's share of that slow work lasts, else the first."""
        size = memoryview(raw).nbytes
        if (
            error.reason in ("forbidden", "not_json")
            or self.explained >= MAX_EXPLAINED
            or self.explained_bytes + size > MAX_EXPLAINED_BYTES
        ):
            return error.faults
        self.explained += 1
        self.explained_bytes += size
        return every_fault(raw, self.currency, self.taken) or error.faults

    def _warn(self, index: int, pointer: str) -> None:
        if len(self.warnings) >= MAX_WARNINGS:
            self.warnings_left_out += 1
            return
        self.warnings.append({"index": index, "pointer": pointer, "detail": "unknown field, dropped"})

    def answer(self) -> dict[str, Any]:
        """The body of the answer once ``records`` are published."""
        warnings = list(self.warnings)
        if self.warnings_left_out:
            warnings.append(
                {"index": None, "pointer": "", "detail": f"{self.warnings_left_out} more warnings left out"}
            )
        return {
            "accepted": len(self.records),
            "refused": [refused.as_answer() for refused in self.refused],
            "warnings": warnings,
        }


def _document(raw: bytes | msgspec.Raw) -> Any:
    """All that ``raw`` holds, also where no event has a field for it. Raises ``InvalidEventError``."""
    try:
        return _builtins(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidEventError("not_json", [Fault("", f"not JSON: {error}")]) from None


def _text(value: object) -> str | None:
    return value[:256] if isinstance(value, str) else None
