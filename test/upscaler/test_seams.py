"""Parts that cannot be seen: a picture computed in parts against the same in one piece.

SRVGGNetCompact runs in bands, and equals one piece bit for bit, before rounding, in float32 and bfloat16 alike:
no activation is computed from less than the whole picture would give it, and `convolve` adds up in the
same order at every size. RRDBNet runs in tiles with a context smaller than what it sees; how far that may
move a result is stated and held here.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from sample_networks import frozen
from sample_pixels import noise
from torch import Tensor, nn

from upscaler.architectures import Network, RRDBNet, SRVGGNetCompact
from upscaler.compact_runner import CompactRunner
from upscaler.convolution import convolve
from upscaler.source import Source
from upscaler.tile_runner import TileRunner

CPU = torch.device("cpu")

sizes = st.tuples(st.integers(1, 300), st.integers(1, 300))
bands = st.integers(1, 340)
dtypes = st.sampled_from([torch.float32, torch.bfloat16])

SMALL = frozen(SRVGGNetCompact(features=8, convolutions=3))


def in_bands(network: Network, pixels: np.ndarray, dtype: torch.dtype, rows: int) -> Tensor:
    """(H, W, C) uint8 -> (H * scale, W * scale, C) float32, in bands of that many input rows."""
    runner = CompactRunner(network, CPU)
    return torch.cat([*runner.rows(Source(pixels, CPU), dtype, lambda _: None, rows)])


def in_one_piece(network: Network, pixels: np.ndarray, dtype: torch.dtype) -> Tensor:
    """The same by the network's own modules, one after another on the whole picture."""
    picture = torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255
    x = picture.to(dtype).contiguous(memory_format=torch.channels_last)
    for module in network.body:
        if isinstance(module, nn.Conv2d):
            weight = module.weight.to(dtype).contiguous(memory_format=torch.channels_last)
            x = convolve(x, weight, module.bias.to(dtype), (1, 1))
        else:
            x = F.prelu(x, module.weight.to(dtype))
    enlarged = picture.repeat_interleave(network.scale, 2).repeat_interleave(network.scale, 3)
    return (F.pixel_shuffle(x, network.scale) + enlarged)[0].permute(1, 2, 0)


def in_8_bit(values: Tensor) -> Tensor:
    return values.mul(255).round().clamp(0, 255).byte()


@settings(max_examples=120, deadline=None)
@given(sizes, bands, dtypes)
def test_bands_of_any_height_equal_one_piece_at_any_size(size: tuple[int, int], rows: int, dtype: torch.dtype) -> None:
    pixels = noise(*size, 3)
    parts, whole = in_bands(SMALL, pixels, dtype, rows), in_one_piece(SMALL, pixels, dtype)
    assert torch.equal(in_8_bit(parts), in_8_bit(whole))
    assert torch.equal(parts, whole)


@settings(max_examples=30, deadline=None)
@given(sizes, bands, bands)
def test_grey_bands_of_any_height_equal_each_other(size: tuple[int, int], rows: int, other: int) -> None:
    pixels = noise(*size, 1)
    first, second = (in_bands(SMALL, pixels, torch.float32, count) for count in (rows, other))
    assert torch.equal(first, second)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(
    ("size", "rows"), [((97, 131), 16), ((40, 300), 7), ((33, 1), 1), ((1, 33), 5), ((70, 64), 35)]
)
def test_official_networks_show_no_seams(
    official: Network, size: tuple[int, int], rows: int, dtype: torch.dtype
) -> None:
    pixels = noise(*size, 3)
    assert torch.equal(in_bands(official, pixels, dtype, rows), in_one_piece(official, pixels, dtype))


RRDB_TOLERANCE = 0.01 / 255  # with random weights


@pytest.mark.parametrize("scale", [1, 2, 4])
def test_tiles_of_an_rrdbnet_differ_by_less_than_a_hundredth_of_a_level(scale: int) -> None:
    network = frozen(RRDBNet(features=16, blocks=6, growth=8, scale=scale))
    pixels = noise(150, 170, 3)
    runner = TileRunner(network, CPU)
    source = Source(pixels, CPU)
    tiled, whole = (torch.cat([*runner.rows(source, torch.float32, lambda _: None, side)]) for side in (40, 1000))
    assert whole.std() > 0.01
    assert (tiled - whole).abs().max().item() < RRDB_TOLERANCE
