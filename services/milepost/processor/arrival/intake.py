"""From a record's bytes to what is kept of it: a fact and a row of the log, or the reason it cannot be used."""

import traceback
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any, NamedTuple, Protocol

import msgspec
import xxhash

from milepost.contracts import catalogue
from milepost.contracts.event import Event, InvalidEventError, decode, micros
from milepost.contracts.fields import AMOUNT_SCALE
from milepost.domain.facts import AnyFact, fact_of

FAILED = "failed"
"""The reason of a record that can be read, but makes us fail: the fault is ours."""
_FRAMES = 4

PRECEDENCE_OF_FIRST = 1 << 62
"""The first copy in the log wins: a row's precedence falls from here with its offset."""


class Record(Protocol):
    """A record as a Kafka client gives it; ``timestamp`` is its append time in milliseconds."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None


class Taken(NamedTuple):
    """A good event: its fact, whether it belongs to the ledger, its row in ``events_store`` and in ``personal_store``.

    A retraction may speak of an order or of the ledger, so it goes to both. ``fact`` is None in test mode.
    """

    subject: str
    fact: AnyFact | None
    kind: str
    in_orders: bool
    in_ledger: bool
    event_row: tuple[Any, ...]
    personal_row: tuple[Any, ...] | None
    record: Record


class Rejected(NamedTuple):
    """A record for the dead letters: why, and whose it says it is."""

    record: Record
    reason: str
    detail: str
    subject: str = ""
    source: str = ""
    id: str = ""


class _Identity(msgspec.Struct):
    subject: str = ""
    source: str = ""
    id: str = ""


_encode = msgspec.json.Encoder(order="deterministic").encode
_identity = msgspec.json.Decoder(_Identity).decode
_PERSONAL = {kind.name: kind.personal for kind in catalogue.EVENT_TYPES.values()}
_MONEY = frozenset({catalogue.PLACED.name, catalogue.COST_RECORDED.name})
_KIND_DIGEST = {name: xxhash.xxh64_intdigest(name.encode()) for name in catalogue.EVENT_TYPES}
_SEED_BITS = (1 << 64) - 1
_COST = catalogue.COST_RECORDED.name
_RETRACTED = catalogue.EVENT_RETRACTED.name


def take(record: Record, currency: str) -> Taken | Rejected:
    """What ``record`` is: taken, or rejected with the reason. ``currency`` is the reporting currency."""
    value = record.value or b""
    try:
        event = decode(value, currency, _moment(record.timestamp))
    except InvalidEventError as error:
        return Rejected(record, error.reason, str(error)[:2000], *_claimed_identity(value))
    appended = record.timestamp * 1000
    kind = event.type.name
    body: Any = event.body
    if kind in _MONEY:
        body = _exact_money(event)
    time = micros(event.time)
    data = _encode(body)
    digest = xxhash.xxh64_intdigest(data, seed=time & _SEED_BITS) ^ _KIND_DIGEST[kind]
    precedence = PRECEDENCE_OF_FIRST - record.offset
    personal_row = None
    personal: dict[str, Any] | None = None
    for name in _PERSONAL[kind]:
        given = getattr(body, name)
        if given is not None:
            personal = personal or {}
            personal[name] = given
    if personal:
        data = _encode(msgspec.structs.replace(body, **dict.fromkeys(personal)))
        reference = personal.pop("customer_ref", "")
        personal_row = (
            event.subject,
            event.source,
            event.id,
            reference,
            _encode(personal),
            appended,
            precedence,
        )
    event_row = (
        event.subject,
        event.source,
        event.id,
        kind,
        time,
        0 if event.recorded is None else micros(event.recorded),
        appended,
        record.partition,
        record.offset,
        precedence,
        int(event.testmode),
        digest,
        data,
    )
    fact = None if event.testmode else fact_of(event, record.offset, digest)
    in_orders, in_ledger = belongs(kind, body)
    return Taken(event.subject, fact, kind, in_orders, in_ledger, event_row, personal_row, record)


def failed(record: Record, error: Exception, identity: tuple[str, str, str] | None = None) -> Rejected:
    """A record that made us fail: ``error`` with the end of its traceback, for whoever mends it."""
    told = "".join(traceback.format_exception(error, limit=-_FRAMES)).strip()
    detail = f"{type(error).__name__}: {error}"[:500] + "\n" + told[-1_500:]
    return Rejected(record, FAILED, detail, *(identity or _claimed_identity(record.value or b"")))


def belongs(kind: str, body: Any) -> tuple[bool, bool]:
    """Whether an event belongs to an order, and whether to the ledger; a retraction may speak of either."""
    in_ledger = kind == _RETRACTED or (kind == _COST and body.order_id is None)
    return kind == _RETRACTED or not in_ledger, in_ledger


@lru_cache(maxsize=1024)
def _moment(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def _exact_money(event: Event) -> Any:
    """The body with every amount at four decimals, so that 31, "31.0" and "31.00" say the same."""
    body: Any = event.body
    if event.type.name == _COST:
        return msgspec.structs.replace(body, amount=_four_decimals(body.amount))
    changes = {
        name: msgspec.structs.replace(money, amount=_four_decimals(money.amount))
        for name in ("delivery_fee", "goods_value")
        if (money := getattr(body, name)) is not None
    }
    return msgspec.structs.replace(body, **changes) if changes else body


def _four_decimals(amount: Decimal) -> Decimal:
    return Decimal(int(amount * AMOUNT_SCALE)).scaleb(-4)


def _claimed_identity(value: bytes) -> tuple[str, str, str]:
    try:
        claimed = _identity(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return "", "", ""
    return claimed.subject[:128], claimed.source[:256], claimed.id[:256]
