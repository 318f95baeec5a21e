"""The ClickHouse engine in this process: statements in, bytes out. Every call blocks; call it from a thread."""

import fcntl
import json
import os
import re
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from milepost.embedded.clickhouse_disk import Disk
from milepost.embedded.clickhouse_request import BadRequestError, Request
from milepost.embedded.clickhouse_sessions import Sessions, Setup

STREAMED = frozenset(
    {"Native", "RowBinary", "TabSeparated", "TSV", "CSV", "JSONEachRow", "JSONCompactEachRow", "Values"}
)
"""Formats without a header or footer, whose blocks can be sent one by one as the engine makes them."""

ROWS_OF_ONE_INSERT = 2_000_000
_CONFIGURATION = Path(__file__).with_name("clickhouse.xml")
_DEFAULTS = {"implicit_select": "0"}
_INSERT_DEFAULTS = {
    **_DEFAULTS,
    "max_insert_block_size": str(ROWS_OF_ONE_INSERT),
    "min_insert_block_size_rows": str(ROWS_OF_ONE_INSERT),
    "min_insert_block_size_bytes": "8589934592",
    "max_insert_threads": "1",
}

_CODE = re.compile(r"Code: (\d+)\. ?")
_SELECT = re.compile(r"^(?:\s|--[^\n]*\n|/\*.*?\*/|\()*(?:SELECT|WITH)\b", re.IGNORECASE | re.DOTALL)
_FILE_FUNCTION = re.compile(r"\bfile\s*\(", re.IGNORECASE)
_BYTES_AT_ONCE = 1 << 20


class EngineError(RuntimeError):
    """What the engine refused, in its own words; ``code`` is ClickHouse's number for it."""

    def __init__(self, message: str) -> None:
        start = message.find("Code: ")
        text = message[start:] if start > 0 else message
        super().__init__(text)
        found = _CODE.search(text)
        self.code = int(found[1]) if found else 1002


class Answer:
    """The result of a statement: ``chunks`` yields its bytes; ``summary`` is complete once they are drained."""

    def __init__(self, chunks: Iterator[bytes], summary: dict[str, str]) -> None:
        self.chunks = chunks
        self.summary = summary

    @property
    def summary_header(self) -> str:
        """The summary as the value of ``X-ClickHouse-Summary``."""
        return json.dumps(self.summary)


class Engine:
    """One data path, opened by this process alone. Safe to use from many threads at once."""

    def __init__(self, folder: Path, lost: Callable[[], None]) -> None:
        """Open ``folder``, making it if need be.

        ``lost`` is called, from any thread, when the disk has refused a write that the engine took for done: before the
        statement is answered whose write it may have been. Only opening the folder anew mends that, so it should end
        the process.

        Raises:
            RuntimeError: another process has it open.
        """
        # The zone must stand before the engine is loaded: it reads it once.
        os.environ["TZ"] = "UTC"
        time.tzset()
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = _locked(folder / "milepost.lock")
        self._path = f"{folder / 'engine'}?config-file={_CONFIGURATION}"
        from chdb.state.sqlitelike import Connection

        self._sessions = Sessions(lambda: Connection(self._path))
        self._classify = threading.Lock()
        # While one connection is open the engine stays loaded, and opening another costs 0.2 ms.
        self._first = Connection(self._path)
        self._disk = Disk(Connection(self._path), lost)
        self.version = self._first.query("SELECT version()", "TabSeparated").bytes().decode().strip()

    def close(self) -> None:
        """Let the data path go."""
        self._sessions.close()
        self._disk.close()
        self._first.close()
        self._lock.close()

    def run(self, request: Request) -> Answer:
        """Run one statement.

        Raises:
            EngineError: the engine refused it.
            BadRequestError: several statements at once, or a write where only reading is allowed.
        """
        try:
            kind = self._check(request)
            selects = kind == "READ_ONLY" and _SELECT.match(request.statement) is not None
            if selects and request.output_format in STREAMED:
                return Answer(self._streamed(request), {})
            # Not one connection for all: on a shared one an insert waits behind a query.
            with self._sessions.lent(_setup(request), keep=selects or bool(request.insert_format)) as connection:
                answer = (self._insert if request.insert_format else self._whole)(connection, request)
                if kind != "READ_ONLY":
                    self._disk.check()
        except RuntimeError as error:
            # What is half written cannot be read, which must not be told as if it were for ever.
            self._disk.check()
            raise EngineError(str(error)) from error
        return answer

    def _check(self, request: Request) -> str:
        if request.insert_format:
            if request.readonly:
                raise _readonly()
            return "MUTATING"
        with self._classify:
            told = self._first._conn.classify_query(request.statement)
        if told["statement_count"] > 1:
            raise BadRequestError(62, "SYNTAX_ERROR", "Multi-statements are not allowed")
        kind: str = told["query_class"].name
        # The engine's own read-only mode lets a query write a file or read one of the machine's.
        if request.readonly and (kind != "READ_ONLY" or _FILE_FUNCTION.search(request.statement)):
            raise _readonly()
        return kind

    def _insert(self, connection: Any, request: Request) -> Answer:
        # Not by the engine's streaming insert: that says "written" also where the table has refused the block.
        began = time.monotonic()
        with _in_memory() as rows:
            for chunk in request.data:
                rows.write(chunk)
            size = rows.tell()
            rows.flush()
            rows.seek(0)
            statement = request.statement.rstrip().rstrip(";")
            source = f"FROM INFILE '/dev/fd/{rows.fileno()}' FORMAT {request.insert_format}"
            written = connection.query(f"{statement} {source}").rows_written() if size else 0
        return Answer(
            iter(()),
            {
                "read_rows": str(written),
                "read_bytes": str(size),
                "written_rows": str(written),
                "written_bytes": str(size),
                "elapsed_ns": str(int((time.monotonic() - began) * 1e9)),
            },
        )

    def _whole(self, connection: Any, request: Request) -> Answer:
        result = connection.query(request.statement, request.output_format, params=dict(request.parameters))
        written = result.rows_written()
        summary = {
            "read_rows": str(result.storage_rows_read()),
            "read_bytes": str(result.storage_bytes_read()),
            "written_rows": str(written),
            "written_bytes": str(result.bytes_written()),
            "result_rows": str(result.rows_read()),
            "elapsed_ns": str(int(result.elapsed() * 1e9)),
        }
        return Answer(iter((result.bytes(),)), summary)

    def _streamed(self, request: Request) -> Iterator[bytes]:
        try:
            with self._sessions.lent(_setup(request), keep=True) as connection:
                parameters = dict(request.parameters)
                gathered = bytearray()
                for block in connection.send_query(request.statement, request.output_format, params=parameters):
                    gathered += block.bytes()
                    if len(gathered) >= _BYTES_AT_ONCE:
                        yield bytes(gathered)
                        gathered.clear()
                if gathered:
                    yield bytes(gathered)
        except RuntimeError as error:
            self._disk.check()
            raise EngineError(str(error)) from error


def _setup(request: Request) -> Setup:
    settings = {**(_INSERT_DEFAULTS if request.insert_format else _DEFAULTS), **request.settings}
    statements = ["SET " + ", ".join(f"{name} = {_quoted(value)}" for name, value in settings.items())]
    if request.database:
        statements.append(f"USE {_backquoted(request.database)}")
    if request.readonly:
        statements.append(f"SET readonly = {request.readonly}")
    return tuple(statements)


def _quoted(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _backquoted(name: str) -> str:
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"


def _readonly() -> BadRequestError:
    return BadRequestError(164, "READONLY", "Cannot execute query in readonly mode")


def _locked(path: Path) -> IO[str]:
    handle = path.open("w")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        handle.close()
        raise RuntimeError(f"another process has {path.parent} open") from error
    return handle


def _in_memory() -> IO[bytes]:
    """A file that is nowhere on the disk, as far as the system has such."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("rows"), "w+b")
    return tempfile.TemporaryFile()
