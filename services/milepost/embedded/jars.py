"""The broker's jars, fetched once a machine; ``kafka-jars.lock`` says which they are, each with its hash.

``python -m milepost.embedded.jars`` resolves the lock file anew, which ``make lock`` does.
"""

import hashlib
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from milepost.embedded.jvm import cache_folder, cache_lock

KAFKA_VERSION = "4.1.1"
COORDINATES = (f"org.apache.kafka:kafka_2.13:jar:{KAFKA_VERSION}", "org.slf4j:slf4j-simple:jar:1.7.36")
"""The broker, and the logging backend its jars leave to the distribution."""

LOCK = Path(__file__).with_name("kafka-jars.lock")
_DOWNLOADS = 8
_SECONDS = 60


class JarsNotFoundError(RuntimeError):
    """The broker's jars are not in the cache and could not be fetched; the message says why."""


@dataclass(frozen=True)
class Jar:
    """One locked jar."""

    group: str
    name: str
    version: str
    sha256: str

    def path(self, folder: Path) -> Path:
        """Where it lies in a repository under ``folder``."""
        return folder.joinpath(*self.group.split("."), self.name, self.version, f"{self.name}-{self.version}.jar")

    def is_in(self, folder: Path) -> bool:
        """Whether it is there, whole and as locked."""
        path = self.path(folder)
        return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == self.sha256


def locked() -> list[Jar]:
    """The jars of the lock file."""
    jars = []
    for line in LOCK.read_text().splitlines():
        if not line.startswith("#"):
            coordinate, sha256 = line.split()
            group, name, version = coordinate.split(":")
            jars.append(Jar(group, name, version, sha256))
    return jars


def cached_classpath(folder: Path | None = None) -> list[Path] | None:
    """The broker's jars if all of them are in the cache already, else None."""
    home = place(folder or cache_folder())
    # It has this name only since all were there and as locked.
    return [jar.path(home) for jar in locked()] if home.is_dir() else None


def classpath(say: Callable[[str], None] = lambda _: None, folder: Path | None = None) -> list[Path]:
    """The broker's jars, fetched at the first call on a machine (45 MB), from the cache afterwards.

    ``say`` is told what is being done, and only when something has to be fetched. What an interrupted call had fetched
    is kept.

    Raises:
        JarsNotFoundError: they are not in the cache and cannot be fetched, or are not what is locked.
    """
    folder = folder or cache_folder()
    found = cached_classpath(folder)
    if found is None:
        with cache_lock("jars"):
            found = cached_classpath(folder) or _fetch(folder, say)
    return found


def _fetch(folder: Path, say: Callable[[str], None]) -> list[Path]:
    jars, home = locked(), place(folder)
    fresh = home.with_suffix(".part")
    missing = [jar for jar in jars if not jar.is_in(fresh)]
    say(f"fetching Kafka {KAFKA_VERSION}: {len(missing)} jars, 45 MB, once on this machine")
    try:
        with ThreadPoolExecutor(_DOWNLOADS) as pool:
            list(pool.map(lambda jar: _fetch_one(jar, fresh), missing))
    except (OSError, RuntimeError) as error:
        raise JarsNotFoundError(f"cannot fetch Kafka {KAFKA_VERSION}: {error}") from error
    fresh.rename(home)
    return [jar.path(home) for jar in jars]


def _fetch_one(jar: Jar, folder: Path) -> None:
    from jgo.maven import MavenContext

    # What is there but is not whole would be taken for it.
    jar.path(folder).unlink(missing_ok=True)
    context = MavenContext(repo_cache=folder, timeout=_SECONDS)
    context.project(jar.group, jar.name).at_version(jar.version).artifact().resolve()
    if not jar.is_in(folder):
        raise RuntimeError(f"{jar.group}:{jar.name}:{jar.version} is not what is locked")


def place(folder: Path) -> Path:
    """Where the jars of this lock file are kept under the cache folder."""
    return folder / f"kafka-{KAFKA_VERSION.replace('.', '-')}-{hashlib.sha256(LOCK.read_bytes()).hexdigest()[:8]}"


def lock() -> None:
    """Resolve ``COORDINATES`` and write the lock file; needs the network."""
    from jgo.maven import MavenContext
    from jgo.parse import Coordinate

    folder = cache_folder() / "resolving"
    shutil.rmtree(folder, ignore_errors=True)
    context = MavenContext(repo_cache=folder, timeout=_SECONDS)
    wanted = [context.create_dependency(Coordinate.parse(f"{name}:compile")) for name in COORDINATES]
    inputs, transitive = context.resolver.resolve(wanted)
    lines = []
    for found in (*inputs, *transitive):
        if found.scope in ("compile", "runtime"):
            artifact = found.artifact
            sha256 = hashlib.sha256(Path(artifact.resolve()).read_bytes()).hexdigest()
            lines.append(f"{artifact.groupId}:{artifact.artifactId}:{artifact.version} {sha256}\n")
    LOCK.write_text("# Written by `make lock`: group:artifact:version sha256\n" + "".join(sorted(lines)))
    shutil.rmtree(folder)


if __name__ == "__main__":
    lock()
