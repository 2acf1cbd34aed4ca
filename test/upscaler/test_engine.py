"""The engine as a task uses it: any size, progress, finished rows, cancelling, too little memory."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sample_networks import frozen
from sample_pixels import noise
from torch import Tensor

from upscaler import compact_runner, tile_runner
from upscaler.architectures import Network, RRDBNet, SRVGGNetCompact
from upscaler.convolution import convolve
from upscaler.engine import Engine
from utils.errors import InvalidParameter, OutOfMemory

NETWORKS = {
    "compact": frozen(SRVGGNetCompact(features=8, convolutions=3)),
    "compact x2": frozen(SRVGGNetCompact(features=8, convolutions=2, scale=2)),
    "rrdb": frozen(RRDBNet(features=8, blocks=1, growth=4)),
    "rrdb x2": frozen(RRDBNet(features=8, blocks=1, growth=4, scale=2)),
    "rrdb x1": frozen(RRDBNet(features=8, blocks=1, growth=4, scale=1)),
}
PRECISIONS = ["auto", "float32", "bfloat16", "float16"]


@pytest.fixture
def thin_bands(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small pictures are cut, too."""
    monkeypatch.setattr(compact_runner, "BAND_ROWS", 4)
    monkeypatch.setitem(compact_runner.BAND_BYTES, "cpu", 512)


def engine_of(name: str, precision: str = "float32") -> Engine:
    return Engine(NETWORKS[name], device="cpu", precision=precision)


@settings(max_examples=80, deadline=None)
@given(
    network=st.sampled_from(sorted(NETWORKS)),
    precision=st.sampled_from(PRECISIONS),
    shape=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    channels=st.sampled_from([(), (1,), (2,), (3,), (4,)]),
    dtype=st.sampled_from([np.uint8, np.uint16]),
    scale=st.floats(1, 8),
)
def test_every_shape_type_and_scale_comes_out_as_it_went_in(
    network: str,
    precision: str,
    shape: tuple[int, int],
    channels: tuple[int, ...],
    dtype: type,
    scale: float,
) -> None:
    shares: list[float] = []
    handed_on: list[np.ndarray] = []

    def on_rows(first: int, rows: np.ndarray) -> None:
        assert first == sum(map(len, handed_on))
        handed_on.append(rows.copy())

    pixels = noise(*shape, *channels, dtype=dtype)
    before = pixels.copy()
    result = engine_of(network, precision).upscale(pixels, scale, on_progress=shares.append, on_rows=on_rows)
    assert result.dtype == dtype
    assert result.shape == (int(shape[0] * scale + 0.5), int(shape[1] * scale + 0.5), *channels)
    assert np.array_equal(np.concatenate(handed_on).reshape(result.shape), result)
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1)
    assert np.array_equal(pixels, before)


def test_without_a_scale_the_networks_own_is_taken() -> None:
    assert engine_of("rrdb x2").upscale(noise(5, 7, 3)).shape == (10, 14, 3)


def test_a_size_can_be_asked_for_directly() -> None:
    assert engine_of("compact").upscale(noise(5, 7, 3), size=(29, 13)).shape == (13, 29, 3)


@pytest.mark.parametrize("network", ["compact", "rrdb"])
def test_a_smaller_factor_is_the_networks_result_resized(network: str) -> None:
    engine = engine_of(network)
    pixels = noise(30, 40, 3)
    full = torch.from_numpy(engine.upscale(pixels)).permute(2, 0, 1)[None].float()
    expected = torch.nn.functional.interpolate(full, (45, 60), mode="bicubic", antialias=True)
    ours = engine.upscale(pixels, 1.5).astype(np.float32)
    difference = np.abs(ours - expected.clamp(0, 255)[0].permute(1, 2, 0).numpy())
    assert difference.max() <= 1.5  # rounded once here, twice there


def test_pixels_need_not_be_contiguous() -> None:
    engine = engine_of("compact")
    pixels = noise(20, 30, 3)
    mirrored = pixels[::-1, ::-1]
    assert np.array_equal(engine.upscale(mirrored), engine.upscale(np.ascontiguousarray(mirrored)))


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((3, 3), np.float32),
        np.zeros((3, 3, 5), np.uint8),
        np.zeros((3,), np.uint8),
        np.zeros((0, 3, 3), np.uint8),
    ],
)
def test_pixels_that_are_no_picture_are_refused(pixels: np.ndarray) -> None:
    with pytest.raises(InvalidParameter):
        engine_of("compact").upscale(pixels)


@pytest.mark.parametrize("wish", ["tpu", "cuda:99", "", "meta"])
def test_a_device_that_is_not_there_is_refused(wish: str) -> None:
    with pytest.raises(InvalidParameter, match="DEVICE"):
        Engine(NETWORKS["compact"], device=wish)


# --- Cancelling -----------------------------------------------------------------------------------


class CancelledError(Exception):
    """What a task's heartbeat raises."""


@pytest.mark.parametrize("network", ["compact", "rrdb"])
@pytest.mark.parametrize("error", [CancelledError, RuntimeError, ValueError])
def test_what_on_progress_raises_ends_the_work_at_that_tile(
    network: str, error: type[Exception], thin_bands: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(tile_runner.TILE, "cpu", 16)
    shares: list[float] = []
    raised = error("stop")

    def stop(share: float) -> None:
        shares.append(share)
        if len(shares) == 3:
            raise raised

    with pytest.raises(error) as caught:
        engine_of(network).upscale(noise(60, 60, 3), on_progress=stop)
    assert caught.value is raised
    assert len(shares) == 3
    assert shares[-1] < 0.5


# --- Too little memory ----------------------------------------------------------------------------


class SmallMemory:
    """Convolutions that fail above a number of pixels, as an allocation would, and count their work."""

    def __init__(self, pixels: int, error: Exception):
        self.pixels = pixels
        self.error = error
        self.failures = 0

    def __call__(self, x: Tensor, *arguments: object) -> Tensor:
        if x.shape[2] * x.shape[3] > self.pixels:
            self.failures += 1
            raise self.error
        return convolve(x, *arguments)


@pytest.mark.parametrize("error", [MemoryError(), torch.OutOfMemoryError()])
def test_a_band_that_does_not_fit_is_halved_and_goes_on(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = engine_of("compact")
    pixels = noise(120, 50, 3)
    expected = engine.upscale(pixels)
    memory = SmallMemory(50 * 20, error)
    monkeypatch.setattr(compact_runner, "convolve", memory)
    shares: list[float] = []
    assert np.array_equal(engine.upscale(pixels, on_progress=shares.append), expected)
    assert memory.failures > 1
    assert len(shares) > 5
    assert shares == sorted(shares)


@pytest.mark.parametrize("call", [1, 9, 30, 61])
def test_memory_that_runs_out_midway_costs_no_row(call: int, thin_bands: None, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = engine_of("compact")
    pixels = noise(120, 50, 3)
    expected = engine.upscale(pixels)
    calls = 0

    def fails_once(x: Tensor, *arguments: object) -> Tensor:
        nonlocal calls
        calls += 1
        if calls == call:
            raise MemoryError
        return convolve(x, *arguments)

    monkeypatch.setattr(compact_runner, "convolve", fails_once)
    firsts: list[int] = []
    result = engine.upscale(pixels, on_rows=lambda first, _: firsts.append(first))
    assert calls > call
    assert np.array_equal(result, expected)
    assert firsts == sorted(set(firsts))


def test_when_not_even_one_row_fits_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compact_runner, "convolve", SmallMemory(50, MemoryError()))
    with pytest.raises(OutOfMemory, match="row"):
        engine_of("compact").upscale(noise(30, 50, 3))


def test_a_tile_that_does_not_fit_is_halved_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = engine_of("rrdb")
    pixels = noise(90, 120, 3)
    expected = engine.upscale(pixels)
    failures = 0
    forward = RRDBNet.forward

    def small(self: RRDBNet, x: Tensor) -> Tensor:
        nonlocal failures
        if x.shape[2] * x.shape[3] > 95 * 95:
            failures += 1
            raise MemoryError
        return forward(self, x)

    monkeypatch.setattr(RRDBNet, "forward", small)
    shares: list[float] = []
    result = engine.upscale(pixels, on_progress=shares.append)
    assert np.abs(result.astype(int) - expected).max() <= 1
    assert 0 < failures < len(shares)
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1)


@pytest.mark.parametrize(
    ("gigabytes", "side"), [(0.001, tile_runner.SMALLEST_TILE), (2, 506), (12, 1333), (70, tile_runner.LARGEST_TILE)]
)
def test_an_accelerators_tiles_are_as_large_as_its_memory_takes(gigabytes: float, side: int) -> None:
    features, bfloat16 = 64, 2
    pixel_bytes = features * bfloat16 * tile_runner.MAPS
    chosen = tile_runner.side_that_fits(int(gigabytes * 1e9), pixel_bytes)
    assert chosen == side
    wanted = (chosen + 2 * tile_runner.CONTEXT) ** 2 * pixel_bytes
    assert wanted <= gigabytes * 1e9 or chosen == tile_runner.SMALLEST_TILE


def test_when_not_even_the_smallest_tile_fits_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(self: RRDBNet, x: Tensor) -> Tensor:
        raise MemoryError

    monkeypatch.setattr(RRDBNet, "forward", never)
    with pytest.raises(OutOfMemory, match="smallest tile"):
        engine_of("rrdb").upscale(noise(50, 50, 3))


def test_a_failure_that_is_not_about_memory_is_not_swallowed(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = SmallMemory(0, RuntimeError("a bug"))
    monkeypatch.setattr(compact_runner, "convolve", broken)
    with pytest.raises(RuntimeError, match="a bug"):
        engine_of("compact").upscale(noise(30, 50, 3))
    assert broken.failures == 1


REALLY_SMALL = """
import resource, sys
import numpy as np
from upscaler.architectures import SRVGGNetCompact
from upscaler.engine import Engine
from upscaler import compact_runner
engine = Engine(SRVGGNetCompact(features=64, convolutions=4).eval().requires_grad_(False), "cpu", "float32")
pixels = np.random.default_rng(0).integers(0, 256, (600, 500, 3), np.uint8)
expected = engine.upscale(pixels)
compact_runner.BAND_ROWS = 1 << 20
in_use = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (in_use + (150 << 20), resource.RLIM_INFINITY))
bands = []
result = engine.upscale(pixels, on_progress=bands.append)
print(len(bands), np.array_equal(result, expected))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits a process's memory as Linux does")
def test_a_process_that_really_runs_out_of_memory_goes_on_in_smaller_bands() -> None:
    done = subprocess.run([sys.executable, "-c", REALLY_SMALL], capture_output=True, text=True, timeout=300, check=True)
    bands, equal = done.stdout.split()
    assert int(bands) > 1
    assert equal == "True"


# --- float16 --------------------------------------------------------------------------------------


def overflowing(network: Network) -> Network:
    """With numbers on the way that float16 cannot hold, and the same result."""
    network.body[0].weight.data *= 3e5
    network.body[0].bias.data *= 3e5
    network.body[2].weight.data /= 3e5
    return network


def test_float16_gives_way_to_bfloat16_where_numbers_grow_too_large() -> None:
    network = overflowing(frozen(SRVGGNetCompact(features=8, convolutions=2)))
    pixels = noise(40, 30, 3)
    half = Engine(network, "cpu", "float16").upscale(pixels)
    brain = Engine(network, "cpu", "bfloat16").upscale(pixels)
    assert np.array_equal(half, brain)
