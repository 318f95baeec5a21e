"""Where the topic's offsets begin, in the store's own count: 0, until a lost topic was made anew.

A partition's log is one sequence in the store, whatever becomes of the topic: an offset there is the broker's plus the
partition's base. ``milepost restore --new-topic`` sets the base beyond all that the store has of the topic before.
"""

from milepost.store.client import Store

_PREFIX = "offset_base/"


def offset_bases(store: Store) -> dict[int, int]:
    """The base of every partition that has one; of the others it is 0. Raises ``StoreError``."""
    rows = store.query(
        "SELECT name, value FROM installation FINAL WHERE startsWith(name, {prefix:String})", {"prefix": _PREFIX}
    )
    return {int(name.removeprefix(_PREFIX)): int(value) for name, value in rows}


def set_offset_bases(store: Store, bases: dict[int, int]) -> None:
    """Fix the bases. Nobody may read the topic meanwhile. Raises ``StoreError``."""
    rows = ", ".join(f"('{_PREFIX}{number}', '{base}')" for number, base in bases.items())
    if rows:
        store.command(f"INSERT INTO installation VALUES {rows}")
