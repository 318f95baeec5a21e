"""What can go wrong with ClickHouse, as exceptions that say what to do: wait and try again, or stop."""

import re

from clickhouse_connect.driver.exceptions import Error

TRANSIENT_CODES = frozenset(
    {
        75,  # CANNOT_WRITE_TO_FILE_DESCRIPTOR
        76,  # CANNOT_OPEN_FILE
        159,  # TIMEOUT_EXCEEDED
        202,  # TOO_MANY_SIMULTANEOUS_QUERIES
        203,  # NO_FREE_CONNECTION
        209,  # SOCKET_TIMEOUT
        210,  # NETWORK_ERROR
        236,  # ABORTED
        241,  # MEMORY_LIMIT_EXCEEDED
        242,  # TABLE_IS_READ_ONLY
        243,  # NOT_ENOUGH_SPACE
        252,  # TOO_MANY_PARTS
        279,  # ALL_CONNECTION_TRIES_FAILED
        285,  # TOO_FEW_LIVE_REPLICAS
        290,  # LIMIT_EXCEEDED
        319,  # UNKNOWN_STATUS_OF_INSERT
        394,  # QUERY_WAS_CANCELLED
        425,  # SYSTEM_ERROR
        473,  # DEADLOCK_AVOIDED
        745,  # SERVER_OVERLOADED
        999,  # KEEPER_EXCEPTION
    }
)
"""ClickHouse's error codes that time may heal."""

_DISK = re.compile(r"Read-only file system|No space left on device|Input/output error|Disk quota exceeded")
"""What a disk says that somebody can mend; such an error may come under a code that means anything."""
TABLE_EXISTS = 57
MISSING_SCHEMA_CODES = frozenset({60, 81})
"""UNKNOWN_TABLE, UNKNOWN_DATABASE: the migrations have not run."""


class StoreError(Exception):
    """ClickHouse could not do what was asked; ``code`` is its number for it, None where no answer came."""

    def __init__(self, message: str, code: int | None = None) -> None:
        super().__init__(message)
        self.code = code


class SinkUnavailableError(StoreError):
    """Down, overloaded or not reachable: the same request may succeed later. A repeated insert changes nothing."""


class SinkRefusedError(StoreError):
    """The request itself is wrong (schema, rights, types): trying again cannot help. Stop and say so."""


class SchemaMissingError(SinkRefusedError):
    """The database or a table is not there: run ``milepost migrate apply``."""


class CurrencyMismatchError(SinkRefusedError):
    """The database was made for another reporting currency than ``MILEPOST_CURRENCY`` names."""


_ANSWER = re.compile(r"Code: (\d+)\. (?:DB::Exception: )?(.*?)(?: \(for url [^)]*\))?$")
_REASON = re.compile(r"\[Errno \d+\] ([^\"')]+)|(timed out)")


def _cause(error: Error) -> str:
    text = " ".join(str(error).split())
    found = _REASON.search(text)
    return (found[1] or found[2]) if found else text


def typed(error: Error, url: str) -> StoreError:
    """The exception to raise for one of the driver's."""
    text = " ".join(str(error).split())
    found = _ANSWER.search(text)
    if found is None:
        return SinkUnavailableError(f"ClickHouse at {url} cannot be reached: {_cause(error)}", error.code)
    code, text = int(found[1]), found[2]
    if code in MISSING_SCHEMA_CODES:
        return SchemaMissingError(f"{text} — run `milepost migrate apply` first", code)
    # The same code for an insert that touches too many partitions, which no waiting mends.
    if _DISK.search(text) or (code in TRANSIENT_CODES and "Too many partitions" not in text):
        return SinkUnavailableError(text, code)
    return SinkRefusedError(text, code)
