"""A program's own folder for temporary files, and the removal of those whose program was killed.

The folder is locked as long as one of the program's processes lives, so whoever can lock it knows that it is nobody's.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

PREFIX = "image-upscaler-"
MEMORY = Path("/dev/shm")  # noqa: S108 - nothing there is named beforehand


def use_own_folder() -> None:
    """Let this process, and those that it forks from now on, put their temporary files into a new folder."""
    tempfile.tempdir = str(own_folder(_parent()))


def own_folder(parent: Path) -> Path:
    """A new folder in `parent` for this process, and those that it forks from now on.

    It stays locked until the last of them ends. Then `remove_abandoned` of another removes it.
    """
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
    # Never closed: the kernel does that, and so takes back the lock, however the processes end.
    fcntl.flock(os.open(folder, os.O_RDONLY | os.O_DIRECTORY), fcntl.LOCK_EX)
    # Somebody may have found it in the moment before it was locked.
    return folder if folder.is_dir() else own_folder(parent)


def memory() -> Path:
    """Where files are in memory, if this system has such a place: what is written there no full disk can stop."""
    return MEMORY if os.access(MEMORY, os.W_OK | os.X_OK) else _parent()


def remove_abandoned(parent: Path | None = None) -> int:
    """Remove the folders that no process uses any more, with what is in them. How many.

    Args:
        parent: where to look; by default where temporary files are.
    """
    removed = 0
    for folder in (parent or _parent()).glob(f"{PREFIX}*"):
        with suppress(OSError):  # another was faster, or it is not ours to remove
            removed += _remove_unless_locked(folder)
    return removed


def _parent() -> Path:
    """Where folders stand beside each other, whether this process uses one of its own or not."""
    folder = Path(tempfile.gettempdir())
    return folder.parent if folder.name.startswith(PREFIX) else folder


def _remove_unless_locked(folder: Path) -> bool:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    else:
        shutil.rmtree(folder)
        return True
    finally:
        os.close(descriptor)
