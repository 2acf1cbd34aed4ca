"""The networks against other implementations of them, and the shapes they are rebuilt from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sample_networks import frozen
from sample_pixels import noise
from torch import Tensor

from benchmarks.ncnn_network import NcnnCompact
from upscaler.architectures import Network, RRDBNet, SRVGGNetCompact, network_from_weights
from upscaler.engine import Engine
from upscaler.source import Source


def engine_output(network: Network, pixels: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 -> float32 before rounding."""
    engine = Engine(network, device="cpu", precision="float32")
    bands = engine._runner.rows(Source(pixels, engine.device), torch.float32, lambda _: None)
    return torch.cat([*bands]).numpy()


@pytest.mark.parametrize("size", [(64, 64), (45, 61), (1, 1), (3, 120)])
def test_official_weights_give_what_ncnn_computes_of_them(
    official: Network, size: tuple[int, int], tmp_path: Path
) -> None:
    pixels = noise(*size, 3)
    ours = engine_output(official, pixels)
    theirs = NcnnCompact(official, tmp_path)(pixels.astype(np.float32) / 255)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-4)


@pytest.mark.parametrize("scale", [1, 2, 4])
@pytest.mark.parametrize("blocks", [1, 6])
def test_rrdbnet_is_the_network_of_the_paper(scale: int, blocks: int) -> None:
    network = frozen(RRDBNet(features=16, blocks=blocks, growth=8, scale=scale))
    pixels = noise(20, 24, 3)
    x = torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255
    theirs = rrdbnet_by_functions(network.state_dict(), x, blocks, 4 // scale)
    largest = theirs.abs().max().item()
    ours = torch.from_numpy(engine_output(network, pixels)).permute(2, 0, 1)[None]
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5 * max(1.0, largest))


def rrdbnet_by_functions(weights: dict[str, Tensor], x: Tensor, blocks: int, unshuffle: int) -> Tensor:
    """RRDBNet's forward pass, written from the paper's figure 4 and the release's parameter names alone."""

    def conv(x: Tensor, name: str) -> Tensor:
        return F.conv2d(x, weights[f"{name}.weight"], weights[f"{name}.bias"], padding=1)

    def dense(x: Tensor, name: str) -> Tensor:
        known = [x]
        for number in range(1, 5):
            known.append(F.leaky_relu(conv(torch.cat(known, 1), f"{name}.conv{number}"), 0.2))
        return x + 0.2 * conv(torch.cat(known, 1), f"{name}.conv5")

    def enlarge(x: Tensor) -> Tensor:
        return x.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)

    n, c, h, w = x.shape
    x = x.view(n, c, h // unshuffle, unshuffle, w // unshuffle, unshuffle)
    x = x.permute(0, 1, 3, 5, 2, 4).reshape(n, -1, h // unshuffle, w // unshuffle)
    first = x = conv(x, "conv_first")
    for block in range(blocks):
        before = x
        for number in range(1, 4):
            x = dense(x, f"body.{block}.rdb{number}")
        x = before + 0.2 * x
    x = first + conv(x, "conv_body")
    x = F.leaky_relu(conv(enlarge(x), "conv_up1"), 0.2)
    x = F.leaky_relu(conv(enlarge(x), "conv_up2"), 0.2)
    return conv(F.leaky_relu(conv(x, "conv_hr"), 0.2), "conv_last")


@pytest.mark.parametrize(
    "network",
    [
        SRVGGNetCompact(features=8, convolutions=3, scale=4),
        SRVGGNetCompact(features=12, convolutions=1, scale=2),
        SRVGGNetCompact(features=5, convolutions=0, scale=1),
        RRDBNet(features=8, blocks=2, growth=4, scale=4),
        RRDBNet(features=8, blocks=1, growth=6, scale=2),
        RRDBNet(features=4, blocks=1, growth=4, scale=1),
    ],
)
def test_a_network_is_rebuilt_from_its_weights(network: Network) -> None:
    frozen(network)
    rebuilt = network_from_weights(network.state_dict())
    assert (type(rebuilt), rebuilt.scale) == (type(network), network.scale)
    x = torch.rand(1, 3, 8, 12)
    assert torch.equal(rebuilt(x), network(x))


def test_the_receptive_radius_is_how_far_a_pixel_reaches() -> None:
    network = frozen(SRVGGNetCompact(features=8, convolutions=3))
    x = torch.zeros(1, 3, 21, 21)
    touched = x.clone()
    touched[..., 10, 10] = 1
    rows = (network(touched) != network(x)).any(dim=3)[0, 0].nonzero()
    radius = network.receptive_radius
    assert (rows.min().item() // 4, rows.max().item() // 4) == (10 - radius, 10 + radius)


@pytest.mark.parametrize(
    "weights", [{}, {"body.0.weight": torch.zeros(3)}, {"conv_first.weight": torch.zeros(8, 5, 3, 3)}]
)
def test_weights_of_another_network_are_refused(weights: dict[str, Tensor]) -> None:
    with pytest.raises(ValueError, match="not the weights"):
        network_from_weights(weights)
