"""The plain REST forms: a path and a body for one type of event each."""

import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec
from fastapi import FastAPI, Request
from starlette.responses import Response

from milepost.access.keys import Credential
from milepost.contracts.catalogue import EVENT_RETRACTED, EventType
from milepost.contracts.event import Fault
from milepost.edge import idempotency
from milepost.edge.admission import Ticket
from milepost.edge.cloudevents import media_type, not_json
from milepost.edge.desk import Desk
from milepost.edge.idempotency import RecentRequests
from milepost.edge.intake import Intake, Refused
from milepost.edge.media_types import PLAIN
from milepost.edge.openapi import form_operation
from milepost.edge.problems import ProblemError
from milepost.settings import Service

ENVELOPE_FIELDS = ("time", "id", "source", "testmode")
"""What a form's body may say besides the event's data."""

_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_text = msgspec.json.Decoder(str).decode


@dataclass(frozen=True)
class Form:
    """A route: where it is, the type of its event, and what calling it says."""

    method: str
    path: str
    kind: EventType
    summary: str

    @property
    def names_order(self) -> bool:
        """Whether the path names the order, so that the body need not."""
        return "{order_id}" in self.path


RETRACTION = Form(
    "POST", "/v1/retractions", EVENT_RETRACTED, "An event named by its source and id counts as never sent"
)
"""Every edge service takes retractions; the body also has the ``subject`` of the event it retracts."""


def add_forms(app: FastAPI, service: Service, forms: Sequence[Form], desk: Desk) -> None:
    """Add the routes of ``forms`` and of retractions to ``app``, on ``desk``."""
    recent = RecentRequests()
    for form in (*forms, RETRACTION):
        app.add_api_route(
            form.path,
            _endpoint(form, service, desk, recent),
            methods=[form.method],
            summary=form.summary,
            name=f"{form.kind.owner}_{form.kind.fact}",
            response_class=Response,
            status_code=202,
            openapi_extra=form_operation(form),
        )


def _endpoint(
    form: Form, service: Service, desk: Desk, recent: RecentRequests
) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        sender = desk.sender(request)
        with desk.admit(sender, request) as ticket:
            return await answered(request, sender, ticket)

    async def answered(request: Request, sender: Credential, ticket: Ticket) -> Response:
        body = await desk.body(request, ticket)
        event = _event(form, service, sender, request, body)
        key = request.headers.get("idempotency-key")
        first = None
        if key is not None and "id" not in event.named:
            event.id = idempotency.event_id(sender.name, form.method, request.url.path, idempotency.checked(key))
            first = recent.first(event.id, body, event.time)
            event.time = first.time
        intake = await desk.check(sender, [event.encoded()])
        if intake.refused:
            desk.count(intake, published=False)
            raise _problem(form, intake.refused[0])
        if first is not None:
            recent.remember(event.id, first)
        await desk.publish(intake)
        desk.count(intake, published=True)
        return Response(msgspec.json.encode(_answer(event, intake)), 202, media_type=PLAIN)

    return endpoint


@dataclass
class _FormEvent:
    """The event of a form, its fields still as their sender wrote them."""

    kind: EventType
    data: dict[str, msgspec.Raw]
    named: dict[str, msgspec.Raw]
    subject: msgspec.Raw | str | None
    source: str
    id: str
    time: str

    def encoded(self) -> bytes:
        """The structured CloudEvent."""
        return msgspec.json.encode(
            {
                "specversion": "1.0",
                "id": self.id,
                "source": self.source,
                "type": self.kind.name,
                "time": self.time,
                **({} if self.subject is None else {"subject": self.subject}),
                **self.named,
                "data": self.data,
            }
        )


def _event(form: Form, service: Service, sender: Credential, request: Request, body: bytes) -> _FormEvent:
    data = _data(request, body)
    named = {name: data.pop(name) for name in ENVELOPE_FIELDS if name in data}
    subject: msgspec.Raw | str | None
    if form.names_order:
        subject = str(request.path_params["order_id"])
        if "order_id" in data and _quiet_text(data["order_id"]) != subject:
            fault = Fault("/order_id", "differs from the one in the path")
            raise ProblemError(422, "the event is not taken", faults=[fault])
        data["order_id"] = msgspec.Raw(msgspec.json.encode(subject))
    elif form is RETRACTION:
        subject = data.pop("subject", None)
    else:
        subject = next((data[name] for name in form.kind.subjects if name in data), None)
    if "source" in named and (source := _quiet_text(named["source"])) is not None:
        named.pop("source")
    else:
        source = f"/{service.value}" if sender.any_source else sender.source_prefix
    time = datetime.now(UTC).isoformat()
    if "time" in named and (told := _quiet_text(named["time"])) is not None:
        named.pop("time")
        time = told
    told_id = _quiet_text(named["id"]) if "id" in named else None
    return _FormEvent(form.kind, data, named, subject, source, told_id or str(uuid.uuid4()), time)


def _data(request: Request, body: bytes) -> dict[str, msgspec.Raw]:
    if not body and "content-type" not in request.headers:
        # Many clients cannot give a DELETE a body, so its fields may stand in the query.
        query = request.query_params if request.method == "DELETE" else {}
        return {name: msgspec.Raw(msgspec.json.encode(value)) for name, value in query.items()}
    media_type(request.headers, (PLAIN,))
    try:
        return _fields(body or b"{}")
    except msgspec.ValidationError:
        fault = Fault("", "must be an object")
        raise ProblemError(422, "the event is not taken", faults=[fault]) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise not_json(error) from None


def _quiet_text(raw: msgspec.Raw) -> str | None:
    """The string in ``raw``; None where it is none, which the check of the whole event then says."""
    try:
        return _text(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _problem(form: Form, refused: Refused) -> ProblemError:
    """The answer to a refused form, its pointers leading into the body as it was sent."""
    if refused.reason == "not_json":
        return ProblemError(400, "the body is not JSON", faults=refused.errors)
    own = "/subject" if form is RETRACTION else f"/{form.kind.subjects[-1]}"
    faults: dict[str, Fault] = {}
    for fault in refused.errors:
        pointer = own if fault.pointer == "/subject" else fault.pointer.removeprefix("/data")
        faults.setdefault(pointer, Fault(pointer, fault.detail))
    status = 403 if refused.reason == "forbidden" else 422
    return ProblemError(status, "the event is not taken", faults=list(faults.values()))


def _answer(event: _FormEvent, intake: Intake) -> dict[str, Any]:
    answer: dict[str, Any] = {"source": event.source, "id": event.id}
    warnings = intake.answer()["warnings"]
    if warnings:
        answer["warnings"] = [
            {"pointer": warning["pointer"].removeprefix("/data"), "detail": warning["detail"]} for warning in warnings
        ]
    return answer
