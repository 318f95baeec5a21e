"""The read-only ClickHouse user of dashboards and of our own readers."""

from milepost.settings import Settings
from milepost.store.client import MOST_RESULT_ROWS, READ_SECONDS, Store
from milepost.store.errors import SinkRefusedError

_ACCESS_DENIED = 497
_ACCESS_STORAGE_READONLY = 495
_NO_USERS_CODES = frozenset({_ACCESS_DENIED, _ACCESS_STORAGE_READONLY})


MOST_ROWS_READ = 2_000_000_000
MOST_BYTES_READ = 200_000_000_000
MOST_MEMORY = 8_000_000_000
LIMITS = (
    f"readonly = 2, max_execution_time = {READ_SECONDS} MIN 1 MAX 300, "
    f"max_result_rows = {MOST_RESULT_ROWS} MIN 1 MAX {MOST_RESULT_ROWS}, "
    f"max_rows_to_read = {MOST_ROWS_READ} MIN 1 MAX {MOST_ROWS_READ}, "
    f"max_bytes_to_read = {MOST_BYTES_READ} MIN 1 MAX {MOST_BYTES_READ}, "
    f"max_memory_usage = {MOST_MEMORY} MIN 1 MAX {MOST_MEMORY}"
)
"""What no query of this user can go beyond, whatever it sends along (0 would lift a limit, so each has a least value).

Wide enough to recount a log of hundreds of millions of events; Grafana's datasource (`grafana/provisioning`) asks for
far less.
"""


def make_reader(server: Store, settings: Settings) -> str:
    """Make or update the read-only user, where it has a password and the server keeps users.

    It sees every table but the personal data. Returns what became of it, for people.

    Raises:
        StoreError: ClickHouse cannot be asked, or refused for another reason than that it keeps no users.
    """
    password = settings.clickhouse_reader_password.get_secret_value()
    user, database = settings.clickhouse_reader, settings.database
    if not password:
        return "not made: MILEPOST_CLICKHOUSE_READER_PASSWORD is not set"
    secret = password.replace("\\", "\\\\").replace("'", "\\'")
    identified = f"IDENTIFIED WITH sha256_password BY '{secret}'"
    try:
        server.command(f"CREATE USER IF NOT EXISTS {user} {identified} SETTINGS {LIMITS}")
        server.command(f"ALTER USER {user} {identified} SETTINGS {LIMITS}")
        server.command(f"GRANT SELECT ON {database}.* TO {user}")
        for table in ("personal", "personal_store"):
            server.command(f"REVOKE SELECT ON {database}.{table} FROM {user}")
    except SinkRefusedError as error:
        if error.code not in _NO_USERS_CODES:
            raise
        return "not made: this server lets us make no users (the embedded engine has one of its own)"
    return f"{user} may read {database}"
