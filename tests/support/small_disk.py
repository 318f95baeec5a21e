"""A disk of its own for the engine, small enough to be filled: a file system in memory, mounted on its folder."""

import contextlib
import os
import shutil
import subprocess
import time
from pathlib import Path

SIZE_MB = 2_048
_STEP = 1 << 20
_SEAL_SECONDS = 10.0


class Disk:
    """The engine's disk. ``absent`` says why this machine cannot have one; the folder is then a plain folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.absent: str | None = None
        self._ballast = folder / "ballast"

    def mount(self) -> None:
        """Mount it, where that is allowed."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if os.geteuid() != 0 or shutil.which("mount") is None:
            self.absent = "only root may mount a disk of its own"
            return
        told = _run("mount", "-t", "tmpfs", "-o", f"size={SIZE_MB}m", "tmpfs", str(self.folder))
        if told:
            self.absent = f"a disk of its own cannot be mounted here: {told}"

    def unmount(self) -> None:
        """Take it away with all that is on it."""
        if self.absent is None:
            self.free()
            _run("umount", "-l", str(self.folder))

    def fill(self, but: int = 0) -> None:
        """Leave not one byte free, or so many MiB."""
        block = b"" if but else bytes(_STEP)
        with self._ballast.open("ab", buffering=0) as file:
            # Most of it at once: others may be writing meanwhile.
            room = shutil.disk_usage(self.folder).free - but * _STEP
            with contextlib.suppress(OSError):
                os.posix_fallocate(file.fileno(), file.tell(), room)
            while block:
                try:
                    if file.write(block) < len(block):
                        block = block[: len(block) // 2]
                except OSError:
                    block = block[: len(block) // 2]

    def free(self) -> None:
        """Give the room back."""
        self._ballast.unlink(missing_ok=True)

    def seal(self) -> None:
        """Make it read-only for every file opened from now on. Raises ``RuntimeError`` where that fails."""
        # The engine holds files open for writing, so the file system itself cannot be remounted: a read-only view of it
        # is laid over it instead.
        told = _run("mount", "--bind", str(self.folder), str(self.folder))
        if not told:
            deadline = time.monotonic() + _SEAL_SECONDS
            # A file may have been opened for writing between the two: that is soon over.
            while "busy" in (told := self._remount_read_only()) and time.monotonic() < deadline:
                time.sleep(0.01)
        if told:
            raise RuntimeError(f"cannot make the disk read-only: {told}")

    def _remount_read_only(self) -> str:
        return _run("mount", "-o", "remount,bind,ro", str(self.folder))

    def unseal(self) -> None:
        """Writable again."""
        told = _run("umount", "-l", str(self.folder))
        if told:
            raise RuntimeError(f"cannot make the disk writable again: {told}")


def _run(*command: str) -> str:
    """Run it; what it said where it failed, else nothing."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    return "" if done.returncode == 0 else (done.stderr.strip() or f"ended with {done.returncode}")
