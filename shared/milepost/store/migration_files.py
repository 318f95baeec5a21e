"""The numbered migrations as they lie in the package: ``sql/NNNN_name.sql``."""

import hashlib
import re
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files

_NAME = re.compile(r"^(\d{4})_([a-z0-9_]+)\.sql$")
_COMMENT = re.compile(r"^\s*--.*$", re.MULTILINE)
_END = re.compile(r";[ \t]*(?:\n|$)")


@dataclass(frozen=True)
class Migration:
    """One migration: its number, its name, and its SQL, statements ended by a semicolon at the end of a line."""

    number: int
    name: str
    sql: str

    @cached_property
    def statements(self) -> tuple[str, ...]:
        """The statements one by one, without comments."""
        bare = _COMMENT.sub("", self.sql)
        return tuple(statement.strip() for statement in _END.split(bare) if statement.strip())

    @cached_property
    def checksum(self) -> str:
        """SHA-256 of the statements, so that a comment may still be mended."""
        return hashlib.sha256("\n;\n".join(self.statements).encode()).hexdigest()

    def __str__(self) -> str:
        return f"{self.number:04} {self.name}"


def available() -> tuple[Migration, ...]:
    """Every migration, in order.

    Raises:
        ValueError: a file's name is not ``NNNN_name.sql``, or the numbers are not 1, 2, 3, …
    """
    found = []
    for entry in files("milepost.store").joinpath("sql").iterdir():
        if not entry.name.endswith(".sql"):
            continue
        matched = _NAME.match(entry.name)
        if matched is None:
            raise ValueError(f"migration {entry.name} is not named NNNN_name.sql")
        found.append(Migration(int(matched[1]), matched[2], entry.read_text(encoding="utf-8")))
    found.sort(key=lambda migration: migration.number)
    if [migration.number for migration in found] != list(range(1, len(found) + 1)):
        raise ValueError(f"migrations are not numbered without gaps: {', '.join(map(str, found))}")
    return tuple(found)
