"""A table as a file: ClickHouse's TabSeparatedWithNames, compressed with zstd, with a checksum of the file."""

import hashlib
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

from milepost.operations.refusals import DamagedError
from milepost.store.errors import SinkUnavailableError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

LEVEL = 3
INSERT_BYTES = 16 * 1024 * 1024
"""Text of one insert; what a table of any size needs in memory."""
_ESCAPED = {
    "\b": "\\b", "\f": "\\f", "\r": "\\r", "\n": "\\n", "\t": "\\t", "\0": "\\0", "'": "\\'", "\\": "\\\\",
}  # fmt: skip
_SPECIAL = re.compile(rb"[\b\f\r\n\t\0'\\]")
_ESCAPES = {ord(plain): escaped.encode() for plain, escaped in _ESCAPED.items()}


class Archive:
    """A file being written. ``rows`` and ``sha256`` are those of what is in it; it is whole once closed."""

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self.rows = 0
        self._columns = columns
        self._path = path
        self._raw: BinaryIO = path.open("wb")
        self._digest = hashlib.sha256()
        self._compressor = zstd.ZstdCompressor(level=LEVEL)
        self._put("\t".join(columns).encode() + b"\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if error is None:
            self._write(self._compressor.flush())
        self._raw.close()

    @property
    def sha256(self) -> str:
        """Of the compressed file."""
        return self._digest.hexdigest()

    def add(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """Write ``pieces`` of text, and give them on as whole lines.

        Raises:
            SinkUnavailableError: they are not lines of our columns, so ClickHouse broke off with a word of its own.
        """
        rest = b""
        for piece in pieces:
            lines, end, rest = (rest + piece).rpartition(b"\n")
            if end:
                self._add_lines(lines + end)
                yield lines + end
        if rest:
            raise SinkUnavailableError(f"ClickHouse broke off in the middle of {self._path.name}: {rest[-300:]!r}")

    def add_rows(self, rows: Iterable[Sequence[Any]]) -> None:
        """Write rows made here, a value for each column."""
        for row in rows:
            self._add_lines(b"\t".join(map(_text, row)) + b"\n")

    def _add_lines(self, lines: bytes) -> None:
        count = lines.count(b"\n")
        if lines.count(b"\t") != count * (len(self._columns) - 1):
            raise SinkUnavailableError(f"ClickHouse broke off in the middle of {self._path.name}: {lines[-300:]!r}")
        self.rows += count
        self._put(lines)

    def _put(self, plain: bytes) -> None:
        self._write(self._compressor.compress(plain))

    def _write(self, compressed: bytes) -> None:
        self._raw.write(compressed)
        self._digest.update(compressed)


def sha256_of(path: Path) -> str:
    """The checksum of a file. Raises ``DamagedError`` where there is none."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError as error:
        raise DamagedError(f"{path} is missing") from error


def read(path: Path) -> Iterator[bytes]:
    """The lines of a file below its header, in pieces of whole lines that fit into one insert."""
    rest = b""
    with zstd.open(path, "rb") as file:
        file.readline()
        while piece := file.read(INSERT_BYTES):
            lines, end, rest = (rest + piece).rpartition(b"\n")
            if end:
                yield lines + end
    if rest:
        raise DamagedError(f"{path} ends within a line")


def _text(value: Any) -> bytes:
    """A value in TabSeparated."""
    if isinstance(value, bytes | str):
        raw = value if isinstance(value, bytes) else value.encode()
        return _SPECIAL.sub(lambda found: _ESCAPES[found[0][0]], raw)
    if isinstance(value, list | tuple):
        return b"[" + b",".join(str(int(one)).encode() for one in value) + b"]"
    return str(int(value)).encode()
