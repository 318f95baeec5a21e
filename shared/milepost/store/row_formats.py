"""Rows as ClickHouse takes them fastest: MessagePack, and RowBinary for wide rows of numbers.

MessagePack is cheapest to make; the engine reads RowBinary in a third of the time where rows are wide.
"""

from collections.abc import Iterable
from typing import Any

import msgspec

from milepost.store.rowbinary import encoder
from milepost.store.tables import KPIS, Table

Row = tuple[Any, ...]

_WIDE = {table.name: encoder(table.columns) for table in (KPIS,)}
_pack = msgspec.msgpack.Encoder().encode


def encode_rows(table: Table, rows: Iterable[Row]) -> tuple[list[bytes], str]:
    """The rows of ``table``, each encoded, and the name of their format."""
    encode = _WIDE.get(table.name)
    if encode is not None:
        return [encode(row) for row in rows], "RowBinary"
    # ClickHouse's MsgPack is the bare values one after another: each row's array header is cut off.
    header = table.header
    return [_pack(row)[header:] for row in rows], "MsgPack"
