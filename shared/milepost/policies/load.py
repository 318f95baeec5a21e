"""From the file of policies to the policies, or to everything that is wrong in it."""

from pathlib import Path
from typing import Any

from milepost.domain.sla.policy import Band, Objective, Policies, Policy
from milepost.policies.faults import Fault, PolicyError
from milepost.policies.sense import check_sense
from milepost.policies.shape import check_shape
from milepost.policies.source import read
from milepost.policies.spans import NONE, parse_span


def load_policies(text_or_path: str | Path, version: int = 0) -> Policies:
    """The policies in a text, or in the file at a ``Path``, as ``version``.

    Raises:
        PolicyError: they cannot be taken; it carries every fault with its line.
        OSError: the file cannot be read.
    """
    source = read(text_or_path if isinstance(text_or_path, str) else read_text(text_or_path))
    if source.places:
        kept = check_shape(source)
        source.faults += check_sense(kept, source)
    if source.faults:
        raise PolicyError(source.faults)
    return _policies(source.value, version)


def read_text(path: Path) -> str:
    """The text of a file of policies. Raises ``OSError``, and ``PolicyError`` where it is not UTF-8."""
    content = path.read_bytes()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start]
        column = len(before) - before.rfind(b"\n")
        raise PolicyError([Fault(before.count(b"\n") + 1, column, "", "is not UTF-8")]) from error


def _policies(document: dict[str, Any], version: int) -> Policies:
    return Policies(
        version,
        tuple(_policy(one) for one in document["policies"]),
        tuple(_objective(one) for one in document.get("objectives", ())),
        tuple(_band(one) for one in document.get("bands", ())),
    )


def _policy(given: dict[str, Any]) -> Policy:
    promise = given.get("promise")
    how = promise if isinstance(promise, dict) else {}
    return Policy(
        given["name"],
        given["match"],
        # Who says how a promise is watched says that it is.
        True if isinstance(promise, dict) else promise,
        parse_span(how["grace"]) if "grace" in how else None,
        _number(how.get("risk_below")),
        _number(how.get("eased_above")),
        {stage: _limit(text) or None for stage, text in given.get("stages", {}).items()},
        _limit(given["silence"]) if "silence" in given else None,
    )


def _objective(given: dict[str, Any]) -> Objective:
    return Objective(
        given["name"],
        given["kpi"],
        float(given["target"]),
        given["window"],
        int(given["minimum"]),
        int(given["minimum_bad"]),
        {hub: float(target) for hub, target in given.get("hubs", {}).items()},
    )


def _band(given: dict[str, Any]) -> Band:
    return Band(
        given["name"],
        given["kpi"],
        given["window"],
        int(given["minimum"]),
        _number(given.get("at_least")),
        _number(given.get("at_most")),
    )


def _limit(text: str) -> int:
    return 0 if text == NONE else parse_span(text)


def _number(value: float | None) -> float | None:
    return None if value is None else float(value)
