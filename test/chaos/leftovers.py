"""What nobody owns: bytes in MongoDB without a job, chunks without a file, temporary files without a process."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import dataclass

from chaos.stack import Stack, environment_of

GRACE = 30  # s; the shortest that is allowed


@dataclass(frozen=True)
class Leftovers:
    """How much there is of it."""

    files: int
    chunk_sets: int
    temp_files: int

    def __bool__(self) -> bool:
        return bool(self.files or self.chunk_sets or self.temp_files)


def count(stack: Stack) -> Leftovers:
    """What is left over now."""
    database = stack.store.database
    files = chunk_sets = 0
    for bucket, image in (("uploads", "source"), ("results", "result")):
        stored = set(database[f"{bucket}.files"].distinct("_id"))
        owned = set(database["jobs"].distinct(f"{image}.file_id"))
        files += len(stored - owned)
        chunk_sets += len(set(database[f"{bucket}.chunks"].distinct("files_id")) - stored)
    temp_files = [path for folder in stack.temp_dirs for path in folder.rglob("*") if not path.is_dir()]
    return Leftovers(files, chunk_sets, len(temp_files))


def sweep(stack: Stack) -> None:
    """`flask --app main sweep` on each machine, as an operator would do it, with a short grace.

    Twice: the first one marks what has belonged to nobody for the grace, and the next one removes what was marked.
    """
    for _ in range(2):
        time.sleep(GRACE + 1)
        _sweep_everywhere(stack)


def _sweep_everywhere(stack: Stack) -> None:
    for temp_dir in stack.temp_dirs:
        environment = environment_of(stack.settings, temp_dir) | {"GRACE_SECONDS": str(GRACE)}
        command = [sys.executable, "-m", "flask", "--app", "main", "sweep"]
        subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
