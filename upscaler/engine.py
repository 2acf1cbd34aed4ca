"""Pixels in, more pixels out: one model on one device.

engine = Engine(find_model("fast", models_dir), models_dir)
large = engine.upscale(pixels, scale=3)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from upscaler.architectures import Network, SRVGGNetCompact
from upscaler.catalog import ModelInfo
from upscaler.compact_runner import CompactRunner
from upscaler.pixels import Pixels, constant, full_scale, split
from upscaler.precision import choose_precision
from upscaler.resampling import resized
from upscaler.sizes import Size, output_size, pass_sizes
from upscaler.source import Source
from upscaler.tile_runner import TileRunner
from upscaler.weights import load_network
from utils.errors import InvalidParameter, OutOfMemory

OnProgress = Callable[[float], None]
OnRows = Callable[[int, Pixels], None]


class Engine:
    """A loaded network. One call of `upscale` at a time."""

    def __init__(self, network: Network, device: str = "auto", precision: str = "auto"):
        """
        Args:
            network: in float32, as `load_network` returns it.
            device: `auto`, `cpu`, `cuda`, `cuda:1`...
            precision: `auto`, `float32`, `bfloat16` or `float16`.

        Raises:
            InvalidParameter: a device that is not there, or a precision that does not exist.
        """
        self.scale = network.scale
        self.device = _chosen_device(device)
        self.dtype = choose_precision(precision, self.device)
        self.network_bytes = sum(parameter.nbytes for parameter in network.parameters())
        runner = CompactRunner if isinstance(network, SRVGGNetCompact) else TileRunner
        self._runner = runner(network, self.device, self.dtype)  # type: ignore[arg-type]

    @classmethod
    def of_model(
        cls,
        info: ModelInfo,
        models_dir: Path,
        *,
        denoise: float | None = None,
        device: str = "auto",
        precision: str = "auto",
    ) -> Engine:
        """The engine of a model from the catalogue, downloaded first if need be; see `load_network`."""
        return cls(load_network(info, models_dir, denoise), device, precision)

    def upscale(
        self,
        pixels: Pixels,
        scale: float | None = None,
        size: Size | None = None,
        on_progress: OnProgress | None = None,
        on_rows: OnRows | None = None,
    ) -> Pixels:
        """The picture enlarged.

        Args:
            pixels: (H, W) or (H, W, C) with C of 1 (grey), 2 (grey, alpha), 3 (RGB), 4 (RGB, alpha); uint8
                or uint16.
            scale: the factor, 1-8; default the network's own.
            size: the result's (width, height), instead of `scale`.
            on_progress: called after every tile with the share of the work done, 0-1. What it raises ends
                the work there and reaches the caller unchanged.
            on_rows: called with the number of the first row and finished rows (h, W', C), from the top down.

        Returns:
            An array of the same type and channels, and as many dimensions.

        Raises:
            OutOfMemory: not even the smallest tile fits.
            InvalidParameter: pixels or a scale that cannot be.
        """
        height, width = _checked(pixels).shape[:2]
        target = size or output_size(width, height, self.scale, scale)
        picture = pixels.reshape(height, width, -1)
        try:
            result = self._upscale(picture, target, on_progress or _ignore, on_rows or _ignore)
        except MemoryError as error:
            raise OutOfMemory(
                f"The result of {target[0]}x{target[1]} pixels does not fit into memory. Ask for a smaller one."
            ) from error
        return result.reshape(target[1], target[0], *pixels.shape[2:])

    @torch.inference_mode()
    def _upscale(self, picture: Pixels, target: Size, on_progress: OnProgress, on_rows: OnRows) -> Pixels:
        height, width = picture.shape[:2]
        colour, alpha = split(picture)
        planes = [colour] if alpha is None else [colour, alpha]
        sizes = pass_sizes((width, height), target, self.scale)
        work = _Work(planes, [(width, height), *sizes[:-1]], on_progress)
        for size in sizes[:-1]:
            planes = [self._between(plane, size, work) for plane in planes]
        result = np.empty((target[1], target[0], picture.shape[2]), picture.dtype)
        self._finish(planes, result, work, on_rows)
        return result

    def _between(self, plane: Pixels, size: Size, work: _Work) -> Pixels:
        """The plane after a run that is not the last: of that size, in float32 so that nothing is rounded."""
        result = np.empty((size[1], size[0], plane.shape[2]), np.float32)
        for _ in self._fill(result, plane, work):
            pass
        return result

    def _finish(self, planes: list[Pixels], result: Pixels, work: _Work, on_rows: OnRows) -> None:
        """Fill `result` with the planes' last run, whichever is behind first, and hand on finished rows."""
        firsts = [0, planes[0].shape[2]]
        views = [result[..., first:][..., : p.shape[2]] for first, p in zip(firsts, planes, strict=False)]
        fills = [self._fill(view, plane, work) for view, plane in zip(views, planes, strict=True)]
        done = [0] * len(planes)
        while (ready := min(done)) < len(result):
            behind = done.index(ready)
            done[behind] = next(fills[behind])
            if min(done) > ready:
                on_rows(ready, result[ready : min(done)])
        for fill in fills:
            next(fill, None)  # lets it report its last work

    def _fill(self, result: Pixels, plane: Pixels, work: _Work) -> Iterator[int]:
        """Fill `result` with the enlarged plane from the top down; yields how many rows are final."""
        height, width = plane.shape[:2]
        if constant(plane):
            result[...] = plane.flat[0] * (full_scale(result) / full_scale(plane))
            work.advance(height * width)
            yield len(result)
            return
        bands = self._runner.rows(Source(plane, self.device), work.advance)
        enlarged = (width * self.scale, height * self.scale)
        done = 0
        for band in resized(bands, enlarged, (result.shape[1], result.shape[0])):
            _store(band, result[done : done + len(band)])
            done += len(band)
            yield done


class _Work:
    """How much of a picture's work is done, counted in input pixels of every plane and run."""

    def __init__(self, planes: list[Pixels], sizes: list[Size], on_progress: OnProgress):
        self.total = len(planes) * sum(width * height for width, height in sizes)
        self.done = 0.0
        self.on_progress = on_progress

    def advance(self, pixels: float) -> None:
        self.done += pixels
        self.on_progress(min(1.0, self.done / self.total))


def _store(band: Tensor, rows: Pixels) -> None:
    """Round a band (h, W, C) in 0..1 into rows of the result."""
    white = full_scale(rows)
    half = 0.5 if rows.dtype.kind == "u" else 0.0  # the cast cuts off what this rounds up
    levels = band.mul(white).add_(half).clamp_(0, white)
    np.copyto(rows, levels.cpu().numpy(), casting="unsafe")


def _ignore(*arguments: object) -> None:
    """Nobody wants to know."""


def _checked(pixels: Pixels) -> Pixels:
    if pixels.dtype not in (np.uint8, np.uint16):
        raise InvalidParameter(f"Pixels have to be uint8 or uint16, not {pixels.dtype}.")
    channels = pixels.shape[2] if pixels.ndim == 3 else 1
    if pixels.ndim not in (2, 3) or channels not in (1, 2, 3, 4) or pixels.size == 0:
        raise InvalidParameter(f"Pixels have to be (H, W) or (H, W, 1 to 4), not {pixels.shape}.")
    return pixels


def _chosen_device(wish: str) -> torch.device:
    if wish == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(wish)
    except RuntimeError as error:
        raise InvalidParameter(f"DEVICE is {wish!r}; it has to be auto, cpu or cuda.") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise InvalidParameter(f"DEVICE is {wish!r}, but there is no CUDA device here.")
    return device
