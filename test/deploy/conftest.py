"""What the tests of the deployment share: the compose files as data, and when to build images for real."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Run the tests that build images only where they are asked for by their marker."""
    if "docker" in config.option.markexpr:
        return
    for item in items:
        if item.get_closest_marker("docker"):
            item.add_marker(pytest.mark.skip(reason="builds images and starts the whole stack: make test-docker"))


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return ROOT


@pytest.fixture(scope="session")
def load_compose() -> Callable[[str], dict[str, Any]]:
    """Reads a compose file of the repository, with what its services extend filled in."""

    def load(name: str) -> dict[str, Any]:
        document = _read(ROOT / name)
        for service, own in document["services"].items():
            if base := own.pop("extends", None):
                inherited = _read(ROOT / base["file"])["services"][base["service"]]
                document["services"][service] = inherited | own
        return document

    return load


def _read(path: Path) -> dict[str, Any]:
    return yaml.safe_load(path.read_text(encoding="utf-8"))
