"""Engines and networks that several of the engine's tests share."""

from __future__ import annotations

from pathlib import Path

import pytest
from sample_networks import frozen

from upscaler.architectures import Network, RRDBNet, SRVGGNetCompact
from upscaler.catalog import find_model
from upscaler.engine import Engine
from upscaler.weights import load_network


@pytest.fixture(scope="session")
def compact() -> Network:
    """A small SRVGGNetCompact x4 that sees 5 px far."""
    return frozen(SRVGGNetCompact(features=8, convolutions=3))


@pytest.fixture(scope="session")
def compact_x2() -> Network:
    return frozen(SRVGGNetCompact(features=8, convolutions=2, scale=2))


@pytest.fixture(scope="session")
def rrdb() -> Network:
    """A small RRDBNet x4."""
    return frozen(RRDBNet(features=8, blocks=1, growth=4))


@pytest.fixture(scope="session")
def fast() -> Engine:
    """The bundled default model in float32."""
    return Engine.of_model(find_model("fast", Path()), Path(), precision="float32")


@pytest.fixture(scope="session", params=["general-x4v3-half", "animevideov3-half"])
def official(request: pytest.FixtureRequest, shared: Path) -> Network:
    """The official SRVGG networks, rounded to half precision."""
    folder = shared / "weights"
    return load_network(find_model(request.param, folder), folder)
