"""Antialiased bicubic resizing of a picture that arrives in bands of rows.

The kernel is Keys' cubic with a = -0.5, widened when shrinking, as in Pillow and in torch's
antialiased interpolation. Nothing is rounded here.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from upscaler.sizes import Size

KERNEL_RADIUS = 2.0
A = -0.5


def resized(bands: Iterator[Tensor], source: Size, target: Size) -> Iterator[Tensor]:
    """Bands (h, W, C) of a picture of size `source` -> bands (h', W', C) of size `target`, in order.

    An output row leaves as soon as the last input row it needs has come. What the network shoots beyond
    0..1 is cut off first, as it would be in a picture of its own size.
    """
    if source == target:
        yield from bands
        return
    taps = _RowTaps(source[1], target[1])
    held = torch.empty(0)
    held_from = done = arrived = 0
    for band in bands:
        wide = _resized_across(band.clamp(0, 1), target[0])
        arrived += len(wide)
        held = torch.cat((held, wide)) if len(held) else wide
        ready = taps.ready(arrived)
        if ready > done:
            yield taps.weighted(held, held_from, done, ready)
            done = ready
            keep_from = taps.first_needed(done)
            held = held[keep_from - held_from :].clone()
            held_from = keep_from


def _resized_across(band: Tensor, width: int) -> Tensor:
    """(h, W, C) -> (h, width, C)."""
    if band.shape[1] == width:
        return band
    picture = band.permute(2, 0, 1)[None]
    wide = F.interpolate(picture, (len(band), width), mode="bicubic", antialias=True, align_corners=False)
    return wide[0].permute(1, 2, 0)


class _RowTaps:
    """Which input rows, with which weights, make each output row."""

    def __init__(self, source: int, target: int):
        self.source = source
        ratio = source / target
        stretch = max(ratio, 1.0)  # the kernel widens only when shrinking
        self.centres = (np.arange(target) + 0.5) * ratio
        radius = KERNEL_RADIUS * stretch
        self.starts = np.maximum(np.floor(self.centres - radius + 0.5), 0).astype(np.int64)
        self.stops = np.minimum(np.floor(self.centres + radius + 0.5), source).astype(np.int64)
        self.stretch = stretch

    def ready(self, arrived: int) -> int:
        """How many output rows can be made of the first `arrived` input rows."""
        return int(np.searchsorted(self.stops, arrived, side="right"))

    def first_needed(self, row: int) -> int:
        """The first input row that output rows from `row` on still need."""
        return int(self.starts[row]) if row < len(self.starts) else self.source

    def weighted(self, rows: Tensor, first: int, start: int, stop: int) -> Tensor:
        """Output rows `start` to `stop` - 1 of input rows (h, W, C), the first of which is row `first`."""
        positions = np.arange(first, first + len(rows)) + 0.5
        distances = (positions[None] - self.centres[start:stop, None]) / self.stretch
        inside = (positions >= self.starts[start:stop, None]) & (positions < self.stops[start:stop, None])
        weights = np.where(inside, _cubic(distances), 0.0)
        weights /= weights.sum(axis=1, keepdims=True)
        mixed = torch.from_numpy(weights).float().to(rows.device) @ rows.reshape(len(rows), -1)
        return mixed.view(stop - start, *rows.shape[1:])


def _cubic(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Keys 1981, "Cubic convolution interpolation for digital image processing", eq. 15 with a = -0.5."""
    x = np.abs(x)
    near = ((A + 2) * x - (A + 3)) * x * x + 1
    far = ((A * x - 5 * A) * x + 8 * A) * x - 4 * A
    return np.where(x < 1, near, np.where(x < 2, far, 0.0))
