"""What a restore looks at before it changes anything."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from milepost.operations import manifest, restore
from milepost.operations.archive import Archive, read, sha256_of
from milepost.operations.broker import Topic
from milepost.operations.manifest import Applied, File, Manifest, Place
from milepost.operations.refusals import DamagedError, RefusedError
from milepost.operations.restore import Way
from milepost.settings import Settings
from milepost.store.errors import SinkUnavailableError
from milepost.store.migration_files import available

OLD, NEW = "old topic", "new topic"


def made(**changes: Any) -> Manifest:
    """A backup of two partitions, cut at 10 and at 20, of a topic that then held 0 to 15 and 5 to 20."""
    migrations = [Applied(one.number, one.name, one.checksum) for one in available()]
    places = {0: Place(10, 0, 0, 15), 1: Place(20, 0, 5, 20)}
    whole = Manifest(1, "0.1.0", manifest.now(), "milepost", "EUR", migrations, "t", OLD, places, {})
    return msgspec.structs.replace(whole, **changes)


def topic(starts: tuple[int, ...] = (0, 5), ends: tuple[int, ...] = (15, 20), name: str = OLD) -> Topic:
    """The topic as the broker has it."""
    return Topic(name, dict(enumerate(starts)), dict(enumerate(ends)))


@pytest.mark.parametrize(
    ("found", "way"),
    [
        (topic(), Way()),
        (topic(starts=(10, 20), ends=(99, 99)), Way()),
        (topic(starts=(11, 20), ends=(99, 99)), Way(accept_gap=True)),
        (topic(starts=(0, 0), ends=(0, 0), name=NEW), Way(new_topic=True)),
        (topic(starts=(0, 0), ends=(99, 99), name=NEW), Way(new_topic=True)),
        (topic(ends=(15, 7)), Way(new_topic=True)),
    ],
)
def test_a_topic_that_fits(found: Topic, way: Way) -> None:
    restore._check_topic(made(), found, way)


@pytest.mark.parametrize(
    ("found", "way", "words"),
    [
        (topic(starts=(11, 20), ends=(99, 99)), Way(), "partition 0: offsets 10 to 10"),
        (topic(starts=(0, 0), ends=(0, 0), name=NEW), Way(), "--new-topic"),
        # Grown beyond the cuts, it looks like the old one; its id tells.
        (topic(starts=(0, 0), ends=(99, 99), name=NEW), Way(), "--new-topic"),
        (topic(ends=(15, 7)), Way(accept_gap=True), "--new-topic"),
        (topic(), Way(new_topic=True), "without --new-topic"),
        (topic(starts=(0, 0, 0), ends=(0, 0, 0), name=NEW), Way(new_topic=True), "MILEPOST_PARTITIONS=2"),
    ],
)
def test_a_topic_that_does_not(found: Topic, way: Way, words: str) -> None:
    with pytest.raises(RefusedError, match=words):
        restore._check_topic(made(), found, way)


def test_offsets_behind_a_base_are_compared_as_the_store_counts() -> None:
    behind = made(partitions={0: Place(1010, 1000, 1000, 1015), 1: Place(20, 0, 5, 20)})
    restore._check_topic(behind, topic(), Way())
    with pytest.raises(RefusedError, match="offsets 1010 to 1011"):
        restore._check_topic(behind, topic(starts=(12, 5)), Way())


def test_another_currency_and_a_later_or_another_schema_are_refused() -> None:
    settings = Settings()
    restore._check_installation(settings, made())
    restore._check_installation(settings, made(migrations=made().migrations[:2]))
    with pytest.raises(RefusedError, match="MILEPOST_CURRENCY=CHF"):
        restore._check_installation(settings, made(currency="CHF"))
    later = Applied(len(available()) + 1, "later", "x")
    with pytest.raises(RefusedError, match=r"Milepost 0\.1\.0 or later"):
        restore._check_installation(settings, made(migrations=[*made().migrations, later]))
    with pytest.raises(RefusedError, match="another than"):
        restore._check_installation(settings, made(migrations=[Applied(1, "initial", "x")]))


def _one_file(folder: Path) -> Manifest:
    with Archive(folder / "t.tsv.zst", ["a", "b"]) as archive:
        list(archive.add([b"1\tx\n2", b"\ty\n"]))
        archive.add_rows([(3, b"tab\t, line\n, \\ and '\0")])
    return made(files={"t": File("t.tsv.zst", ["a", "b"], archive.rows, 1, archive.sha256)})


def test_a_file_says_what_was_put_into_it(tmp_path: Path) -> None:
    whole = _one_file(tmp_path)
    restore._check_files(tmp_path, whole)
    assert whole.files["t"].rows == 3
    assert b"".join(read(tmp_path / "t.tsv.zst")) == b"1\tx\n2\ty\n3\ttab\\t, line\\n, \\\\ and \\'\\0\n"


@pytest.mark.parametrize("damage", [lambda p: p.write_bytes(p.read_bytes()[:-1]), Path.unlink])
def test_a_file_cut_short_or_missing_is_seen(tmp_path: Path, damage: Callable[[Path], Any]) -> None:
    whole = _one_file(tmp_path)
    damage(tmp_path / "t.tsv.zst")
    with pytest.raises(DamagedError, match=r"t\.tsv\.zst"):
        restore._check_files(tmp_path, whole)


@pytest.mark.parametrize("answer", [b"1\tx\nCode: 241. DB::Exception: memory\n", b"1\tx\n2\ty"])
def test_an_answer_that_breaks_off_is_no_row(tmp_path: Path, answer: bytes) -> None:
    with pytest.raises(SinkUnavailableError, match="broke off"), Archive(tmp_path / "t", ["a", "b"]) as archive:
        list(archive.add([answer]))


def test_no_backup_and_a_later_format_are_said(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="is no backup"):
        manifest.read(tmp_path)
    manifest.write(tmp_path, made())
    assert manifest.read(tmp_path) == made(made_at=manifest.read(tmp_path).made_at)
    manifest.write(tmp_path, made(format=2))
    with pytest.raises(RefusedError, match="later Milepost"):
        manifest.read(tmp_path)
    (tmp_path / manifest.NAME).write_text("{")
    with pytest.raises(DamagedError, match="cannot be read"):
        manifest.read(tmp_path)
    assert sha256_of(tmp_path / manifest.NAME)
