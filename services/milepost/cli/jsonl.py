"""JSON lines from files, gzip files and standard input, a line at a time, within bounds."""

import gzip
import io
import sys
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

STDIN = "-"
LINE_BYTES = 1_048_576
"""A longer line is refused without being read into memory."""
_GZIP_MAGIC = b"\x1f\x8b"
_LOOKED_AT = 8192
_BOM = b"\xef\xbb\xbf"


class UnreadableFileError(ValueError):
    """The file is not JSON lines, or broke off; the message names it."""


class Line(NamedTuple):
    """A line that is not empty; ``fault`` says why ``text`` cannot be sent."""

    number: int
    text: bytes
    fault: str | None = None


@dataclass
class Source:
    """An opened file: ``name`` for messages, ``size`` in bytes on disk (0 where unknown)."""

    name: str
    size: int
    _file: BinaryIO
    _lines: BinaryIO

    def position(self) -> int:
        """Bytes read of the file on disk."""
        return self._file.tell() if self.size else 0

    def lines(self) -> Iterator[Line]:
        """Every line that is not empty. Raises ``UnreadableFileError`` where the file breaks off."""
        number = 0
        try:
            while text := self._lines.readline(LINE_BYTES + 1):
                number += 1
                if number == 1:
                    text = text.removeprefix(_BOM)
                if len(text) > LINE_BYTES and not text.endswith(b"\n"):
                    self._skip_line()
                    yield Line(number, b"", f"the line is longer than {LINE_BYTES:,} bytes")
                elif stripped := text.strip():
                    yield Line(number, stripped)
        except (OSError, EOFError, zlib.error) as error:
            raise UnreadableFileError(f"{self.name}: cannot be read past line {number}: {error}") from error

    def _skip_line(self) -> None:
        while (rest := self._lines.readline(LINE_BYTES)) and not rest.endswith(b"\n"):
            pass

    def close(self) -> None:
        """Close the file."""
        self._lines.close()
        self._file.close()


def open_source(name: str) -> Source:
    """The file ``name``, or standard input for ``-``; gzip is recognised by its content.

    Raises ``UnreadableFileError`` for a binary file and whatever opening raises as ``OSError``.
    """
    if name == STDIN:
        file: BinaryIO = sys.stdin.buffer
        size = 0
    else:
        file = Path(name).open("rb")  # noqa: SIM115 - the Source closes it
        size = Path(name).stat().st_size
    peekable = cast(io.BufferedReader, file)
    lines: BinaryIO = peekable
    if peekable.peek(2)[:2] == _GZIP_MAGIC:
        lines = cast(BinaryIO, io.BufferedReader(gzip.GzipFile(fileobj=file)))
    source = Source("standard input" if name == STDIN else name, size, file, lines)
    try:
        start = cast(io.BufferedReader, lines).peek(_LOOKED_AT)[:_LOOKED_AT]
    except (OSError, EOFError, zlib.error) as error:
        source.close()
        raise UnreadableFileError(f"{source.name}: damaged gzip: {error}") from error
    if b"\0" in start or not _is_text(start):
        source.close()
        raise UnreadableFileError(f"{source.name}: binary content, not JSON lines (UTF-8 text, one event a line)")
    return source


def _is_text(start: bytes) -> bool:
    """Whether ``start`` is UTF-8, but for a character cut at its end."""
    try:
        start.decode()
    except UnicodeDecodeError as error:
        return error.start >= len(start) - 3
    return True
