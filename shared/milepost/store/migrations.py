"""Brings a database's schema up to date: forward only, each statement once, one applier at a time."""

import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from milepost.settings import Settings
from milepost.store.client import Store, administrator, writer
from milepost.store.currency import fix_currency
from milepost.store.errors import MISSING_SCHEMA_CODES, TABLE_EXISTS, SinkRefusedError, StoreError
from milepost.store.migration_files import Migration, available
from milepost.store.reader_user import make_reader

State = Literal["applied", "pending", "interrupted", "edited"]

_RECORD = """CREATE TABLE IF NOT EXISTS schema_migrations
(
    `number` UInt32,
    `name` String,
    `checksum` String,
    `statements` UInt32,
    `done` UInt32,
    `recorded_at` DateTime64(6, 'UTC') DEFAULT now64(6)
)
ENGINE = ReplacingMergeTree(done)
ORDER BY number"""
_LOCK = "schema_lock"
_STALE_SECONDS = 300


class MigrationEditedError(SinkRefusedError):
    """A migration that has been applied says something else now; a change belongs into a new one."""


class MigrationLockedError(StoreError):
    """Somebody else is applying migrations, for longer than we would wait."""


@dataclass(frozen=True)
class Status:
    """How far one migration is; ``at``: when it was finished, or got as far as it did."""

    migration: Migration
    state: State
    done: int = 0
    at: datetime | None = None


@dataclass(frozen=True)
class Applied:
    """What an apply did: the migrations it ran, and what became of the read-only user."""

    migrations: tuple[Migration, ...]
    reader: str


def statuses(store: Store) -> tuple[Status, ...]:
    """Every migration with its state in ``store``'s database, which need not exist yet.

    Raises:
        StoreError: ClickHouse cannot be asked.
    """
    try:
        rows = store.query("SELECT number, checksum, statements, done, recorded_at FROM schema_migrations FINAL")
    except StoreError as error:
        if error.code not in MISSING_SCHEMA_CODES:
            raise
        rows = []
    recorded = {row[0]: row[1:] for row in rows}
    return tuple(_status(migration, recorded.get(migration.number)) for migration in available())


def _status(migration: Migration, record: tuple[str, int, int, datetime] | None) -> Status:
    if record is None:
        return Status(migration, "pending")
    checksum, statements, done, at = record
    if checksum != migration.checksum:
        return Status(migration, "edited", done, at)
    return Status(migration, "applied" if done == statements else "interrupted", done, at)


def apply(settings: Settings, wait_seconds: float = 60, tell: Callable[[Migration], None] = lambda _: None) -> Applied:
    """Make the database, run what is pending, fix the reporting currency, make the read-only user.

    Several appliers at once wait for each other. ``tell`` is called before each migration that is run.

    Raises:
        MigrationEditedError: an applied migration was edited.
        MigrationLockedError: another applier was still busy after ``wait_seconds``.
        CurrencyMismatchError: the database was made for another reporting currency.
        StoreError: ClickHouse cannot be asked, or refused a statement.
    """
    with administrator(settings) as server, writer(settings) as store:
        server.command(f"CREATE DATABASE IF NOT EXISTS {settings.database}")
        with lock(store, wait_seconds):
            ran = bring_to(store, None, tell)
            fix_currency(store, settings)
        return Applied(ran, make_reader(server, settings))


def bring_to(
    store: Store, last: int | None = None, tell: Callable[[Migration], None] = lambda _: None
) -> tuple[Migration, ...]:
    """Run what is pending up to migration ``last`` (None: all) under a lock already held; gives what it ran.

    Raises like ``apply``.
    """
    store.command(_RECORD)
    states = statuses(store)
    for status in states:
        if status.state == "edited":
            raise MigrationEditedError(
                f"migration {status.migration} was edited after it was applied; put it back, and add a new one"
            )
    ran = [
        status for status in states if status.state != "applied" and status.migration.number <= (last or len(states))
    ]
    for status in ran:
        tell(status.migration)
        _run(store, status)
    return tuple(status.migration for status in ran)


def keep_lock(store: Store) -> None:
    """Say that whoever holds the lock is still at work."""
    store.command(f"ALTER TABLE {_LOCK} MODIFY COMMENT '{_holder()}'")


def _holder() -> str:
    return f"{socket.gethostname()} pid {os.getpid()}".replace("'", "")


def _run(store: Store, status: Status) -> None:
    migration = status.migration
    _record(store, migration, status.done)
    for number, statement in enumerate(migration.statements[status.done :], start=status.done + 1):
        try:
            store.command(statement)
        except StoreError as error:
            # The one an applier died on may have been run, though it was not recorded.
            if not (error.code == TABLE_EXISTS and status.state == "interrupted" and number == status.done + 1):
                raise
        _record(store, migration, number)


def _record(store: Store, migration: Migration, done: int) -> None:
    store.command(
        "INSERT INTO schema_migrations (number, name, checksum, statements, done) VALUES "
        f"({migration.number}, '{migration.name}', '{migration.checksum}', {len(migration.statements)}, {done})"
    )


@contextmanager
def lock(store: Store, wait_seconds: float) -> Iterator[None]:
    """Hold the lock: a table, as making one is ClickHouse's one atomic test-and-set. Who holds it for long must
    ``keep_lock`` it, every minute or so.
    """
    until = time.monotonic() + wait_seconds
    while True:
        try:
            store.command(f"CREATE TABLE {_LOCK} (held UInt8) ENGINE = Memory COMMENT '{_holder()}'")
            break
        except StoreError as error:
            if error.code != TABLE_EXISTS:
                raise
        # Whoever holds it for so long has died.
        stale = store.query(
            "SELECT comment, metadata_modification_time < now() - {age:UInt32} FROM system.tables "
            "WHERE database = currentDatabase() AND name = {name:String}",
            {"age": _STALE_SECONDS, "name": _LOCK},
        )
        if stale and stale[0][1]:
            store.command(f"DROP TABLE IF EXISTS {_LOCK}")
        elif time.monotonic() > until:
            raise MigrationLockedError(
                f"migrations are being applied by {stale[0][0] if stale else 'another'}; "
                f"if it is gone, try again in {_STALE_SECONDS} s"
            )
        else:
            time.sleep(0.3)
    try:
        yield
    finally:
        store.command(f"DROP TABLE IF EXISTS {_LOCK}")
