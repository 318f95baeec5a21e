"""YAML as it is written: plain values with the line and column of each, and whatever YAML would pass over in silence.

Refused are repeated keys, aliases and merges, keys that are no text, dates, and numbers that are none.
"""

from dataclasses import dataclass, field
from math import isfinite
from typing import Any

import yaml

from milepost.policies.faults import Fault, Path, pointer

MOST_BYTES = 256 * 1024
"""A file may be so long: it travels as one record."""

_PLAIN = {f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null")}
_ALIAS = "alias"
_MERGE = "tag:yaml.org,2002:merge"


@dataclass
class Source:
    """A document's ``value``, where each value and key of it stands (line, column), and how each scalar is spelled."""

    value: Any = None
    places: dict[Path, tuple[int, int]] = field(default_factory=dict)
    keys: dict[Path, tuple[int, int]] = field(default_factory=dict)
    spelled: dict[Path, str] = field(default_factory=dict)
    spoilt: set[Path] = field(default_factory=set)
    """Where something could not be read: a scalar, or a key of a mapping."""
    faults: list[Fault] = field(default_factory=list)

    def fault(self, path: Path, reason: str, *, at_key: bool = False) -> Fault:
        """A fault of the value at ``path``, or of the key that leads to it; of what holds it where there is none."""
        places = self.keys if at_key and path in self.keys else self.places
        known = path
        while known not in places and known:
            known = known[:-1]
        line, column = places.get(known, (1, 1))
        return Fault(line, column, pointer(path), reason)


def read(text: str) -> Source:
    """The document in ``text``; where it is no YAML at all, ``faults`` says so and the value is None."""
    source = Source()
    if len(text.encode("utf-8", "surrogatepass")) > MOST_BYTES:
        source.faults.append(Fault(1, 1, "", f"is longer than {MOST_BYTES} bytes"))
        return source
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
    except yaml.reader.ReaderError as error:
        source.faults.append(_unreadable(text, error))
    except yaml.MarkedYAMLError as error:
        source.faults.append(_no_yaml(error))
    except RecursionError:
        source.faults.append(Fault(1, 1, "", "is nested too deeply"))
    else:
        if node is None:
            source.faults.append(Fault(1, 1, "", "is empty; it begins with `format: 1`"))
        else:
            _Reader(loader, source).into(node)
    return source


def _unreadable(text: str, error: yaml.reader.ReaderError) -> Fault:
    # The reader drops a byte order mark in front, and counts from there.
    before = text[: error.position]
    line = before.count("\n") + 1
    return Fault(line, len(before) - before.rfind("\n"), "", f"holds the character U+{int(error.character):04X}")


def _no_yaml(error: yaml.MarkedYAMLError) -> Fault:
    mark = error.problem_mark or error.context_mark
    said = ", ".join(part for part in (error.context, error.problem) if part)
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    return Fault(line, column, "", f"is no YAML: {said}")


class _Loader(yaml.SafeLoader):
    """Keeps an alias as a node of its own, where it stands."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """The next node."""
        if self.check_event(yaml.AliasEvent):
            event = self.get_event()  # type: ignore[no-untyped-call]
            return yaml.ScalarNode(_ALIAS, "", event.start_mark, event.end_mark)
        return super().compose_node(parent, index)


class _Reader:
    def __init__(self, loader: yaml.SafeLoader, source: Source) -> None:
        self._loader = loader
        self._source = source

    def into(self, node: yaml.Node) -> None:
        self._source.value = self._value(node, ())

    def _value(self, node: yaml.Node, path: Path) -> Any:
        self._source.places[path] = _place(node)
        if node.tag == _ALIAS:
            self._fault(path, "is an alias; write it out, so that each line says what it does")
            return None
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self._value(one, (*path, index)) for index, one in enumerate(node.value)]
        return self._scalar(node, path)

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in node.value:
            name = key.value if isinstance(key, yaml.ScalarNode) else ""
            line, column = _place(key)
            where = (*path, name)
            if key.tag == _MERGE:
                reason = "merges are not read here; write it out"
            elif key.tag != "tag:yaml.org,2002:str":
                reason = f"the key {name} is no text to YAML; put it in quotes" if name else "a key must be a text"
            elif name in found:
                reason = f"{name} is there twice; the first is in line {self._source.keys[where][0]}"
            else:
                self._source.keys[where] = line, column
                found[name] = self._value(value, where)
                continue
            self._source.spoilt.add(path)
            self._source.faults.append(Fault(line, column, pointer(where), reason))
        return found

    def _scalar(self, node: yaml.Node, path: Path) -> Any:
        spelled = self._source.spelled[path] = str(node.value)
        if node.tag not in _PLAIN:
            self._fault(path, f"{spelled} is neither text nor number to YAML; put it in quotes")
            return None
        try:
            value = self._loader.construct_object(node)
        except (ValueError, yaml.constructor.ConstructorError):
            self._fault(path, f"{spelled} is no number")
            return None
        if isinstance(value, float) and not isfinite(value):
            self._fault(path, f"{spelled} is no number")
            return None
        return value

    def _fault(self, path: Path, reason: str) -> None:
        self._source.spoilt.add(path)
        self._source.faults.append(self._source.fault(path, reason))


def _place(node: yaml.Node) -> tuple[int, int]:
    return node.start_mark.line + 1, node.start_mark.column + 1
