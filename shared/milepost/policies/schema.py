"""The format of the file of policies as a JSON Schema (2020-12): editors read it, and so does the check."""

from typing import Any

from milepost.contracts.fields import IDENTIFIER_PATTERN
from milepost.domain.kpis import KPIS, Kpi
from milepost.domain.sla.policy import LIMITED_STAGES, MATCHED
from milepost.domain.windows import WINDOWS
from milepost.policies.spans import DURATION_PATTERN, NONE

FORMAT = 1
DEFAULT = "default"
"""The one policy that matches every order."""

OBJECTIVE_KPIS = tuple(kpi.name for kpi in KPIS if kpi.unit == "ratio" and kpi.direction == "higher")
"""KPIs that are a share of good orders."""
BAND_KPIS = tuple(kpi.name for kpi in KPIS if kpi.stage is None)
"""KPIs that have one value."""

Schema = dict[str, Any]

NAME: Schema = {
    "title": "name",
    "type": "string",
    "pattern": r"^[a-z][a-z0-9-]{0,62}(?!\n)$",
    "description": "begins with a small letter and has only small letters, digits and hyphens, at most 63",
}
IDENTIFIER: Schema = {
    "title": "id",
    "type": "string",
    "pattern": IDENTIFIER_PATTERN,
    "description": "has 1 to 128 characters of A-Z a-z 0-9 . _ : -",
}
DURATION: Schema = {
    "title": "duration",
    "type": "string",
    "pattern": DURATION_PATTERN,
    "description": "is written like 90s, 45m, 2h or 1d",
}
LIMIT: Schema = {
    "title": "time limit",
    "type": "string",
    "pattern": rf"{DURATION_PATTERN}|^{NONE}(?!\n)$",
    "description": f"is written like 90s, 45m, 2h or 1d, or {NONE} where there is to be no limit",
}
CHANCE: Schema = {
    "title": "share",
    "type": "number",
    "exclusiveMinimum": 0,
    "exclusiveMaximum": 1,
    "description": "lies between 0 and 1, both excluded; 97 % is 0.97",
}
COUNT: Schema = {
    "title": "count",
    "type": "integer",
    "minimum": 1,
    "maximum": 1_000_000_000,
    "description": "is a whole number from 1",
}
NUMBER: Schema = {"title": "number", "type": "number", "description": "is a number in the KPI's own unit"}
WINDOW: Schema = {
    "title": "window",
    "type": "string",
    "enum": list(WINDOWS),
    "description": "is one of those that the exporter serves",
}


def _object(title: str, text: str, properties: Schema, required: tuple[str, ...] = ()) -> Schema:
    return {
        "title": title,
        "type": "object",
        "description": text,
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


def _kpi(names: tuple[str, ...], text: str) -> Schema:
    return {"title": "KPI", "type": "string", "enum": list(dict.fromkeys(names)), "description": text}


POLICY = _object(
    "policy",
    "says what holds for the orders it matches; each limit comes from the most specific policy that sets it",
    {
        "name": NAME,
        "match": _object(
            "match",
            f"has what an order must be to be meant, all of it; empty for the policy named {DEFAULT}",
            dict.fromkeys(MATCHED, IDENTIFIER),
        ),
        "promise": {
            "title": "promise",
            "type": ["boolean", "object"],
            "description": "is false where the promise is not watched, else how it is",
            "properties": {"grace": DURATION, "risk_below": CHANCE, "eased_above": CHANCE},
            "additionalProperties": False,
        },
        "stages": _object(
            "stages", "has the time limit of each stage that has one", dict.fromkeys(LIMITED_STAGES, LIMIT)
        ),
        "silence": LIMIT,
    },
    ("name", "match"),
)
OBJECTIVE = _object(
    "objective",
    "is the share of orders that is to be good over a window",
    {
        "name": NAME,
        "kpi": _kpi(OBJECTIVE_KPIS, "is a share of good orders"),
        "target": CHANCE,
        "window": WINDOW,
        "minimum": COUNT,
        "minimum_bad": COUNT,
        "hubs": {
            "title": "hubs",
            "type": "object",
            "description": "has the targets of hubs that have one of their own",
            "propertyNames": IDENTIFIER,
            "additionalProperties": CHANCE,
        },
    },
    ("name", "kpi", "target", "window", "minimum", "minimum_bad"),
)
BAND = _object(
    "band",
    "is where a KPI should lie",
    {
        "name": NAME,
        "kpi": _kpi(BAND_KPIS, "has one value over a window"),
        "at_least": NUMBER,
        "at_most": NUMBER,
        "window": WINDOW,
        "minimum": COUNT,
    },
    ("name", "kpi", "window", "minimum"),
)


def policies_schema() -> Schema:
    """The schema of the whole file."""
    properties = {
        "format": {"title": "format", "const": FORMAT, "description": f"is {FORMAT}, the one this version reads"},
        "policies": {"title": "list of policies", "type": "array", "description": "is a list", "items": POLICY},
        "objectives": {"title": "list of objectives", "type": "array", "description": "is a list", "items": OBJECTIVE},
        "bands": {"title": "list of bands", "type": "array", "description": "is a list", "items": BAND},
    }
    whole = _object(
        "file of SLA policies",
        "is a mapping of format, policies, objectives and bands",
        properties,
        ("format", "policies"),
    )
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **whole}


def kpi_named(name: str) -> Kpi:
    """The KPI of a name that the schema allows."""
    return next(kpi for kpi in KPIS if kpi.name == name)
