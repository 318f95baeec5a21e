"""API keys: how they are made, kept as hashes in a file, and found again."""

import hashlib
import hmac
import json
import os
import secrets
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

import msgspec

_KEY_START = "mp"
_ID_BYTES = 6
_SECRET_BYTES = 32


class Right(StrEnum):
    """What a key may do; ``admin`` may do everything."""

    WRITE = "write"
    READ = "read"
    ADMIN = "admin"


class StoredKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A key as the file keeps it: everything but the secret, of which it has the hash."""

    id: str
    name: str
    hash: str
    rights: tuple[Right, ...]
    source_prefix: str
    created: datetime
    merchant: str | None = None


class KeyFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file."""

    keys: tuple[StoredKey, ...] = ()


class KeyFileError(ValueError):
    """The file of keys cannot be read or written; the message says why and names the file."""


@dataclass(frozen=True)
class Credential:
    """Who calls: a key's holder, or a caller on this machine where no keys are kept."""

    name: str
    rights: frozenset[Right]
    source_prefix: str = "/"
    merchant: str | None = None
    any_source: bool = False

    def may(self, right: Right) -> bool:
        """Whether the holder has ``right``."""
        return right in self.rights or Right.ADMIN in self.rights

    def may_write_as(self, source: str) -> bool:
        """Whether ``source`` is the holder's prefix or below it: ``/shop`` covers ``/shop/7``, not ``/shop2``."""
        if self.any_source or source == self.source_prefix:
            return True
        prefix = self.source_prefix
        return source.startswith(prefix if prefix.endswith(("/", ":", "#")) else prefix + "/")


LOOPBACK = Credential("loopback", frozenset(Right), any_source=True)
"""A caller on this machine, where no file of keys is set."""


def digest(key: str) -> str:
    """The hash a key is kept as. A plain SHA-256 suffices: the secret has 256 random bits, nobody can guess it."""
    return hashlib.sha256(key.encode()).hexdigest()


def new_key(
    name: str, rights: Iterable[Right], source_prefix: str, merchant: str | None = None
) -> tuple[str, StoredKey]:
    """A fresh key: the text to hand out, which cannot be shown again, and what to store."""
    key_id = secrets.token_hex(_ID_BYTES)
    key = f"{_KEY_START}_{key_id}_{secrets.token_urlsafe(_SECRET_BYTES)}"
    stored = StoredKey(
        id=key_id,
        name=name,
        hash=digest(key),
        rights=tuple(sorted(set(rights))),
        source_prefix=source_prefix,
        created=datetime.now(UTC).replace(microsecond=0),
        merchant=merchant,
    )
    return key, stored


def read_keys(path: Path) -> KeyFile:
    """The file at ``path``; empty where there is none. Raises ``KeyFileError``."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=KeyFile)
    except FileNotFoundError:
        return KeyFile()
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise KeyFileError(f"{path}: {error}") from error


def write_keys(path: Path, content: KeyFile) -> None:
    """Replace the file at once (a reader sees the old or the new), readable by its owner only."""
    text = json.dumps(msgspec.to_builtins(content), indent=2) + "\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with os.fdopen(handle, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except OSError as error:
        raise KeyFileError(f"{path}: {error}") from error


class Keyring:
    """The keys of a file, read again whenever the file changes.

    A file that turns unreadable leaves the last good keys in force; ``fault`` says what is wrong with it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int, int] | None = None
        self._keys: dict[str, StoredKey] = {}
        self.fault: str | None = None

    def refresh(self) -> None:
        """Read the file again if it is not the one last read."""
        try:
            stat = self._path.stat()
            seen = (stat.st_mtime_ns, stat.st_ino, stat.st_size)
        except OSError as error:
            self.fault = f"the file of keys cannot be read: {error.strerror}"
            return
        if seen == self._seen:
            return
        self._seen = seen
        try:
            self._keys = {key.id: key for key in read_keys(self._path).keys}
        except KeyFileError as error:
            self.fault = f"the file of keys cannot be read: {error}"
        else:
            self.fault = None

    def find(self, key: str) -> Credential | None:
        """The holder of ``key``; None where it is unknown, wrong or revoked."""
        self.refresh()
        start, _, rest = key.partition("_")
        key_id, _, _ = rest.partition("_")
        stored = self._keys.get(key_id) if start == _KEY_START else None
        expected = stored.hash if stored else digest("")
        if not hmac.compare_digest(expected, digest(key)) or stored is None:
            return None
        return Credential(stored.name, frozenset(stored.rights), stored.source_prefix, stored.merchant)
