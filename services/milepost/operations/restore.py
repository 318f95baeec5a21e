"""Bringing a backup back into an empty database, so that the processor reads on from its cuts."""

import re
import time
from dataclasses import dataclass
from pathlib import Path

from milepost.operations import archive, broker
from milepost.operations.backup import INSTALLATION, Tell
from milepost.operations.manifest import Manifest, read
from milepost.operations.refusals import DamagedError, RefusedError
from milepost.settings import Settings
from milepost.store import tables
from milepost.store.client import Store, administrator, writer
from milepost.store.currency import check_currency, half_restored, mark_restoring
from milepost.store.errors import MISSING_SCHEMA_CODES, StoreError
from milepost.store.migration_files import available
from milepost.store.migrations import apply, bring_to, keep_lock, lock
from milepost.store.offset_bases import set_offset_bases

_CREATED = re.compile(r"^CREATE (TABLE|VIEW) (?:IF NOT EXISTS )?(\w+)")
_PASSING = frozenset({tables.PROGRESS.name, INSTALLATION, "schema_migrations", "schema_lock"})
"""Tables whose rows a platform writes before anything has happened."""
_LOCK_SECONDS = 60.0
_MISSED_SECONDS = 15.0


@dataclass(frozen=True)
class Way:
    """How the topic is to be taken. ``accept_gap``: records between the cut and the topic's beginning are lost.
    ``new_topic``: the topic was made anew, and all of it comes after the backup.
    """

    accept_gap: bool = False
    new_topic: bool = False


def restore(settings: Settings, folder: Path, way: Way, tell: Tell = lambda *_: None) -> Manifest:
    """Bring the backup in ``folder`` back into the database of ``settings``; the processor must not run.

    Everything is looked at before anything is changed. Where it breaks off, no service starts on what is there, and
    the same call begins anew.

    Raises:
        RefusedError: it does not fit the database, the topic or the settings, or is damaged; nothing was changed.
        StoreError: ClickHouse cannot be asked.
    """
    manifest = read(folder)
    _check_files(folder, manifest)
    _check_installation(settings, manifest)
    _check_topic(manifest, broker.look(settings), way)
    _check_nobody_counts(settings)
    with administrator(settings) as server, writer(settings) as store:
        server.command(f"CREATE DATABASE IF NOT EXISTS {settings.database}")
        with lock(store, _LOCK_SECONDS):
            _make_room(store)
            bring_to(store, len(manifest.migrations))
            mark_restoring(store, manifest.made_at.isoformat())
            _load(store, folder, manifest, tell)
            # The backup's own mark, of an earlier restore, came with it.
            mark_restoring(store, manifest.made_at.isoformat())
            bring_to(store)
            if way.new_topic:
                _begin_anew(store, manifest)
            mark_restoring(store, "")
            check_currency(store, settings)
    apply(settings)
    return manifest


def _check_files(folder: Path, manifest: Manifest) -> None:
    for file in manifest.files.values():
        if archive.sha256_of(folder / file.name) != file.sha256:
            raise DamagedError(f"{folder / file.name} is not what was written: its checksum differs")


def _check_installation(settings: Settings, manifest: Manifest) -> None:
    if manifest.currency != settings.currency:
        raise RefusedError(
            f"the backup counts in {manifest.currency}, but MILEPOST_CURRENCY is {settings.currency}: "
            f"set MILEPOST_CURRENCY={manifest.currency}"
        )
    known = {migration.number: migration for migration in available()}
    for applied in manifest.migrations:
        ours = known.get(applied.number)
        if ours is None:
            raise RefusedError(
                f"the backup has migration {applied.number:04} {applied.name}, which this Milepost does not know: "
                f"restore it with Milepost {manifest.milepost} or later"
            )
        if ours.checksum != applied.checksum:
            raise RefusedError(f"migration {ours} is another than the one the backup was made under")


def _check_topic(manifest: Manifest, topic: broker.Topic, way: Way) -> None:
    ours, theirs = len(manifest.partitions), len(topic.ends)
    if ours != theirs:
        raise RefusedError(
            f"the topic has {theirs} partitions, the backup {ours}: an order's events must stay in its partition; "
            f"make the topic with MILEPOST_PARTITIONS={ours}"
        )
    anew = topic.id != manifest.topic_id
    short = [n for n, place in manifest.partitions.items() if place.cut > topic.ends[n] + place.base]
    if way.new_topic:
        if not anew and not short:
            raise RefusedError("the topic is the one the backup was made with: restore without --new-topic")
        return
    if anew or short:
        raise RefusedError(
            "the topic is another one than the backup was made with, or lost its records: "
            "--new-topic takes all that is on it as coming after the backup"
        )
    gaps = [
        f"partition {n}: offsets {place.cut} to {topic.starts[n] + place.base - 1}"
        for n, place in manifest.partitions.items()
        if place.cut < topic.starts[n] + place.base
    ]
    if gaps and not way.accept_gap:
        raise RefusedError(
            f"the topic no longer reaches back to the backup ({'; '.join(gaps)} have expired from it): take a later "
            "backup, or --accept-gap restores without what they said"
        )


def _check_nobody_counts(settings: Settings) -> None:
    """Raise ``RefusedError`` where the processor runs. One that was killed is missed by the broker a little later."""
    until = time.monotonic() + _MISSED_SECONDS
    while members := broker.processor_members(settings):
        if time.monotonic() > until:
            raise RefusedError(
                f"the processor is running ({members} workers in group {settings.consumer_group}): stop it first"
            )
        time.sleep(0.5)


def _make_room(store: Store) -> None:
    """Take away our tables and views, which must be empty, or left from a restore that broke off.

    Raises ``RefusedError`` where there is something in them.
    """
    ours = [found for one in available() for s in one.statements if (found := _CREATED.match(s))]
    there: dict[str, str] = dict(
        store.query("SELECT name, engine FROM system.tables WHERE database = currentDatabase()")
    )
    if not _broke_off(store):
        for name in {found[2] for found in ours if found[1] == "TABLE"} - _PASSING:
            if name in there and store.query(f"SELECT count() FROM {name}") != [(0,)]:  # noqa: S608 - a name of ours
                raise RefusedError(
                    f"database {store.database} is not empty ({name} has rows): "
                    "restore into another (MILEPOST_DATABASE)"
                )
    for kind, name in {(found[1], found[2]) for found in ours}:
        if name in there:
            store.command(f"DROP {kind} {name} SYNC")
    store.command("DROP TABLE IF EXISTS schema_migrations SYNC")


def _broke_off(store: Store) -> bool:
    try:
        return half_restored(store)
    except StoreError as error:
        if error.code in MISSING_SCHEMA_CODES:
            return False
        raise


def _load(store: Store, folder: Path, manifest: Manifest, tell: Tell) -> None:
    """Insert all files, the installation's own rows last."""
    kept = time.monotonic()
    for name, file in sorted(manifest.files.items(), key=lambda item: item[0] == INSTALLATION):
        rows = 0
        for lines in archive.read(folder / file.name):
            store.insert_text(name, file.columns, lines)
            rows += lines.count(b"\n")
            tell(name, rows, file.rows)
            if time.monotonic() - kept > _LOCK_SECONDS:
                keep_lock(store)
                kept = time.monotonic()
        if rows != file.rows:
            raise DamagedError(f"{folder / file.name} has {rows} rows, not {file.rows}")


def _begin_anew(store: Store, manifest: Manifest) -> None:
    """Let the new topic's offsets begin beyond all that the old one had, and say that everything below is counted."""
    ends = {number: max(place.cut, place.end) for number, place in manifest.partitions.items()}
    set_offset_bases(store, ends)
    rows = ", ".join(f"('cut', 0, {number}, {end})" for number, end in ends.items() if end)
    if rows:
        columns = "grain, minute, partition, version"
        store.command(f"INSERT INTO {tables.KPIS.name} ({columns}) VALUES {rows}")  # noqa: S608 - numbers of ours
