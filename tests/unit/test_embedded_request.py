"""What a request to the embedded ClickHouse says."""

import gzip

import pytest

from milepost.embedded.clickhouse_request import BadRequestError, Request, credentials, read


def ask(body: bytes = b"", query: bytes = b"", method: str = "POST", **headers: str) -> Request:
    return read(
        method, query, {name.replace("_", "-"): value for name, value in headers.items()}, [body] if body else []
    )


@pytest.mark.parametrize(
    ("text", "statement", "name", "data"),
    [
        (b"INSERT INTO t FORMAT Native\n\x01\x02", "INSERT INTO t", "Native", b"\x01\x02"),
        (
            b"insert into `d`.`t` (`a`, `b`) format JSONEachRow\n{}",
            "insert into `d`.`t` (`a`, `b`)",
            "JSONEachRow",
            b"{}",
        ),
        (b'INSERT INTO t (`FORMAT x`, "y)") FORMAT TSV\n1', 'INSERT INTO t (`FORMAT x`, "y)")', "TSV", b"1"),
        (b"INSERT INTO t SETTINGS a=1 FORMAT CSV\r\n1,2", "INSERT INTO t SETTINGS a=1", "CSV", b"1,2"),
        (b"-- why\nINSERT INTO t VALUES (1, 'FORMAT x')", "-- why\nINSERT INTO t", "Values", b"(1, 'FORMAT x')"),
        (b"INSERT INTO t FORMAT MsgPack\n\n\x00", "INSERT INTO t", "MsgPack", b"\n\x00"),
    ],
)
def test_an_insert_is_split_from_its_data(text: bytes, statement: str, name: str, data: bytes) -> None:
    request = ask(text)
    assert (request.statement, request.insert_format, b"".join(request.data)) == (statement, name, data)


@pytest.mark.parametrize(
    "text",
    [
        "INSERT INTO t SELECT * FROM u",
        "INSERT INTO t SELECT 'FORMAT Native' FROM u",
        "INSERT INTO FUNCTION file('x') SELECT 1",
        "WITH 1 AS x SELECT x FORMAT Native",
        "SELECT 'INSERT INTO t FORMAT Native'",
    ],
)
def test_other_statements_stay_whole(text: str) -> None:
    request = ask(text.encode())
    assert (request.statement, request.insert_format, request.data) == (text, None, ())


def test_a_statement_in_the_url_goes_before_the_body() -> None:
    assert ask(b"SELECT 1", b"query=EXPLAIN").statement == "EXPLAIN\nSELECT 1"
    request = ask(b"\x00\x01", b"query=INSERT+INTO+t+FORMAT+RowBinary")
    assert (request.insert_format, request.data) == ("RowBinary", (b"\x00\x01",))


def test_parameters_settings_and_what_is_neither() -> None:
    request = ask(
        b"SELECT 1",
        b"database=d&param_x=a%5Ctb&max_threads=2&session_id=s&wait_end_of_query=1&readonly=2&query_id=q",
    )
    assert request.database == "d"
    assert request.parameters == {"x": "a\\tb"}
    assert request.settings == {"max_threads": "2"}
    assert request.readonly == 2


def test_get_only_reads() -> None:
    assert ask(query=b"query=SELECT+1", method="GET").readonly == 1
    assert ask(b"SELECT 1").readonly == 0


@pytest.mark.parametrize(
    ("text", "query", "name"),
    [
        (b"SELECT 1", b"", "TabSeparated"),
        (b"SELECT 1 FORMAT Native", b"", "Native"),
        (b"SELECT 1\n FORMAT JSON;", b"default_format=CSV", "JSON"),
        (b"SELECT 1", b"default_format=CSV", "CSV"),
        (b"SELECT 1 FORMAT CSV SETTINGS max_threads = 1", b"", "CSV"),
    ],
)
def test_the_output_format(text: bytes, query: bytes, name: str) -> None:
    assert ask(text, query).output_format == name


def test_bodies_come_compressed_and_in_pieces() -> None:
    packed = gzip.compress(b"INSERT INTO t FORMAT TSV\n1\n2\n")
    request = read("POST", b"", {"content-encoding": "gzip"}, [packed[:7], packed[7:]])
    assert (request.insert_format, b"".join(request.data)) == ("TSV", b"1\n2\n")


def test_form_fields_are_parameters() -> None:
    body = (
        b'--x\r\nContent-Disposition: form-data; name="query"\r\n\r\nSELECT {a:String}\r\n'
        b'--x\r\nContent-Disposition: form-data; name="param_a"\r\n\r\nb\r\n--x--\r\n'
    )
    request = ask(body, content_type="multipart/form-data; boundary=x")
    assert (request.statement, request.parameters) == ("SELECT {a:String}", {"a": "b"})


@pytest.mark.parametrize(
    ("body", "query", "headers", "code"),
    [
        (b"", b"", {}, 62),
        (b"SELECT 1", b"x;y=1", {}, 115),
        (b"SELECT 1", b"compress=1", {}, 48),
        (b"not gzip", b"", {"content_encoding": "gzip"}, 271),
        (b"not zstd", b"", {"content_encoding": "zstd"}, 271),
        (b"not lz4", b"", {"content_encoding": "lz4"}, 271),
        (b"x", b"", {"content_encoding": "br"}, 34),
    ],
)
def test_what_cannot_be_understood(body: bytes, query: bytes, headers: dict[str, str], code: int) -> None:
    with pytest.raises(BadRequestError) as refused:
        ask(body, query, **headers)
    assert refused.value.code == code


def test_credentials_by_each_way() -> None:
    assert credentials(b"", {}) == ("default", "")
    assert credentials(b"user=a&password=b", {}) == ("a", "b")
    assert credentials(b"", {"authorization": "Basic YTpiOmM="}) == ("a", "b:c")
    assert credentials(b"", {"x-clickhouse-user": "a", "x-clickhouse-key": "b"}) == ("a", "b")
    with pytest.raises(BadRequestError):
        credentials(b"", {"authorization": "Basic ?"})
