"""JSON Schemas of what an edge service answers; the schemas of what it takes come from the catalogue."""

from typing import Any

Schema = dict[str, Any]

FAULT: Schema = {
    "title": "Fault",
    "description": "What is wrong, and where.",
    "type": "object",
    "properties": {
        "pointer": {"type": "string", "description": "A JSON pointer into what was sent; empty for the whole of it."},
        "detail": {"type": "string"},
    },
    "required": ["pointer", "detail"],
}
WARNING: Schema = {
    "title": "Warning",
    "description": "A field that was dropped because no event has it.",
    "type": "object",
    "properties": {
        "index": {"type": ["integer", "null"], "description": "Which event of the request, from 0."},
        "pointer": {"type": "string"},
        "detail": {"type": "string"},
    },
    "required": ["pointer", "detail"],
}
REFUSED: Schema = {
    "title": "Refused",
    "description": "An event that was not taken.",
    "type": "object",
    "properties": {
        "index": {"type": "integer", "description": "Which event of the request, from 0."},
        "source": {"type": ["string", "null"]},
        "id": {"type": ["string", "null"]},
        "errors": {"type": "array", "items": {"$ref": "#/components/schemas/Fault"}},
    },
    "required": ["index", "source", "id", "errors"],
}
ANSWER: Schema = {
    "title": "Answer",
    "description": "What became of the events of a request.",
    "type": "object",
    "properties": {
        "accepted": {"type": "integer", "description": "Events the broker has acknowledged."},
        "refused": {"type": "array", "items": {"$ref": "#/components/schemas/Refused"}},
        "warnings": {"type": "array", "items": {"$ref": "#/components/schemas/Warning"}},
    },
    "required": ["accepted", "refused", "warnings"],
}
PROBLEM: Schema = {
    "title": "Problem",
    "description": "An RFC 9457 problem document.",
    "type": "object",
    "properties": {
        "type": {"type": "string", "format": "uri-reference"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "errors": {"type": "array", "items": {"$ref": "#/components/schemas/Fault"}},
    },
    "required": ["type", "title", "status", "detail", "errors"],
}
NONE_TAKEN: Schema = {
    "title": "NoneTaken",
    "description": "A problem document that also has the members of an answer.",
    "allOf": [{"$ref": "#/components/schemas/Problem"}, {"$ref": "#/components/schemas/Answer"}],
}
TAKEN: Schema = {
    "title": "Taken",
    "description": "The identity of the event that was taken.",
    "type": "object",
    "properties": {
        "source": {"type": "string"},
        "id": {"type": "string"},
        "warnings": {"type": "array", "items": {"$ref": "#/components/schemas/Warning"}},
    },
    "required": ["source", "id"],
}

ANSWER_SCHEMAS: dict[str, Schema] = {
    str(schema["title"]): schema for schema in (FAULT, WARNING, REFUSED, ANSWER, PROBLEM, NONE_TAKEN, TAKEN)
}
"""Every schema here, by its name in the description."""
