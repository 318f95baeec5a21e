"""What a backup says of itself: ``manifest.json`` beside its files."""

from datetime import UTC, datetime
from pathlib import Path

import msgspec

from milepost.operations.refusals import DamagedError, RefusedError

FORMAT = 1
NAME = "manifest.json"


class File(msgspec.Struct, frozen=True):
    """A table's file: its columns in order, its rows, and the checksum of the file as it lies there."""

    name: str
    columns: list[str]
    rows: int
    bytes: int
    sha256: str


class Applied(msgspec.Struct, frozen=True):
    """A migration the database had."""

    number: int
    name: str
    checksum: str


class Place(msgspec.Struct, frozen=True):
    """A partition of the lifecycle topic. ``cut``: up to where the backup has it; ``start`` and ``end``: what the topic
    held then. All are offsets as the store counts them, ``base`` more than the broker's.
    """

    cut: int
    base: int
    start: int
    end: int


class Manifest(msgspec.Struct, frozen=True):
    """A whole backup."""

    format: int
    milepost: str
    made_at: datetime
    database: str
    currency: str
    migrations: list[Applied]
    topic: str
    topic_id: str
    partitions: dict[int, Place]
    files: dict[str, File]


def write(folder: Path, manifest: Manifest) -> None:
    """Write it into ``folder``."""
    folder.joinpath(NAME).write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n")


def read(folder: Path) -> Manifest:
    """The manifest in ``folder``.

    Raises:
        RefusedError: there is none, or it is of a later format.
        DamagedError: it cannot be read.
    """
    try:
        raw = folder.joinpath(NAME).read_bytes()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise RefusedError(f"{folder} is no backup: it has no {NAME}") from error
    try:
        known = msgspec.json.decode(raw, type=dict[str, msgspec.Raw]).get("format", msgspec.Raw(b"0"))
        if msgspec.json.decode(known, type=int) > FORMAT:
            raise RefusedError(f"{folder} was made by a later Milepost than this one; restore it with that one")
        return msgspec.json.decode(raw, type=Manifest)
    except msgspec.DecodeError as error:
        raise DamagedError(f"{folder / NAME} cannot be read: {error}") from error


def now() -> datetime:
    """The present moment, to the second."""
    return datetime.now(UTC).replace(microsecond=0)
