"""A simulation written down: events as JSON lines, the truth as JSON."""

import gzip
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, cast

import msgspec

from milepost.simulator.draws import SECOND
from milepost.simulator.simulation import Options, simulate, windows
from milepost.simulator.truth import Truth


def parse_moment(text: str) -> int:
    """Microseconds since 1970 of an RFC 3339 ``text``; raises ``ValueError`` where it has no offset."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text} has no offset (write 2026-03-02T00:00:00Z)")
    whole = moment.replace(microsecond=0)
    return int(whole.timestamp()) * SECOND + moment.microsecond


def show_moment(moment: int) -> str:
    """``moment`` in UTC as RFC 3339, to the second."""
    return datetime.fromtimestamp(moment // SECOND, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@contextmanager
def _opened(path: str) -> Iterator[BinaryIO]:
    if path == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    with Path(path).open("wb", buffering=1 << 20) as plain:
        if path.endswith(".gz"):
            # No name and no time in the header: the same options give the same file.
            with gzip.GzipFile(filename="", mode="wb", compresslevel=5, fileobj=plain, mtime=0) as packed:
                yield cast(BinaryIO, packed)
        else:
            yield plain


def write(options: Options, out: str | None, truth: Path | None) -> int:
    """Write the events to ``out`` and the true KPIs to ``truth``; either may be None.

    ``out`` may be ``-`` (standard output); a name that ends in ``.gz`` is compressed. Gives the number of event lines.
    Raises ``OSError`` where a file cannot be written.
    """
    known = Truth(windows(options)) if truth is not None else None
    lines = 0
    if out is None:
        lines = sum(1 for _ in simulate(options, known))
    else:
        with _opened(out) as file:
            pending: list[bytes] = []
            for payload in simulate(options, known):
                pending.append(payload)
                if len(pending) == 2_000:
                    file.write(b"\n".join(pending) + b"\n")
                    lines += len(pending)
                    pending.clear()
            if pending:
                file.write(b"\n".join(pending) + b"\n")
                lines += len(pending)
    if known is not None and truth is not None:
        result = known.result()
        for window in result["windows"]:
            window["from"], window["to"] = show_moment(window["from"]), show_moment(window["to"])
        truth.write_bytes(msgspec.json.format(msgspec.json.encode(result), indent=1) + b"\n")
    return lines
