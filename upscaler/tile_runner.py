"""RRDBNet over a picture of any size, in tiles that read beyond their edges.

The network sees hundreds of pixels far, too far to carry it all. What lies beyond `CONTEXT` px hardly
moves the result: docs/performance.md gives the measured difference, test_seams.py holds it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from copy import deepcopy

import torch
import torch.nn.functional as F
from torch import Tensor

from upscaler.architectures import RRDBNet
from upscaler.memory import free_bytes, is_out_of_memory
from upscaler.pixels import LUMA
from upscaler.precision import overflowed
from upscaler.source import Source
from upscaler.tiling import Span, Tile, spans
from utils.errors import OutOfMemory

# Lengths in px of the network's trunk, which is as large as the input, or smaller by `unshuffle`.
CONTEXT = 32
# Without its context. On a processor, by measurement. On an accelerator as large as its memory takes: one large tile
# fills it as well as a batch of small ones does, and computes less context.
TILE = {"cpu": 192}
SMALLEST_TILE = 16
LARGEST_TILE = 1536  # here context is a twelfth of the work
FREE_SHARE = 0.5  # of an accelerator's free memory that a tile may want; the rest is for bands on their way
MAPS = 48  # feature maps of the trunk's size that are wanted at most at once, enlarged ones included


class TileRunner:
    """An RRDBNet on one device."""

    def __init__(self, network: RRDBNet, device: torch.device):
        self.scale = network.scale
        self.features = network.conv_first.out_channels
        self.unshuffle = network.unshuffle
        self.device = device
        self._network = network
        self._placed: dict[torch.dtype, RRDBNet] = {}

    def rows(
        self,
        source: Source,
        dtype: torch.dtype,
        on_advance: Callable[[float], None],
        side: int | None = None,
    ) -> Iterator[Tensor]:
        """Bands (h, W * scale, C) of the enlarged picture, float32, not clamped, from the top down.

        Args:
            dtype: of the network's numbers. float16 gives way to bfloat16 where they grow too large for it.
            on_advance: called after every tile with the input pixels it covers.
            side: of a tile, in px of the trunk, instead of what suits the device.

        Raises:
            OutOfMemory: not even the smallest tile fits.
        """
        side = (side or self._side(dtype)) * self.unshuffle
        top = 0
        while top < source.height:
            rows = spans(Span(top, source.height), side)[0]
            size = (rows.length * self.scale, source.width * self.scale, source.channels)
            band = torch.empty(size, device=self.device)
            for columns in spans(Span(0, source.width), side):
                fitted = self._fill(band, top, source, Tile(rows, columns), dtype, on_advance)
                side = min(side, fitted)
            top = rows.stop
            yield band

    def _side(self, dtype: torch.dtype) -> int:
        """Of a tile on this device, in px of the trunk."""
        if self.device.type in TILE:
            return TILE[self.device.type]
        return side_that_fits(int(free_bytes(self.device) * FREE_SHARE), self._pixel_bytes(dtype))

    def _fill(
        self,
        band: Tensor,
        top: int,
        source: Source,
        tile: Tile,
        dtype: torch.dtype,
        on_advance: Callable[[float], None],
    ) -> int:
        """Draw one tile into the band that begins at input row `top`, in halves where it does not fit.

        Returns the side of the largest tile that did.
        """
        enlarged = self._attempt(source, tile, dtype)
        if enlarged is None:
            return min(self._fill(band, top, source, half, dtype, on_advance) for half in tile.halves())
        rows, columns = (span.times(self.scale) for span in tile)
        first = top * self.scale
        band[rows.start - first : rows.stop - first, columns.start : columns.stop] = enlarged
        on_advance(tile.area)
        return max(tile.rows.length, tile.columns.length)

    def _attempt(self, source: Source, tile: Tile, dtype: torch.dtype) -> Tensor | None:
        """The enlarged tile, or None where it does not fit into memory and could be smaller."""
        context = CONTEXT * self.unshuffle
        window = Tile(
            tile.rows.widened(context, source.height, self.unshuffle),
            tile.columns.widened(context, source.width, self.unshuffle),
        )
        try:
            enlarged = self._enlarged(source, tile, window, dtype)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error, self._working_set(window, dtype)):
                raise
            if max(tile.rows.length, tile.columns.length) <= SMALLEST_TILE * self.unshuffle:
                raise OutOfMemory("Not even the smallest tile fits into memory. Use a smaller model.") from error
            return None
        return self._attempt(source, tile, torch.bfloat16) if overflowed(enlarged, dtype) else enlarged

    def _enlarged(self, source: Source, tile: Tile, window: Tile, dtype: torch.dtype) -> Tensor:
        """(h * scale, w * scale, C) float32."""
        x = source.window(window.rows, window.columns)
        channels, height, width = x.shape[1:]
        missing = (0, -width % self.unshuffle, 0, -height % self.unshuffle)
        x = F.pad(x.expand(-1, 3, -1, -1), missing, mode="replicate")
        y = self._network_in(dtype)(x.to(dtype).contiguous(memory_format=torch.channels_last))
        rows, columns = (
            span.times(self.scale).within(whole.times(self.scale)) for span, whole in zip(tile, window, strict=True)
        )
        core = y[0, :, rows, columns].float().permute(1, 2, 0)
        return core if channels == 3 else (core @ core.new_tensor(LUMA))[..., None]

    def _working_set(self, window: Tile, dtype: torch.dtype) -> int:
        """Bytes that a tile wants at most, for whether it was their lack that stopped it."""
        return window.area // self.unshuffle**2 * self._pixel_bytes(dtype)

    def _pixel_bytes(self, dtype: torch.dtype) -> int:
        """Wanted at most for a pixel of the trunk."""
        return self.features * MAPS * dtype.itemsize

    def _network_in(self, dtype: torch.dtype) -> RRDBNet:
        if dtype not in self._placed:
            placed = deepcopy(self._network).to(self.device, dtype)
            self._placed[dtype] = placed.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return self._placed[dtype]


def side_that_fits(room: int, pixel_bytes: int) -> int:
    """The side in px of the largest tile that with its context wants at most `room` bytes, within what is sensible."""
    return min(LARGEST_TILE, max(SMALLEST_TILE, math.isqrt(room // pixel_bytes) - 2 * CONTEXT))
