"""The version is written in two places, and the same in both."""

from __future__ import annotations

import tomllib
from pathlib import Path

from utils.version import VERSION


def test_the_version_is_that_of_the_project() -> None:
    project = tomllib.loads((Path(__file__).resolve().parent.parent.parent / "pyproject.toml").read_text())
    assert project["project"]["version"] == VERSION
