"""The OpenAPI description of an edge service, made from the catalogue of events and the service's forms."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from milepost.contracts import schemas
from milepost.contracts.catalogue import EVENT_RETRACTED, EVENT_TYPES, example_events
from milepost.contracts.fields import IDENTIFIER_PATTERN
from milepost.edge.answers import ANSWER_SCHEMAS, Schema
from milepost.edge.media_types import BATCH, PLAIN, STRUCTURED

if TYPE_CHECKING:
    from milepost.edge.forms import Form

_PROBLEMS = {
    400: "Not JSON.",
    401: "No key, or an unknown or revoked one.",
    403: "The key lacks the right, or may not write under this source or for this merchant.",
    408: "The body did not arrive in time.",
    413: "The body, or the number of events, is over the limit: send smaller batches.",
    415: "Another content type, charset or content encoding than the ones read here.",
    429: "This sender has its share of all requests under way: await answers, then send again, after `Retry-After` s.",
    503: "Not acknowledged by the broker, or too much is under way: send the same again, after `Retry-After` seconds.",
}
HEALTH: Schema = {
    "responses": {
        "200": {
            "description": "It runs.",
            "content": {
                "application/json": {
                    "schema": {
                        "type": "object",
                        "properties": {"status": {"const": "alive"}, "service": {"type": "string"}},
                        "required": ["status", "service"],
                    }
                }
            },
        }
    }
}
_READY: Schema = {
    "type": "object",
    "properties": {"ready": {"type": "boolean"}, "missing": {"type": "array", "items": {"type": "string"}}},
    "required": ["ready", "missing"],
}
READINESS: Schema = {
    "responses": {
        "200": {"description": "It can do its work.", "content": {"application/json": {"schema": _READY}}},
        "503": {"description": "Something is missing.", "content": {"application/json": {"schema": _READY}}},
    }
}


def components(forms: Sequence["Form"]) -> Schema:
    """The ``components`` of the description."""
    made: Schema = {
        **schemas.components(),
        **ANSWER_SCHEMAS,
        "CloudEvent": {
            "title": "CloudEvent",
            "description": "An event of any type.",
            "oneOf": [_ref(schemas.event_name(kind)) for kind in EVENT_TYPES.values()],
            "discriminator": {
                "propertyName": "type",
                "mapping": {
                    name: f"#/components/schemas/{schemas.event_name(kind)}" for name, kind in EVENT_TYPES.items()
                },
            },
        },
        **{_form_name(form): _form_schema(form) for form in forms},
    }
    return {
        "schemas": dict(sorted(made.items())),
        "securitySchemes": {
            "key": {
                "type": "http",
                "scheme": "bearer",
                "description": "A key made with `milepost keys add`. Without a file of keys: callers on this machine.",
            }
        },
    }


def events_operation() -> Schema:
    """The description of ``POST /v1/events``."""
    events = example_events()
    named = {f"{event['type']} ({event['id']})": {"value": event} for event in events}
    return {
        "tags": ["events"],
        "summary": "Events of any type, one or many",
        "description": (
            "One CloudEvent (structured, or binary with `ce-` headers) or a batch. 202: all taken, 207: some, "
            "422: none. The answer is sent after the broker has acknowledged every accepted event. An event is known "
            "by its `source` and `id`, so sending it again changes nothing."
        ),
        "operationId": "post_events",
        "security": [{"key": []}, {}],
        "parameters": [
            {
                "name": "atomic",
                "in": "query",
                "description": "All or none: with one event refused, nothing is published.",
                "schema": {"type": "boolean", "default": False},
            }
        ],
        "requestBody": {
            "required": True,
            "content": {
                STRUCTURED: {"schema": _ref("CloudEvent"), "examples": named},
                BATCH: {
                    "schema": {"type": "array", "items": _ref("CloudEvent"), "maxItems": 10_000},
                    "examples": {"the life of an order": {"value": events}},
                },
                PLAIN: {
                    "schema": {"anyOf": [_ref("CloudEvent"), {"type": "array", "items": _ref("CloudEvent")}]},
                    "examples": {"one event": {"value": events[0]}},
                },
            },
        },
        "responses": {
            "202": _answered("All events are on the topic.", "Answer", {"accepted": 1, "refused": [], "warnings": []}),
            "207": _answered("Some events are on the topic, some were refused.", "Answer"),
            "422": _answered("No event was taken.", "NoneTaken", media_type="application/problem+json"),
            **_problems(),
        },
    }


def form_operation(form: "Form") -> Schema:
    """The description of a REST form."""
    parameters: list[Schema] = [
        {
            "name": "Idempotency-Key",
            "in": "header",
            "description": (
                "Makes the event's id, so that a retry with the same key is the same event; an `id` in the body goes "
                "before it. Without `time` in the body, a retry gets the time of the first request, which this process "
                "remembers for 100,000 requests."
            ),
            "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
        }
    ]
    if form.names_order:
        parameters.insert(
            0,
            {
                "name": "order_id",
                "in": "path",
                "required": True,
                "schema": {"type": "string", "pattern": IDENTIFIER_PATTERN},
                "example": "order-1001",
            },
        )
    body = {
        "schema": _ref(_form_name(form)),
        "examples": {f"example {number}": {"value": body} for number, body in enumerate(form_examples(form), start=1)},
    }
    taken = {"source": "/shop", "id": "0c0ffee0-7a11-4b1e-9a3c-5a7c0de1d001"}
    return {
        "tags": [form.kind.owner],
        "description": f"{form.kind.description}\n\nThe event `{form.kind.name}`.",
        "security": [{"key": []}, {}],
        "parameters": parameters,
        "requestBody": {"required": bool(_form_schema(form)["required"]), "content": {PLAIN: body}},
        "responses": {
            "202": _answered("The event is on the topic.", "Taken", taken),
            "422": _answered("The event was not taken.", "Problem", media_type="application/problem+json"),
            **_problems(),
        },
    }


def form_examples(form: "Form") -> list[Schema]:
    """Bodies of a form: the examples of its event, without what the path says."""
    made = []
    for example in form.kind.examples:
        body = {name: value for name, value in example.items() if not (form.names_order and name == "order_id")}
        made.append({"subject": "order-1001", **body} if form.kind is EVENT_RETRACTED else body)
    return made


def _form_schema(form: "Form") -> Schema:
    data: Schema = schemas.components()[schemas.data_name(form.kind)]
    envelope: Schema = schemas.components()[schemas.event_name(form.kind)]["properties"]
    properties = dict(data["properties"])
    required = [name for name in data.get("required", []) if not (form.names_order and name == "order_id")]
    if form.kind is EVENT_RETRACTED:
        properties = {"subject": envelope["subject"], **properties}
        required = ["subject", *required]
    properties |= {
        "time": {**envelope["time"], "description": "When it happened; the moment of receipt if not given."},
        "id": {**envelope["id"], "description": "The event's id; made up if not given."},
        "source": {**envelope["source"], "description": "The key's source prefix if not given."},
        "testmode": envelope["testmode"],
    }
    return {
        "title": _form_name(form),
        "description": form.kind.description,
        "type": "object",
        "properties": properties,
        "required": required,
    }


def _form_name(form: "Form") -> str:
    return f"{schemas.data_name(form.kind)}Form"


def _answered(
    description: str, schema: str, example: Schema | None = None, media_type: str = "application/json"
) -> Schema:
    content: Schema = {"schema": _ref(schema)}
    if example is not None:
        content["example"] = example
    return {"description": description, "content": {media_type: content}}


def _problems() -> Schema:
    return {
        str(status): _answered(description, "Problem", media_type="application/problem+json")
        for status, description in _PROBLEMS.items()
    }


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}
