"""Every sentence of docs/guarantees.md that promises something names the tests that hold it, and they exist."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GUARANTEES = ROOT / "docs" / "guarantees.md"
PROMISED = "## What it guarantees"
NOT_PROMISED = "## What it does not"
_REFERENCE = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def promises() -> list[str]:
    """The rows of the tables of promises: a sentence, and the tests that hold it."""
    text = GUARANTEES.read_text().partition(PROMISED)[2].partition(NOT_PROMISED)[0]
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    return [row for row in rows if not row.startswith(("| guarantee", "| ---"))]


@cache
def functions(path: Path) -> frozenset[str]:
    """Every function a test file defines."""
    tree = ast.parse(path.read_text())
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def test_there_are_promises() -> None:
    assert len(promises()) > 30


@pytest.mark.parametrize("promise", promises(), ids=lambda row: row.split("|")[1].strip()[:60])
def test_a_promise_names_tests_that_exist(promise: str) -> None:
    named = _REFERENCE.findall(promise)
    assert named, "no test holds this sentence"
    missing = [f"{path}::{name}" for path, name in named if name not in functions(ROOT / path)]
    assert missing == []
