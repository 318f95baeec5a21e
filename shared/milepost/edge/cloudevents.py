"""CloudEvents over HTTP: which mode a request is in, and the structured events it holds."""

from email.message import Message
from functools import lru_cache
from urllib.parse import unquote

import msgspec
from starlette.datastructures import Headers

from milepost.contracts.event import Fault
from milepost.edge.media_types import MEDIA_TYPES, PLAIN
from milepost.edge.problems import ProblemError

_PREFIX = "ce-"
_raw_list = msgspec.json.Decoder(list[msgspec.Raw]).decode
_raw = msgspec.json.Decoder(msgspec.Raw).decode


def media_type(headers: Headers, allowed: tuple[str, ...] = MEDIA_TYPES) -> str:
    """The media type of the body. Raises ``ProblemError`` 415 where it is none of ``allowed``, or not UTF-8."""
    found, charset = _content_type(headers.get("content-type", ""))
    if found not in allowed:
        said = f"{found[:80]!r} is not read here" if found else "the request has no Content-Type"
        wanted = ", ".join(allowed)
        raise ProblemError(415, f"{said}; send one of {wanted}", headers={"Accept-Post": wanted})
    if charset not in ("utf-8", "utf8", "us-ascii"):
        raise ProblemError(415, "only UTF-8 is read")
    return found


@lru_cache(maxsize=256)
def _content_type(value: str) -> tuple[str, str]:
    """Media type and charset of a Content-Type, in lower case; empty and utf-8 where it does not say."""
    message = Message()
    message["content-type"] = value
    charset = message.get_param("charset", "utf-8")
    return message.get_content_type() if value else "", charset.lower() if isinstance(charset, str) else ""


def events_in(headers: Headers, body: bytes, max_events: int) -> tuple[list[bytes | msgspec.Raw], bool]:
    """The structured events of a request, and whether it was a batch.

    Raises ``ProblemError``: 415 wrong content type, 400 not JSON, 413 too many events.
    """
    kind = media_type(headers)
    if kind == PLAIN and any(name in headers for name in ("ce-specversion", "ce-id", "ce-type")):
        return [_binary(headers, body)], False
    try:
        if body.lstrip()[:1] != b"[":
            return [_raw(body)], False
        events: list[bytes | msgspec.Raw] = list(_raw_list(body))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise not_json(error) from None
    if len(events) > max_events:
        raise ProblemError(413, f"{len(events)} events in one request; the most is {max_events}")
    return events, True


def not_json(error: Exception) -> ProblemError:
    """The answer to a body that is not JSON."""
    return ProblemError(400, "the body is not JSON", faults=[Fault("", str(error))])


def _binary(headers: Headers, body: bytes) -> bytes:
    """The structured form of an event in binary mode: attributes from the ``ce-`` headers, ``data`` the body."""
    attributes: dict[str, object] = {}
    for name, value in headers.items():
        if name.startswith(_PREFIX):
            attributes[name.removeprefix(_PREFIX)] = _header_value(value)
    testmode = attributes.get("testmode")
    if testmode in ("true", "false"):
        attributes["testmode"] = testmode == "true"
    attributes["datacontenttype"] = headers["content-type"]
    try:
        attributes["data"] = _raw(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise not_json(error) from None
    return msgspec.json.encode(attributes)


def _header_value(value: str) -> str:
    """The attribute a header holds: unquoted, percent-decoded, UTF-8 (HTTP protocol binding, 3.1.3.2).

    Bytes outside ASCII should have been percent-encoded; starlette shows them as Latin-1.
    """
    if len(value) >= 2 and value[0] == value[-1] == '"':
        value = value[1:-1].replace('\\"', '"').replace("\\\\", "\\")
    return unquote(value, errors="replace")
