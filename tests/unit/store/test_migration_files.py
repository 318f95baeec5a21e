"""Migrations as files: numbered, split into statements, pinned by their checksum."""

from milepost.store.migration_files import Migration, available


def test_comments_are_no_statements_and_change_no_checksum() -> None:
    plain = Migration(1, "x", "CREATE TABLE a (b Int8) ENGINE = Memory;\nDROP TABLE a;\n")
    told = Migration(1, "x", "-- why; so\nCREATE TABLE a (b Int8) ENGINE = Memory;\n  -- more\nDROP TABLE a;")
    assert plain.statements == told.statements == ("CREATE TABLE a (b Int8) ENGINE = Memory", "DROP TABLE a")
    assert plain.checksum == told.checksum
    assert plain.checksum != Migration(1, "x", "DROP TABLE a;").checksum


def test_the_packages_migrations_are_numbered_without_gaps() -> None:
    found = available()
    assert [migration.number for migration in found] == list(range(1, len(found) + 1))
    assert all(migration.statements for migration in found)
