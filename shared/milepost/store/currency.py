"""What an installation decided once: the reporting currency its database was made for."""

from milepost.settings import Settings
from milepost.store.client import Store
from milepost.store.errors import CurrencyMismatchError, SchemaMissingError

_CURRENCY = "currency"


def stored_currency(store: Store) -> str | None:
    """The currency the database was made for; None before the first migration fixed it.

    Raises:
        SchemaMissingError: no migration has run.
        StoreError: ClickHouse cannot be asked.
    """
    rows = store.query("SELECT value FROM installation FINAL WHERE name = {name:String}", {"name": _CURRENCY})
    return str(rows[0][0]) if rows else None


def half_restored(store: Store) -> bool:
    """Whether a restore into this database has begun and not ended. Raises ``StoreError``."""
    return bool(store.query("SELECT 1 FROM installation FINAL WHERE name = 'restoring' AND value != ''"))


def mark_restoring(store: Store, backup: str) -> None:
    """Say which backup is being restored into this database; "" when that is done. Raises ``StoreError``."""
    store.command("INSERT INTO installation SELECT 'restoring', {backup:String}", {"backup": backup})


def check_currency(store: Store, settings: Settings) -> None:
    """Let a service start only where its ``MILEPOST_CURRENCY`` is the database's.

    Raises:
        CurrencyMismatchError: it is another.
        SchemaMissingError: none is fixed yet, the migrations have not run; or a restore broke off.
        StoreError: ClickHouse cannot be asked.
    """
    if half_restored(store):
        raise SchemaMissingError(f"database {store.database} is half restored — run the same `milepost restore` again")
    found = stored_currency(store)
    if found is None:
        raise SchemaMissingError(f"database {store.database} has no reporting currency — run `milepost migrate apply`")
    if found != settings.currency:
        raise CurrencyMismatchError(
            f"database {store.database} was made for {found}, but MILEPOST_CURRENCY is {settings.currency}: "
            f"set MILEPOST_CURRENCY={found}, or choose another database with MILEPOST_DATABASE"
        )


def fix_currency(store: Store, settings: Settings) -> None:
    """Fix the currency at the first migration; later, the same as ``check_currency``."""
    if stored_currency(store) is None:
        store.command(f"INSERT INTO installation VALUES ('{_CURRENCY}', '{settings.currency}')")
    check_currency(store, settings)
