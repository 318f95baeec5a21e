"""ClickHouse over HTTP: one writer, one reader, the same against the embedded engine and a real server.

Calls block; from a coroutine use ``asyncio.to_thread``. A client may be shared by threads.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from contextvars import ContextVar
from threading import Lock
from types import TracebackType
from typing import Any, BinaryIO, Self, cast
from urllib.parse import urlsplit

import clickhouse_connect
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import Error
from urllib3 import PoolManager
from urllib3.exceptions import HTTPError

from milepost.settings import Settings
from milepost.store.errors import SinkUnavailableError, typed
from milepost.store.row_formats import encode_rows
from milepost.store.tables import Table

MOST_ROWS = 1_000_000
"""Rows of one insert that are sure to become one block, so one part: all of them are seen, or none."""

_ONE_BLOCK = {
    "async_insert": 0,
    "max_insert_threads": 1,
    "max_insert_block_size": MOST_ROWS,
    "min_insert_block_size_rows": MOST_ROWS,
    "min_insert_block_size_bytes": 1 << 40,
}
READ_SECONDS = 30
MOST_RESULT_ROWS = 1_000_000
_READ_LIMITS = {
    "readonly": 2,
    "max_execution_time": READ_SECONDS,
    "max_result_rows": MOST_RESULT_ROWS,
    "result_overflow_mode": "throw",
}
_CONNECT_SECONDS = 3
_WRITE_SECONDS = 120
_CONNECTIONS = 16

ANSWER_SECONDS: ContextVar[int | None] = ContextVar("answer_seconds", default=None)
"""How long this context's calls wait for an answer, where that is less than the client's own limit."""
_PIECE_BYTES = 1 << 20

Row = tuple[Any, ...]

# What the driver logs about a failure is in the exception; without a handler it would also land on stderr.
logging.getLogger("clickhouse_connect").addHandler(logging.NullHandler())


class Store:
    """A connection to ClickHouse, made at the first call; ClickHouse may go and come back meanwhile.

    Every call raises ``SinkUnavailableError`` (try again later) or ``SinkRefusedError`` (stop).
    """

    def __init__(
        self,
        url: str,
        credentials: tuple[str, str],
        *,
        database: str | None,
        settings: Mapping[str, Any],
        timeout: int,
    ) -> None:
        self.url = url
        self.database = database
        self._options: dict[str, Any] = {
            "dsn": _dsn(url),
            "username": credentials[0],
            "password": credentials[1],
            "database": database,
            "settings": dict(settings),
            "connect_timeout": _CONNECT_SECONDS,
            "autogenerate_session_id": False,
            "compress": urlsplit(url).hostname not in ("127.0.0.1", "localhost", "::1"),
            "client_name": "milepost",
            "http_proxy": "",
        }
        self._timeout = timeout
        self._lock = Lock()
        self._pool = PoolManager(maxsize=_CONNECTIONS, retries=False)
        self._made: dict[int, Client] = {}

    def insert(self, table: Table, rows: Iterable[Row]) -> int:
        """Insert rows, each with a value for every column of ``table``, and return their number.

        Up to ``MOST_ROWS`` rows that belong into one partition are written atomically, in one part. Repeating an insert
        changes nothing, as all tables keep one row a key and version.
        """
        encoded, fmt = encode_rows(table, rows)
        if encoded:
            with self._typed():
                self._client().raw_insert(table.name, tuple(table.columns), b"".join(encoded), fmt=fmt)
        return len(encoded)

    def insert_text(self, table: str, columns: Iterable[str], lines: bytes) -> None:
        """Insert whole lines of ClickHouse's TabSeparated, a value for each of ``columns``."""
        with self._typed():
            self._client().raw_insert(table, tuple(columns), lines, fmt="TabSeparated")

    def stream_text(self, sql: str, settings: Mapping[str, Any] | None = None) -> Iterator[bytes]:
        """The rows of a SELECT as TabSeparated, piece by piece as they come; a piece may end within a row.

        ClickHouse may fail after it has begun to answer, and puts its words where rows were expected: who reads must
        see that every line has its columns.
        """
        with self._typed():
            answer = cast(BinaryIO, self._client().raw_stream(sql, settings=dict(settings or {}), fmt="TabSeparated"))
        with closing(answer):
            while piece := self._read(answer):
                yield piece

    def _read(self, answer: BinaryIO) -> bytes:
        try:
            return bytes(answer.read(_PIECE_BYTES))
        except (HTTPError, OSError) as error:
            raise SinkUnavailableError(f"ClickHouse at {self.url} went away in the middle of an answer") from error

    def query(
        self,
        sql: str,
        parameters: Mapping[str, Any] | None = None,
        settings: Mapping[str, Any] | None = None,
        binary: Iterable[str] = (),
    ) -> list[Row]:
        """Rows of a SELECT; ``{name:Type}`` in it stands for ``parameters``; the columns ``binary`` come as bytes."""
        return self._select(sql, parameters, settings, binary)[1]

    def named(self, sql: str, parameters: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        """Rows of a SELECT as mappings from column name to value."""
        names, rows = self._select(sql, parameters, None)
        return [dict(zip(names, row, strict=True)) for row in rows]

    def command(
        self, sql: str, parameters: Mapping[str, Any] | None = None, settings: Mapping[str, Any] | None = None
    ) -> Any:
        """Run a statement that gives no rows, or one value."""
        with self._typed():
            return self._client().command(sql, dict(parameters or {}), settings=dict(settings or {}))

    def ping(self) -> None:
        """Raise unless ClickHouse answers a query."""
        self.query("SELECT 1")

    def close(self) -> None:
        """Close the connections; a later call opens them again."""
        with self._lock:
            for client in self._made.values():
                client.close()
            self._made.clear()
            self._pool.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _client(self) -> Client:
        with self._lock:
            seconds = min(self._timeout, ANSWER_SECONDS.get() or self._timeout)
            client = self._made.get(seconds)
            if client is None:
                options = self._options | {"send_receive_timeout": seconds}
                client = self._made[seconds] = clickhouse_connect.get_client(pool_mgr=self._pool, **options)
            return client

    def _select(
        self,
        sql: str,
        parameters: Mapping[str, Any] | None,
        settings: Mapping[str, Any] | None,
        binary: Iterable[str] = (),
    ) -> tuple[tuple[str, ...], list[Row]]:
        with self._typed():
            result = self._client().query(
                sql,
                dict(parameters or {}),
                settings=dict(settings or {}),
                column_formats=dict.fromkeys(binary, "bytes"),
            )
            return tuple(result.column_names), [tuple(row) for row in result.result_rows]

    @contextmanager
    def _typed(self) -> Iterator[None]:
        try:
            yield
        except Error as error:
            raise typed(error, self.url) from error


def writer(settings: Settings) -> Store:
    """The client that may write."""
    return Store(
        settings.clickhouse_url,
        _writing(settings),
        database=settings.database,
        settings=_ONE_BLOCK,
        timeout=_WRITE_SECONDS,
    )


def administrator(settings: Settings) -> Store:
    """The same user in no database, to make ours with."""
    return Store(settings.clickhouse_url, _writing(settings), database=None, settings={}, timeout=_WRITE_SECONDS)


def reader(settings: Settings, seconds: int = READ_SECONDS, threads: int = 0) -> Store:
    """The client that may only read, with a limit of ``seconds`` and ``MOST_RESULT_ROWS`` a query.

    A query takes at most ``threads`` of the store's; 0 leaves that to it.

    It is the read-only user where that has a password (so that the migrations made it), else the writing user held to
    reading.
    """
    password = settings.clickhouse_reader_password.get_secret_value()
    return Store(
        settings.clickhouse_url,
        (settings.clickhouse_reader, password) if password else _writing(settings),
        database=settings.database,
        settings=_READ_LIMITS | {"max_execution_time": seconds} | ({"max_threads": threads} if threads else {}),
        timeout=seconds + 5,
    )


def _writing(settings: Settings) -> tuple[str, str]:
    return settings.clickhouse_user, settings.clickhouse_password.get_secret_value()


def _dsn(url: str) -> str:
    """The driver's form of ClickHouse's address; a URL without scheme is plain HTTP."""
    return url if "://" in url else f"http://{url}"
