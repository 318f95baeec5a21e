"""The broker's jars: locked, whole or not there."""

import hashlib
from pathlib import Path

import pytest

from milepost.embedded import jars


@pytest.fixture
def two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[jars.Jar]:
    """A lock file of two jars."""
    lock = tmp_path / "jars.lock"
    lines = [f"org.a:{name}:1.0 {hashlib.sha256(name.encode()).hexdigest()}\n" for name in ("one", "two")]
    lock.write_text("# a comment\n" + "".join(lines))
    monkeypatch.setattr(jars, "LOCK", lock)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return jars.locked()


def put(folder: Path, jar: jars.Jar, content: str) -> None:
    path = jar.path(folder)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


def test_every_locked_jar_has_a_hash_and_the_broker_is_among_them() -> None:
    locked = jars.locked()
    assert {len(jar.sha256) for jar in locked} == {64}
    assert [jar.version for jar in locked if jar.name == "kafka_2.13"] == [jars.KAFKA_VERSION]
    assert len({jar.path(Path()) for jar in locked}) == len(locked)


def test_what_an_interrupted_fetch_left_is_completed(
    two: list[jars.Jar], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh = jars.place(tmp_path).with_suffix(".part")
    put(fresh, two[0], "one")
    put(fresh, two[1], "half")
    fetched = []

    def fetch(jar: jars.Jar, folder: Path) -> None:
        fetched.append(jar.name)
        put(folder, jar, jar.name)

    monkeypatch.setattr(jars, "_fetch_one", fetch)
    assert jars.cached_classpath(tmp_path) is None
    found = jars.classpath(folder=tmp_path)
    assert fetched == ["two"]
    assert [path.read_text() for path in found] == ["one", "two"]
    assert jars.classpath(folder=tmp_path) == found
    assert fetched == ["two"]


def test_without_a_network_it_says_so_and_the_next_call_tries_again(
    two: list[jars.Jar], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(jar: jars.Jar, folder: Path) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr(jars, "_fetch_one", fail)
    with pytest.raises(jars.JarsNotFoundError, match="no route to host"):
        jars.classpath(folder=tmp_path)
    assert jars.cached_classpath(tmp_path) is None
    monkeypatch.setattr(jars, "_fetch_one", lambda jar, folder: put(folder, jar, jar.name))
    assert len(jars.classpath(folder=tmp_path)) == 2
