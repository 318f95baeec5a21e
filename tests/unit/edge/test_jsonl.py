"""JSON lines are read a line at a time, within bounds, from every kind of file."""

import gzip
from pathlib import Path

import pytest

from milepost.cli.jsonl import LINE_BYTES, Line, UnreadableFileError, open_source


def _lines(path: Path) -> list[Line]:
    source = open_source(str(path))
    try:
        return list(source.lines())
    finally:
        source.close()


def test_lines_keep_their_numbers_past_empty_ones(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"a":1}\r\n\n  \n{"b":2}')
    assert _lines(path) == [Line(1, b'{"a":1}'), Line(4, b'{"b":2}')]


def test_gzip_is_known_by_its_content(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(gzip.compress(b"1\n2\n"))
    assert _lines(path) == [Line(1, b"1"), Line(2, b"2")]


@pytest.mark.parametrize("content", [b"", gzip.compress(b"", mtime=0)])
def test_an_empty_file_has_no_lines(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "empty"
    path.write_bytes(content)
    assert _lines(path) == []


@pytest.mark.parametrize(
    "content",
    [b"\x7fELF\x02\x01\x01\0\0\0", bytes(range(128, 256)), b"{}\0\n", "è".encode("utf-16"), b"\x1f\x8b\x08broken"],
)
def test_a_binary_file_is_not_read(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(UnreadableFileError, match=r"binary content|damaged gzip"):
        open_source(str(path))


def test_a_character_cut_at_the_end_of_the_look_does_not_make_a_file_binary(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_text('"' + "é" * 20_000 + '"')
    assert len(_lines(path)) == 1


def test_a_line_too_long_is_named_and_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "long"
    path.write_bytes(b"1\n" + b"x" * (3 * LINE_BYTES) + b"\n3\n" + b"y" * (LINE_BYTES + 1))
    found = _lines(path)
    assert [(line.number, line.fault is None) for line in found] == [(1, True), (2, False), (3, True), (4, False)]
    assert all(len(line.text) <= LINE_BYTES for line in found)


def test_a_line_of_the_longest_length_is_read(tmp_path: Path) -> None:
    path = tmp_path / "long"
    path.write_bytes(b"x" * LINE_BYTES + b"\n2")
    assert [(line.number, line.fault) for line in _lines(path)] == [(1, None), (2, None)]


def test_a_gzip_file_that_breaks_off_says_where(tmp_path: Path) -> None:
    path = tmp_path / "cut.gz"
    whole = gzip.compress(b"".join(b"%d\n" % number for number in range(100_000)))
    path.write_bytes(whole[: len(whole) // 2])
    source = open_source(str(path))
    with pytest.raises(UnreadableFileError, match=r"cut\.gz: cannot be read past line \d+"):
        list(source.lines())
    source.close()
