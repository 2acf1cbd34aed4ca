"""What is installed is what was looked at: every package is pinned, and held to the hashes of its files."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

REQUIREMENTS = Path(__file__).resolve().parent.parent.parent / "requirements"
PIN = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[a-z,]+\])?==([^\s;\\]+)", re.MULTILINE)
LISTS = sorted(path.stem for path in (REQUIREMENTS / "locked").glob("*.txt"))
NOT_LOCKED = {"torch"}  # tools/lock-requirements says why


def pins(path: Path) -> dict[str, str]:
    """Version by name, in the form that names are compared in."""
    return {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in PIN.findall(path.read_text())}


def test_there_are_locks_for_all_that_is_installed() -> None:
    assert LISTS == ["lint", "local-servers", "service", "test"]


@pytest.mark.parametrize("name", LISTS)
def test_a_lock_has_what_its_list_asks_for(name: str) -> None:
    asked, locked = pins(REQUIREMENTS / f"{name}.txt"), pins(REQUIREMENTS / "locked" / f"{name}.txt")
    wanted = {package: version for package, version in asked.items() if package not in NOT_LOCKED}
    assert wanted.items() <= locked.items(), "run: make lock"
    assert not NOT_LOCKED & locked.keys()


@pytest.mark.parametrize("name", LISTS)
def test_all_locks_agree_with_the_constraints(name: str) -> None:
    assert pins(REQUIREMENTS / "locked" / f"{name}.txt").items() <= pins(REQUIREMENTS / "constraints.txt").items()


@pytest.mark.parametrize("name", LISTS)
def test_every_locked_package_is_held_to_hashes(name: str) -> None:
    packages = re.split(r"\n(?=\S)", (REQUIREMENTS / "locked" / f"{name}.txt").read_text().partition("\n")[2])
    assert packages
    assert [package.splitlines()[0] for package in packages if "--hash=sha256:" not in package] == []
