"""Migrations on the real engine: once each, by one applier at a time, never edited; the currency is fixed."""

import json
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from subprocess import CompletedProcess

import pytest
from pydantic import SecretStr

from milepost.embedded.platform import Platform
from milepost.settings import Settings
from milepost.store import migrations
from milepost.store.client import writer
from milepost.store.currency import check_currency, stored_currency
from milepost.store.errors import CurrencyMismatchError, SchemaMissingError
from milepost.store.migration_files import Migration, available
from milepost.store.migrations import MigrationEditedError, MigrationLockedError, apply, statuses

pytestmark = pytest.mark.needs_platform
Command = Callable[..., CompletedProcess[str]]


@pytest.fixture
def fresh(platform: Platform, settings: Settings) -> Settings:
    """Settings of a database that is not there yet."""
    return settings.model_copy(update={"database": f"milepost_{uuid.uuid4().hex[:8]}"})


def states(settings: Settings) -> list[str]:
    with writer(settings) as store:
        return [status.state for status in statuses(store)]


def test_each_is_applied_once(fresh: Settings) -> None:
    assert set(states(fresh)) == {"pending"}
    assert apply(fresh).migrations == available()
    assert set(states(fresh)) == {"applied"}
    assert apply(fresh).migrations == ()


def test_several_appliers_wait_for_each_other(fresh: Settings) -> None:
    with ThreadPoolExecutor(4) as threads:
        done = list(threads.map(lambda _: apply(fresh).migrations, range(4)))
    assert sorted(map(len, done)) == [0, 0, 0, len(available())]


def test_an_applier_does_not_wait_for_ever(fresh: Settings) -> None:
    apply(fresh)
    with writer(fresh) as store:
        store.command("CREATE TABLE schema_lock (held UInt8) ENGINE = Memory COMMENT 'another host pid 7'")
    with pytest.raises(MigrationLockedError, match="another host pid 7"):
        apply(fresh, wait_seconds=0)


def test_an_edited_migration_is_refused(fresh: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    apply(fresh)
    first, *others = available()
    edited = replace(first, sql=first.sql + "\nDROP TABLE installation;")
    monkeypatch.setattr(migrations, "available", lambda: (edited, *others))
    assert states(fresh)[0] == "edited"
    with pytest.raises(MigrationEditedError, match="0001 initial"):
        apply(fresh)


def test_an_applier_that_died_is_gone_on_from(fresh: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    apply(fresh)
    broken = Migration(
        len(available()) + 1,
        "extra",
        "CREATE TABLE extra_a (a Int8) ENGINE = Memory;\nCREATE TABLE extra_b (a Int8) ENGINE = Memory;\n",
    )
    monkeypatch.setattr(migrations, "available", lambda: (*available(), broken))
    with writer(fresh) as store:
        # As an applier leaves it that was killed after it ran a statement and before it said so.
        store.command("CREATE TABLE extra_a (a Int8) ENGINE = Memory")
        migrations._record(store, broken, 0)
    assert states(fresh)[-1] == "interrupted"
    apply(fresh)
    assert states(fresh)[-1] == "applied"
    with writer(fresh) as store:
        assert store.query("SELECT count() FROM extra_b") == [(0,)]


def test_the_currency_is_fixed_when_the_database_is_made(fresh: Settings) -> None:
    with writer(fresh) as store:
        with pytest.raises(SchemaMissingError, match="milepost migrate apply"):
            check_currency(store, fresh)
        apply(fresh)
        check_currency(store, fresh)
        assert stored_currency(store) == "EUR"
    other = fresh.model_copy(update={"currency": "BRL"})
    with writer(other) as store, pytest.raises(CurrencyMismatchError, match=r"made for EUR.*is BRL"):
        check_currency(store, other)
    with pytest.raises(CurrencyMismatchError):
        apply(other)


@pytest.mark.embedded_only
def test_an_engine_that_keeps_no_users_is_told_of(fresh: Settings) -> None:
    assert "MILEPOST_CLICKHOUSE_READER_PASSWORD" in apply(fresh).reader
    with_password = fresh.model_copy(update={"clickhouse_reader_password": SecretStr("secret")})
    assert "lets us make no users" in apply(with_password).reader


def test_the_command_lists_shows_and_applies(fresh: Settings, milepost: Command) -> None:
    assert "pending" in milepost(fresh, "migrate", "ls").stdout
    assert "CREATE TABLE kpi_store" in milepost(fresh, "migrate", "dry-run").stdout
    assert states(fresh)[0] == "pending"
    applied = json.loads(milepost(fresh, "migrate", "apply", "--json").stdout)
    assert [one["number"] for one in applied["applied"]] == [one.number for one in available()]
    listed = json.loads(milepost(fresh, "migrate", "ls", "--json").stdout)
    assert {one["state"] for one in listed["migrations"]} == {"applied"}
    assert milepost(fresh, "migrate", "dry-run").stdout == "nothing to apply\n"
    other = milepost(fresh.model_copy(update={"currency": "BRL"}), "migrate", "apply", check=False)
    assert other.returncode == 1
    assert "MILEPOST_CURRENCY is BRL" in other.stderr
