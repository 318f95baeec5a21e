"""Whether a document has the shape of the schema; each fault in words, at its line."""

import difflib
from collections.abc import Iterator
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from milepost.policies.faults import Fault, Path
from milepost.policies.schema import IDENTIFIER, policies_schema
from milepost.policies.source import Source

_BOUNDS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "pattern")
_KINDS = {str: "text", bool: "yes or no", int: "a number", float: "a number", dict: "a mapping", list: "a list"}


def check_shape(source: Source) -> Any:
    """Add to ``source.faults`` what the schema does not allow; gives the document without the values at fault."""
    found = list(_faults(source))
    # What was no value to begin with has its fault already.
    source.faults += [fault for path, fault in found if path not in source.spoilt]
    kept = source.value
    for path, _ in found:
        kept = _without(kept, path)
    return kept


@cache
def _validator() -> Draft202012Validator:
    return Draft202012Validator(policies_schema())


def _faults(source: Source) -> Iterator[tuple[Path, Fault]]:
    for error in _validator().iter_errors(source.value):
        yield from _in_words(error, tuple(error.absolute_path), source)


def _in_words(error: ValidationError, path: Path, source: Source) -> Iterator[tuple[Path, Fault]]:
    schema = error.schema if isinstance(error.schema, dict) else {}
    instance: Any = error.instance
    allowed: Any = error.validator_value
    title, text = schema.get("title"), schema.get("description")
    if "propertyNames" in error.absolute_schema_path:
        where = (*path, instance)
        yield where, source.fault(where, f"{instance!r} is no {title}: it {text}", at_key=True)
    elif error.validator == "additionalProperties":
        for key in instance:
            if key not in schema["properties"]:
                where = (*path, key)
                yield where, source.fault(where, _unknown("key", key, list(schema["properties"])), at_key=True)
    elif error.validator == "required":
        for key in allowed:
            if key not in instance:
                where = (*path, key)
                yield where, source.fault(where, f"{key} is missing: every {title} has it")
    elif error.validator == "enum":
        yield path, source.fault(path, _unknown(str(title), instance, list(allowed)))
    elif error.validator in _BOUNDS:
        yield path, source.fault(path, f"{source.spelled[path]} is no {title}: it {text}")
    else:
        given = source.spelled.get(path) or _KINDS.get(type(instance), "nothing")
        yield path, source.fault(path, f"{_name(path)} {text}; here is {given}{_quotes(error, source)}")


def _quotes(error: ValidationError, source: Source) -> str:
    spelled = source.spelled.get(tuple(error.absolute_path))
    # Of ids anything may be meant; a duration that is no text lacks its unit.
    wants_id = isinstance(error.schema, dict) and error.schema.get("title") == IDENTIFIER["title"]
    return f', which is no text to YAML; write "{spelled}"' if wants_id and spelled else ""


def _name(path: Path) -> str:
    named = [part for part in path if isinstance(part, str)]
    return named[-1] if named else "the document"


def _unknown(what: str, given: str, known: list[str]) -> str:
    near = difflib.get_close_matches(given, known, 1, 0.6)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
    return f"there is no {what} {given!r}; {hint}"


def _without(value: Any, path: Path) -> Any:
    """A copy of ``value`` with nothing at ``path``; an item of a list becomes None, so that others stay in place."""
    if not path:
        return None
    first, *rest = path
    if isinstance(value, dict) and first in value:
        left = {key: one for key, one in value.items() if key != first}
        return {**left, first: _without(value[first], tuple(rest))} if rest else left
    if isinstance(value, list) and isinstance(first, int) and first < len(value):
        return [_without(one, tuple(rest)) if index == first else one for index, one in enumerate(value)]
    return value
