"""Which of the driver's errors to wait out, and which to stop at."""

import pytest
from clickhouse_connect.driver.exceptions import DatabaseError, OperationalError

from milepost.store.errors import SchemaMissingError, SinkRefusedError, SinkUnavailableError, StoreError, typed

URL = "http://127.0.0.1:1"


@pytest.mark.parametrize(
    ("error", "kind", "code"),
    [
        (OperationalError("Error [Errno 111] Connection refused executing"), SinkUnavailableError, None),
        (OperationalError("HTTPSConnectionPool: Read timed out."), SinkUnavailableError, None),
        (DatabaseError("Code: 241. DB::Exception: Memory limit exceeded", code=241), SinkUnavailableError, 241),
        (DatabaseError("Code: 252. DB::Exception: Too many parts (3000)", code=252), SinkUnavailableError, 252),
        (DatabaseError("Code: 252. DB::Exception: Too many partitions for single INSERT block", code=252),
         SinkRefusedError, 252),
        (DatabaseError('Code: 1001. DB::Exception: filesystem_error: Read-only file system ["/x"]. (STD_EXCEPTION)'),
         SinkUnavailableError, 1001),
        (DatabaseError("Code: 76. DB::Exception: Cannot open file /x, errno: 30"), SinkUnavailableError, 76),
        (DatabaseError("Code: 1001. DB::Exception: std::out_of_range: vector"), SinkRefusedError, 1001),
        (DatabaseError("Code: 60. DB::Exception: Unknown table", code=60), SchemaMissingError, 60),
        (DatabaseError("Code: 62. DB::Exception: Syntax error", code=62), SinkRefusedError, 62),
        (DatabaseError("Code: 396. DB::Exception: Limit for result exceeded"), SinkRefusedError, 396),
    ],
)  # fmt: skip
def test_errors_say_what_to_do(error: DatabaseError, kind: type[StoreError], code: int | None) -> None:
    found = typed(error, URL)
    assert type(found) is kind
    assert found.code == code


def test_what_cannot_be_reached_is_told_in_a_few_words() -> None:
    error = OperationalError(
        "Error HTTPConnectionPool(...): NewConnectionError('[Errno 111] Connection refused')) more"
    )
    assert str(typed(error, URL)) == f"ClickHouse at {URL} cannot be reached: Connection refused"
