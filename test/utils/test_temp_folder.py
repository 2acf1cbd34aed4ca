"""Folders for temporary files: those of living programs stay, those of killed ones go."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from live_service import wait_until

from utils.temp_folder import PREFIX, remove_abandoned

# Says where its temporary files go, and lives until it is killed; so does a child that it forks.
PROGRAM = """
import os, tempfile, time
from utils.temp_folder import use_own_folder
use_own_folder()
child = os.fork()
if child:
    tempfile.mkstemp()
    print(tempfile.gettempdir(), child, flush=True)
time.sleep(600)
"""


@pytest.fixture
def temp_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the programs of a test put their folders, and where it looks for them."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path


@contextmanager
def running_program() -> Iterator[tuple[subprocess.Popen[str], Path, int]]:
    """A program that uses a folder: its process, the folder, and its child's process id."""
    with subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        folder, child = program.stdout.readline().split()
        try:
            yield program, Path(folder), int(child)
        finally:
            program.kill()


def test_a_folder_goes_with_the_last_process_of_its_program_and_not_before(temp_dir: Path) -> None:
    with running_program() as (program, folder, child):
        assert folder.parent == temp_dir
        assert [path.name for path in folder.iterdir()] != []
        assert remove_abandoned() == 0
        program.kill()
        program.wait()
        assert remove_abandoned() == 0
        assert folder.exists()
    os.kill(child, 9)
    wait_until(lambda: remove_abandoned() == 1)
    assert list(temp_dir.iterdir()) == []


def test_other_folders_and_links_are_left_alone(temp_dir: Path) -> None:
    (temp_dir / "somebody's").mkdir()
    target = temp_dir / "target"
    target.mkdir()
    (temp_dir / f"{PREFIX}link").symlink_to(target)
    assert remove_abandoned() == 0
    assert target.exists()
