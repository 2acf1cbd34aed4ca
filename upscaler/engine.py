"""Pixels in, more pixels out: one model on one device.

engine = Engine.of_model(find_model("fast", models_dir), models_dir)
large = engine.upscale(pixels, scale=3)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch

from upscaler.architectures import Network, SRVGGNetCompact
from upscaler.catalog import ModelInfo
from upscaler.compact_runner import CompactRunner
from upscaler.delivery import deliver
from upscaler.device import choose_device
from upscaler.memory import is_out_of_memory, keep_freed_memory
from upscaler.pixels import Pixels, is_constant, split
from upscaler.precision import choose_precision, precision_for
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
            precision: `auto`, `float32`, `bfloat16` or `float16`; see `choose_precision`.

        Raises:
            InvalidParameter: a device that is not there, or a precision that does not exist.
        """
        keep_freed_memory()
        self.scale = network.scale
        self.network_bytes = sum(parameter.nbytes for parameter in network.parameters())
        self.device = choose_device(device)
        runner = CompactRunner if isinstance(network, SRVGGNetCompact) else TileRunner
        self._runner: CompactRunner | TileRunner = runner(network, self.device)  # type: ignore[arg-type]
        self._precision = precision
        self.dtype = choose_precision(precision, self.device, self._runner.features)

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

    @torch.inference_mode()
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
            on_rows: called with the number of the first row and finished rows (h, W', C), from the top
                down, while the rows below are still to be computed.

        Returns:
            An array of the same type, channels and dimensions.

        Raises:
            OutOfMemory: not even the smallest tile fits, or not the result.
            InvalidParameter: pixels or a scale that cannot be.
        """
        height, width = _checked(pixels).shape[:2]
        target = size or output_size(width, height, self.scale, scale)
        picture = pixels.reshape(height, width, -1)
        dtype = precision_for(picture.dtype.itemsize * 8, self._precision, self.dtype)
        enlargement = _Enlargement(self._runner, dtype, on_progress or _ignore, on_rows or _ignore)
        try:
            result = enlargement.of(picture, target)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error, target[0] * target[1] * picture.shape[2] * picture.itemsize):
                raise
            raise OutOfMemory(
                f"A result of {target[0]}x{target[1]} pixels does not fit into memory. Ask for a smaller one."
            ) from error
        return result.reshape(target[1], target[0], *pixels.shape[2:])


class _Enlargement:
    """One picture on its way: in planes, in as many runs of the network as its size takes."""

    def __init__(
        self,
        runner: CompactRunner | TileRunner,
        dtype: torch.dtype,
        on_progress: OnProgress,
        on_rows: OnRows,
    ):
        self.runner = runner
        self.dtype = dtype
        self.on_progress = on_progress
        self.on_rows = on_rows
        self.work = 1.0  # all there is, in input pixels of every plane and run
        self.done = 0.0

    def of(self, picture: Pixels, target: Size) -> Pixels:
        """(H, W, C) -> (H', W', C)."""
        source = (picture.shape[1], picture.shape[0])
        result = np.empty((target[1], target[0], picture.shape[2]), picture.dtype)
        planes = list(split(picture))
        if len(planes) == 2 and is_constant(planes[1]):
            result[..., -1] = planes.pop().flat[0]  # no network need look at it
        sizes = pass_sizes(source, target, self.runner.scale)
        self.work = float(len(planes) * sum(width * height for width, height in [source, *sizes[:-1]]))
        for size in sizes[:-1]:
            planes = [self._between(plane, size) for plane in planes]
        self._finish(planes, result)
        return result

    def _between(self, plane: Pixels, size: Size) -> Pixels:
        """The plane after a run that is not the last: of that size, in float32 so that nothing is rounded."""
        result = np.empty((size[1], size[0], plane.shape[2]), np.float32)
        for _ in self._fill(result, plane):
            pass
        return result

    def _finish(self, planes: list[Pixels], result: Pixels) -> None:
        """Fill `result` from the planes' last run, whichever is behind first, and hand on finished rows."""
        views = np.split(result, [planes[0].shape[2]], axis=2)
        fills = [self._fill(view, plane) for view, plane in zip(views, planes, strict=False)]
        done = [0] * len(planes)
        while (ready := min(done)) < len(result):
            behind = done.index(ready)
            done[behind] = next(fills[behind])
            if min(done) > ready:
                self.on_rows(ready, result[ready : min(done)])
        for fill in fills:
            next(fill, None)  # lets it report its last work

    def _fill(self, result: Pixels, plane: Pixels) -> Iterator[int]:
        """Fill `result` with the enlarged plane from the top down; yields how many rows are final."""
        height, width = plane.shape[:2]
        bands = self.runner.rows(Source(plane, self.runner.device), self.dtype, self._advance)
        enlarged = (width * self.runner.scale, height * self.runner.scale)
        target = (result.shape[1], result.shape[0])
        yield from deliver(resized(bands, enlarged, target), result, self.runner.device)

    def _advance(self, pixels: float) -> None:
        self.done += pixels
        self.on_progress(min(1.0, self.done / self.work))


def _ignore(*arguments: object) -> None:
    """Nobody wants to know."""


def _checked(pixels: Pixels) -> Pixels:
    if pixels.dtype not in (np.uint8, np.uint16):
        raise InvalidParameter(f"Pixels have to be uint8 or uint16, not {pixels.dtype}.")
    channels = pixels.shape[2] if pixels.ndim == 3 else 1
    if pixels.ndim not in (2, 3) or channels not in (1, 2, 3, 4) or pixels.size == 0:
        raise InvalidParameter(f"Pixels have to be (H, W) or (H, W, 1 to 4), not {pixels.shape}.")
    return pixels
