"""RowBinary, byte for byte as ClickHouse documents it."""

import pytest

from milepost.store import tables
from milepost.store.row_formats import encode_rows
from milepost.store.rowbinary import encoder

COLUMNS = {
    "grain": "Enum8('a' = 1)",
    "minute": "DateTime('UTC')",
    "label": "LowCardinality(String)",
    "text": "String",
    "small": "UInt16",
    "sum": "Int64",
    "buckets": "Array(UInt16)",
    "counts": "Array(Int64)",
}


def test_every_type_as_documented() -> None:
    row = (1, 60, "hub", "ü", 513, -2, (1, 258), [-1])
    expected = (
        b"\x01"
        b"\x3c\0\0\0"
        b"\x03hub"
        b"\x02\xc3\xbc"
        b"\x01\x02"
        b"\xfe\xff\xff\xff\xff\xff\xff\xff"
        b"\x02\x01\0\x02\x01"
        b"\x01\xff\xff\xff\xff\xff\xff\xff\xff"
    )
    assert encoder(COLUMNS)(row) == expected


@pytest.mark.parametrize(("length", "prefix"), [(0, b"\0"), (127, b"\x7f"), (128, b"\x80\x01"), (300, b"\xac\x02")])
def test_lengths_are_leb128(length: int, prefix: bytes) -> None:
    assert encoder({"text": "String"})(["x" * length]) == prefix + b"x" * length
    assert encoder({"many": "Array(UInt16)"})([[7] * length]) == prefix + b"\x07\0" * length


def test_a_label_seen_again_is_the_same() -> None:
    encode = encoder({"label": "String"})
    assert [encode([label]) for label in ("a", "b", "a")] == [b"\x01a", b"\x01b", b"\x01a"]


def test_a_number_out_of_its_type_is_refused_rather_than_wrapped() -> None:
    with pytest.raises(Exception, match="format requires"):
        encoder({"small": "UInt16"})([70_000])


def test_wide_rows_go_as_rowbinary_and_others_as_messagepack() -> None:
    assert encode_rows(tables.KPIS, [])[1] == "RowBinary"
    assert encode_rows(tables.PROGRESS, [(1, 2, 3, 4, 5, 6)]) == ([b"\x01\x02\x03\x04\x05\x06"], "MsgPack")
