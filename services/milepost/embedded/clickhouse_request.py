"""ClickHouse's HTTP interface, the asking half: what one request says, as values. No I/O."""

import base64
import binascii
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

_IDENTIFIER = rb"(?:`(?:[^`\\]|\\.)*`|\"(?:[^\"\\]|\\.)*\"|[A-Za-z_]\w*)"
_COMMENT = rb"(?:\s|--[^\n]*\n|/\*.*?\*/)*"
INSERT_HEADER = re.compile(
    rb"^(?P<head>" + _COMMENT + rb"INSERT\s+INTO\s+(?:TABLE\s+)?"
    rb"(?!FUNCTION\b)" + _IDENTIFIER + rb"(?:\." + _IDENTIFIER + rb")?"
    rb"\s*(?:\((?:`(?:[^`\\]|\\.)*`|\"(?:[^\"\\]|\\.)*\"|[^()`\"])*\))?"
    rb"(?:\s*SETTINGS\s+[^;]*?)?)"
    rb"\s*(?:\bFORMAT\s+(?P<format>\w+)|\b(?P<values>VALUES))[ \t]*;?(?P<newline>\r?\n)?",
    re.IGNORECASE | re.DOTALL,
)
"""The statement an insert with data begins with; what follows the match is the data."""

_FORMAT_CLAUSE = re.compile(r"\bFORMAT\s+(\w+)\s*(?:SETTINGS\s[^;]*)?;?\s*$", re.IGNORECASE)
_SETTING_NAME = re.compile(r"^[A-Za-z_][A-Za-z0-9_]*$")

NOT_SETTINGS = frozenset(
    {
        "query", "database", "default_format", "user", "password", "quota_key", "query_id", "session_id",
        "session_timeout", "session_check", "role", "client_protocol_version", "compress", "decompress",
        "enable_http_compression", "http_zlib_compression_level", "wait_end_of_query", "buffer_size",
        "send_progress_in_http_headers", "http_headers_progress_interval_ms", "stacktrace", "readonly",
        "cancel_http_readonly_queries_on_client_close", "close_session",
    }
)  # fmt: skip
"""Parameters that steer the HTTP interface itself; every other one is a setting of the query."""


class BadRequestError(ValueError):
    """The request cannot be understood; ``code`` is ClickHouse's number for it."""

    def __init__(self, code: int, name: str, message: str) -> None:
        super().__init__(f"Code: {code}. DB::Exception: {message}. ({name})")
        self.code = code


@dataclass(frozen=True)
class Request:
    """One statement and how it is to be run."""

    statement: str
    insert_format: str | None = None
    data: tuple[bytes, ...] = ()
    database: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    readonly: int = 0
    output_format: str = "TabSeparated"


def read(method: str, query_string: bytes, headers: Mapping[str, str], body: Iterable[bytes]) -> Request:
    """What a request asks for; ``body`` are its chunks as they came, compressed or not.

    Raises:
        BadRequestError: no statement, a body that cannot be decompressed, or something this interface has not got.
    """
    given = dict(parse_qsl(query_string.decode("latin-1"), keep_blank_values=True))
    if given.get("compress") == "1" or given.get("decompress") == "1":
        raise BadRequestError(48, "NOT_IMPLEMENTED", "compress and decompress are not supported, use Content-Encoding")
    chunks = list(_decompressed(body, headers.get("content-encoding", "")))
    kind = headers.get("content-type", "")
    if kind.startswith("multipart/form-data"):
        given |= _form(kind, b"".join(chunks))
        chunks = []
    statement, insert_format, data = _split(given.get("query", "").encode(), chunks)
    if not statement.strip():
        raise BadRequestError(62, "SYNTAX_ERROR", "Empty query")
    settings = {
        name: value for name, value in given.items() if name not in NOT_SETTINGS and not name.startswith("param_")
    }
    for name in settings:
        if not _SETTING_NAME.match(name):
            raise BadRequestError(115, "UNKNOWN_SETTING", f"Unknown setting '{name}'")
    asked = _FORMAT_CLAUSE.search(statement)
    return Request(
        statement=statement,
        insert_format=insert_format,
        data=data,
        database=given.get("database") or headers.get("x-clickhouse-database", ""),
        parameters={name[6:]: value for name, value in given.items() if name.startswith("param_")},
        settings=settings,
        readonly=max(int(given.get("readonly", "0") or 0), 1 if method in ("GET", "HEAD") else 0),
        output_format=asked[1]
        if asked
        else given.get("default_format") or headers.get("x-clickhouse-format") or "TabSeparated",
    )


def credentials(query_string: bytes, headers: Mapping[str, str]) -> tuple[str, str]:
    """User and password of a request, by whichever of ClickHouse's ways they came; ``default`` and none if by none."""
    if "x-clickhouse-user" in headers:
        return headers["x-clickhouse-user"], headers.get("x-clickhouse-key", "")
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            user, _, password = base64.b64decode(token, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError) as error:
            raise BadRequestError(516, "AUTHENTICATION_FAILED", "Malformed Authorization header") from error
        return user or "default", password
    if b"user=" in query_string:
        given = dict(parse_qsl(query_string.decode("latin-1"), keep_blank_values=True))
        return given.get("user") or "default", given.get("password", "")
    return "default", ""


def _split(query: bytes, chunks: list[bytes]) -> tuple[str, str | None, tuple[bytes, ...]]:
    """The statement, and for an insert with data its format and the data."""
    if query and chunks:
        chunks = [query + b"\n", *chunks]
    elif query:
        chunks = [query]
    start = chunks[0] if chunks else b""
    taken = 1
    while taken < len(chunks) and len(start) < 65_536:
        start += chunks[taken]
        taken += 1
    header = INSERT_HEADER.match(start)
    if header is None:
        return (start + b"".join(chunks[taken:])).decode("utf-8", "replace"), None, ()
    insert_format = header["format"].decode() if header["format"] else "Values"
    data = tuple(chunk for chunk in (start[header.end() :], *chunks[taken:]) if chunk)
    return header["head"].decode("utf-8", "replace").strip(), insert_format, data


def _decompressed(body: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    if encoding in ("", "identity"):
        yield from (chunk for chunk in body if chunk)
        return
    decompress = _decompressor(encoding)
    for chunk in body:
        try:
            plain = decompress(chunk)
        except Exception as error:  # each codec has an error type of its own, none with a common base
            raise BadRequestError(
                271, "CANNOT_DECOMPRESS", f"Cannot decompress the {encoding} body: {error}"
            ) from error
        if plain:
            yield plain


def _decompressor(encoding: str) -> Callable[[bytes], bytes]:
    if encoding in ("gzip", "deflate"):
        return zlib.decompressobj(wbits=47).decompress
    if encoding == "lz4":
        import lz4.frame

        return lz4.frame.LZ4FrameDecompressor().decompress  # type: ignore[no-any-return]
    if encoding == "zstd":
        try:
            from compression import zstd  # type: ignore[import-not-found,unused-ignore]
        except ImportError:
            from backports import zstd  # type: ignore[no-redef,unused-ignore]
        return zstd.ZstdDecompressor().decompress  # type: ignore[no-any-return,unused-ignore]
    raise BadRequestError(34, "UNKNOWN_COMPRESSION_METHOD", f"Unknown Content-Encoding {encoding}")


def _form(content_type: str, body: bytes) -> dict[str, str]:
    from email.parser import BytesParser
    from email.policy import HTTP

    message = BytesParser(policy=HTTP).parsebytes(b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + body)
    fields = {}
    for part in message.iter_parts():
        name = part.get_param("name", header="content-disposition")
        if part.get_filename() is not None:
            raise BadRequestError(48, "NOT_IMPLEMENTED", "external tables are not supported")
        payload = part.get_payload(decode=True)
        fields[str(name)] = payload.decode() if isinstance(payload, bytes) else ""
    return fields
