"""Fields a sender wrote that no event has: found cheaply, so that their loss can be named."""

from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import inspect

from milepost.contracts.catalogue import EVENT_TYPES
from milepost.contracts.event import Envelope


class Shape:
    """The field names of an object, and the shapes of the objects (or lists of objects) in it."""

    def __init__(self, struct: type[msgspec.Struct]) -> None:
        self.names = frozenset(field.encode_name for field in msgspec.structs.fields(struct))
        self.nested: list[tuple[str, Shape]] = []
        for field in msgspec.structs.fields(struct):
            inner = _struct_in(inspect.type_info(field.type))
            if inner is not None:
                self.nested.append((field.encode_name, Shape(inner)))

    def unknown(self, document: Any, pointer: str = "") -> Iterator[str]:
        """JSON pointers of the fields of ``document`` that the shape does not have."""
        if not isinstance(document, dict):
            return
        if not document.keys() <= self.names:
            for name in document.keys() - self.names:
                yield f"{pointer}/{escape(name)}"
        for name, shape in self.nested:
            value = document.get(name)
            if value is None:
                continue
            if isinstance(value, list):
                for index, item in enumerate(value):
                    yield from shape.unknown(item, f"{pointer}/{name}/{index}")
            else:
                yield from shape.unknown(value, f"{pointer}/{name}")


def escape(name: str) -> str:
    """``name`` as a part of a JSON pointer, cut to a bearable length."""
    return name[:128].replace("~", "~0").replace("/", "~1")


def _struct_in(found: inspect.Type) -> type[msgspec.Struct] | None:
    if isinstance(found, inspect.Metadata):
        return _struct_in(found.type)
    if isinstance(found, inspect.StructType):
        return found.cls
    if isinstance(found, inspect.ListType):
        return _struct_in(found.item_type)
    if isinstance(found, inspect.UnionType):
        return next((struct for kind in found.types if (struct := _struct_in(kind)) is not None), None)
    return None


ENVELOPE = Shape(Envelope)
BODIES = {name: Shape(kind.body) for name, kind in EVENT_TYPES.items()}


def unknown_fields(document: dict[str, Any], type_name: str) -> list[str]:
    """Pointers of every unknown field of a CloudEvent of a known type, sorted."""
    found = list(ENVELOPE.unknown(document))
    found += BODIES[type_name].unknown(document.get("data"), "/data")
    return sorted(found)
