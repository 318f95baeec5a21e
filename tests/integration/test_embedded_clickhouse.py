"""The front of the embedded engine, spoken to by clickhouse-connect's ordinary clients."""

import asyncio
import http.client
import json
from collections.abc import Callable, Iterator
from urllib.parse import urlencode

import clickhouse_connect
import pytest
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError, StreamFailureError

from milepost.embedded.platform import Platform
from milepost.settings import Service, Settings

pytestmark = pytest.mark.needs_platform

COLUMNS = ["a", "b", "part", "c", "d"]


@pytest.fixture
def client(platform: Platform, settings: Settings, unique: str) -> Iterator[Client]:
    """A client on a database of the test's own, with one table ``t`` of two partitions."""
    with clickhouse_connect.get_client(dsn=settings.clickhouse_url) as made:
        make_table(made, unique)
    with clickhouse_connect.get_client(dsn=settings.clickhouse_url, database=unique) as one:
        yield one
        one.command(f"DROP DATABASE {unique}")


def make_table(client: Client, database: str) -> None:
    client.command(f"CREATE DATABASE IF NOT EXISTS {database}")
    client.command(
        f"CREATE TABLE {database}.t"
        " (a UInt64, b LowCardinality(String), part UInt8, c Nullable(Float64), d Array(String))"
        " ENGINE = MergeTree ORDER BY a PARTITION BY part"
    )


def rows(count: int) -> list[list[object]]:
    """So many rows, by column."""
    return [
        list(range(count)),
        [f"b{n % 7}" for n in range(count)],
        [n % 2 for n in range(count)],
        [None if n % 3 else n / 2 for n in range(count)],
        [["x", "ü'\\"]] * count,
    ]


def ask(
    settings: Settings, method: str, parameters: dict[str, str], body: bytes = b""
) -> tuple[int, dict[str, str], bytes]:
    """One plain HTTP request."""
    connection = http.client.HTTPConnection("127.0.0.1", settings.port_of(Service.CLICKHOUSE), timeout=30)
    try:
        connection.request(method, f"/?{urlencode(parameters)}", body)
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    finally:
        connection.close()


@pytest.mark.parametrize("codec", [None, "lz4", "zstd", "gzip"])
def test_what_is_inserted_is_read_back(settings: Settings, client: Client, unique: str, codec: str | None) -> None:
    with clickhouse_connect.get_client(dsn=settings.clickhouse_url, database=unique, compress=codec or False) as one:
        summary = one.insert("t", rows(1000), column_names=COLUMNS, column_oriented=True)
    assert summary.written_rows == 1000
    read = client.query("SELECT * FROM t ORDER BY a")
    assert [list(column) for column in zip(*read.result_rows, strict=True)] == rows(1000)


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("JSONEachRow", b'{"a": 1, "part": 1}\n{"a": 2, "part": 1}\n'),
        ("JSONCompactEachRow", b'[1, "x", 1, null, []]\n[2, "x", 1, null, []]\n'),
        ("TabSeparated", b"1\tx\t1\t\\N\t[]\n2\tx\t1\t\\N\t[]\n"),
        ("Values", b"(1, 'x', 1, NULL, []), (2, 'x', 1, NULL, [])"),
    ],
)
def test_any_format_goes_in_by_url_and_by_body(
    settings: Settings, client: Client, unique: str, name: str, body: bytes
) -> None:
    statement = "INSERT INTO t (a, b, part, c, d) " + ("VALUES" if name == "Values" else f"FORMAT {name}")
    status, headers, _ = ask(settings, "POST", {"database": unique, "query": statement}, body)
    assert status == 200
    assert json.loads(headers["x-clickhouse-summary"])["written_rows"] == "2"
    status, _, _ = ask(settings, "POST", {"database": unique}, f"{statement}\n".encode() + body)
    assert status == 200
    assert client.query("SELECT a, count() FROM t GROUP BY a ORDER BY a").result_rows == [(1, 2), (2, 2)]


@pytest.mark.parametrize("chunked", [False, True], ids=["native", "json"])
def test_a_large_insert_is_one_part_a_partition(client: Client, chunked: bool) -> None:
    count = 1_000_000
    client.command("SYSTEM STOP MERGES t")
    if chunked:
        body = b"".join(b'{"a":%d,"part":%d}\n' % (n, n % 2) for n in range(count))
        client.raw_insert("t", ["a", "part"], body, fmt="JSONEachRow")
    else:
        client.insert("t", rows(count), column_names=COLUMNS, column_oriented=True)
    parts = client.query("SELECT rows FROM system.parts WHERE database = currentDatabase() AND active").result_rows
    assert parts == [(count // 2,), (count // 2,)]


def test_a_broken_insert_writes_nothing(settings: Settings, client: Client, unique: str) -> None:
    good = b"".join(b'{"a": %d, "part": 1}\n' % n for n in range(50_000))
    with pytest.raises(DatabaseError, match="Code: 27"):
        client.raw_insert("t", ["a", "part"], good + b'{"a": "no number"}\n', fmt="JSONEachRow")
    status, headers, body = ask(
        settings, "POST", {"database": unique, "query": "INSERT INTO t FORMAT Native"}, b"\x05\x01\x01a\x06UInt64\x01"
    )
    assert (status, headers["x-clickhouse-exception-code"]) == (400, "33")
    assert body.startswith(b"Code: 33. DB::Exception")
    assert client.command("SELECT count() FROM t") == 0


def test_what_a_table_refuses_is_an_error_and_not_an_acknowledgement(client: Client, unique: str) -> None:
    client.command(
        f"CREATE TABLE {unique} (n UInt32, CONSTRAINT small CHECK n < 1000)"
        " ENGINE = MergeTree ORDER BY n PARTITION BY n"
    )
    for rows, code in (([[1_000]], 469), ([[number] for number in range(150)], 252)):
        with pytest.raises(DatabaseError, match=f"Code: {code}"):
            client.insert(unique, rows, column_names=["n"])
        assert client.command(f"SELECT count() FROM {unique}") == 0
    client.insert(unique, [[1]], column_names=["n"])
    assert client.command(f"SELECT count() FROM {unique}") == 1


def test_a_client_that_leaves_in_the_middle_of_an_insert_writes_nothing(
    settings: Settings, client: Client, unique: str
) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", settings.port_of(Service.CLICKHOUSE), timeout=30)
    query = urlencode({"database": unique, "query": "INSERT INTO t FORMAT JSONEachRow"})
    connection.putrequest("POST", f"/?{query}")
    connection.putheader("Content-Length", "1000000")
    connection.endheaders(b'{"a": 1, "part": 1}\n')
    connection.close()
    assert client.command("SELECT count() FROM t") == 0


def test_parameters_are_values_and_never_sql(client: Client) -> None:
    hostile = "x'; DROP TABLE t; --\\\n\t"
    read = client.query(
        "SELECT {s:String}, {n:UInt64}, {l:Array(String)}",
        parameters={"s": hostile, "n": 2**63, "l": ["a'b", "c\\"]},
    )
    assert read.result_rows == [(hostile, 2**63, ["a'b", "c\\"])]
    assert client.command("EXISTS t") == 1


def test_settings_hold_for_their_query_alone(client: Client) -> None:
    query = "SELECT getSetting('max_threads')"
    before = client.query(query).result_rows
    assert client.query(query, settings={"max_threads": 3}).result_rows == [(3,)]
    assert client.query(query).result_rows == before


@pytest.mark.parametrize(
    ("statement", "code", "status"),
    [
        ("SELECT * FROM nowhere", "60", 404),
        ("SELECT nothing", "47", 404),
        ("selec 1", "62", 400),
        ("SELECT 1; SELECT 2", "62", 400),
        ("", "62", 400),
        ("SELECT throwIf(1)", "395", 500),
        ("SELECT 1 SETTINGS no_such_setting = 1", "115", 404),
    ],
)
def test_errors_carry_the_servers_code(
    settings: Settings, client: Client, statement: str, code: str, status: int
) -> None:
    answered, headers, body = ask(settings, "POST", {}, statement.encode())
    assert (answered, headers["x-clickhouse-exception-code"]) == (status, code)
    assert body.startswith(f"Code: {code}. DB::Exception: ".encode())
    # A failed query leaves nothing behind for the next.
    assert client.query("SELECT 1").result_rows == [(1,)]


def test_an_error_in_the_middle_of_a_result_is_not_taken_for_its_end(client: Client) -> None:
    with pytest.raises(StreamFailureError, match="395"):
        _ = client.query("SELECT throwIf(number = 3000000) FROM numbers(4000000)").result_rows


def test_results_larger_than_a_block_are_whole(client: Client) -> None:
    with client.query_row_block_stream("SELECT number FROM numbers(1000000)") as stream:
        assert sum(row[0] for block in stream for row in block) == 999_999 * 500_000


WRITES = [
    "INSERT INTO t (a, part) VALUES (1, 1)",
    "INSERT INTO t SELECT 1, 'x', 1, NULL, []",
    "DROP TABLE t",
    "CREATE TABLE u (a UInt8) ENGINE = Memory",
    "SELECT 1 INTO OUTFILE '/tmp/milepost-never'",
    "SELECT file('/etc/hostname')",
    "SELECT * FROM file('/etc/hostname', 'LineAsString')",
    "SELECT 1 SETTINGS readonly = 0",
    "KILL QUERY WHERE 1",
]


@pytest.mark.parametrize("statement", WRITES)
def test_a_reader_only_reads(settings: Settings, client: Client, unique: str, statement: str) -> None:
    as_reader = {"user": settings.clickhouse_reader, "database": unique}
    for method, parameters in (
        ("POST", as_reader),
        ("POST", {"readonly": "1", "database": unique}),
        ("GET", {"database": unique}),
    ):
        status, headers, _ = ask(settings, method, {**parameters, "query": statement})
        assert (headers.get("x-clickhouse-exception-code"), status) == ("164", 500), (method, parameters)
    assert client.command("SELECT count() FROM t") == 0
    assert ask(settings, "POST", {**as_reader, "query": "SELECT count() FROM t"})[2] == b"0\n"


def test_nobody_else_is_let_in(settings: Settings, platform: Platform) -> None:
    for who in ({"user": "somebody"}, {"user": "default", "password": "wrong"}):
        status, headers, _ = ask(settings, "POST", {**who, "query": "SELECT 1"})
        assert (status, headers["x-clickhouse-exception-code"]) == (403, "516")


async def test_the_async_client_and_many_at_once(settings: Settings, client: Client, unique: str) -> None:
    async with await clickhouse_connect.get_async_client(dsn=settings.clickhouse_url, database=unique) as one:
        await one.insert("t", rows(1000), column_names=COLUMNS, column_oriented=True)
        answers = await asyncio.gather(*(one.query("SELECT sum(a) FROM t") for _ in range(40)))
        assert {answer.result_rows[0] for answer in answers} == {(499_500,)}
        with pytest.raises(DatabaseError, match="Code: 47"):
            await one.query("SELECT nothing")


async def test_a_slow_query_holds_nobody_up(settings: Settings, client: Client, unique: str) -> None:
    async with await clickhouse_connect.get_async_client(dsn=settings.clickhouse_url, database=unique) as one:
        slow = asyncio.create_task(one.query("SELECT sleepEachRow(0.5) FROM numbers(20) SETTINGS max_block_size = 1"))
        await one.insert("t", rows(10), column_names=COLUMNS, column_oriented=True)
        assert (await one.query("SELECT count() FROM t")).result_rows == [(10,)]
        assert not slow.done()
        slow.cancel()
        await asyncio.gather(slow, return_exceptions=True)


def test_settings_and_database_are_those_of_the_request_alone(settings: Settings, client: Client, unique: str) -> None:
    asked = {"query": "SELECT getSetting('max_block_size'), currentDatabase() FORMAT TabSeparated"}
    plain = ask(settings, "POST", asked)[2]
    for _ in range(2):
        assert (
            ask(settings, "POST", {**asked, "max_block_size": "77", "database": unique})[2]
            == f"77\t{unique}\n".encode()
        )
        assert ask(settings, "POST", asked)[2] == plain
    ask(settings, "POST", {"query": "SET max_block_size = 78"})
    assert ask(settings, "POST", asked)[2] == plain


def test_a_statement_that_fails_or_is_left_leaves_nothing_to_the_next(settings: Settings, client: Client) -> None:
    good = {"query": "SELECT number FROM numbers(3) FORMAT TabSeparated"}
    bad = {"query": "SELECT throwIf(number = 100000), number FROM numbers(200000) FORMAT TabSeparated"}
    for _ in range(3):
        assert b"FUNCTION_THROW_IF_VALUE_IS_NON_ZERO" in ask(settings, "POST", bad)[2]
        assert ask(settings, "POST", good)[2] == b"0\n1\n2\n"
        with client.query_row_block_stream("SELECT number FROM numbers(30000000)") as stream:
            next(iter(stream))
        assert ask(settings, "POST", good)[2] == b"0\n1\n2\n"


def test_what_was_acknowledged_survives_kill_9(start_platform: Callable[[], Platform]) -> None:
    own = start_platform()
    with clickhouse_connect.get_client(dsn=own.settings.clickhouse_url) as client:
        make_table(client, "kept")
        for _ in range(5):
            client.insert("kept.t", rows(20_000), column_names=COLUMNS, column_oriented=True)
    own.kill("clickhouse")
    own.restart("clickhouse")
    with clickhouse_connect.get_client(dsn=own.settings.clickhouse_url) as client:
        assert client.command("SELECT count() FROM kept.t") == 100_000


def test_a_second_engine_on_the_same_folder_says_so(platform: Platform) -> None:
    from milepost.embedded.clickhouse_engine import Engine

    with pytest.raises(RuntimeError, match=r"another process has .* open"):
        Engine(platform.data / "clickhouse", pytest.fail)
