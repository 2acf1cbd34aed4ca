"""RRDBNet over a picture of any size, in tiles that read beyond their edges.

The network sees hundreds of pixels far, too far to carry it all. What lies beyond `CONTEXT` px hardly
moves the result: docs/performance.md gives the measured difference, test_seams.py holds it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from upscaler.architectures import RRDBNet
from upscaler.compact_runner import LUMA
from upscaler.memory import is_out_of_memory
from upscaler.source import Source
from upscaler.tiling import Span, Tile, spans
from utils.errors import OutOfMemory

CONTEXT = 32  # px of the input
TILE = 192  # px of the input
SMALLEST_TILE = 16
MAPS = 32  # as many feature maps at the input's size are alive at once, counting the enlarged ones


class TileRunner:
    """An RRDBNet on one device in one precision."""

    def __init__(self, network: RRDBNet, device: torch.device, dtype: torch.dtype):
        self.scale = network.scale
        self.dtype = dtype
        self.network = network.to(device, dtype).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.features = network.conv_first.out_channels

    def rows(self, source: Source, on_advance: Callable[[float], None], side: int = TILE) -> Iterator[Tensor]:
        """Bands (h, W * scale, C) of the enlarged picture, float32, not clamped, from the top down.

        Args:
            on_advance: called after every tile with the input pixels it covers.
            side: of a tile, in input pixels, without its context.

        Raises:
            OutOfMemory: not even the smallest tile fits.
        """
        top = 0
        while top < source.height:
            rows = spans(Span(top, source.height), side)[0]
            band = torch.empty(rows.length * self.scale, source.width * self.scale, source.channels)
            for columns in spans(Span(0, source.width), side):
                fitted = self._fill(band, top, source, Tile(rows, columns), on_advance)
                side = min(side, fitted)
            top = rows.stop
            yield band

    def _fill(self, band: Tensor, top: int, source: Source, tile: Tile, on_advance: Callable[[float], None]) -> int:
        """Draw one tile into the band that begins at input row `top`, in halves where it does not fit.

        Returns the side of the largest tile that did.
        """
        enlarged = self._attempt(source, tile)
        if enlarged is None:
            return min(self._fill(band, top, source, half, on_advance) for half in tile.halves())
        rows = tile.rows.times(self.scale).within(Span(top, top).times(self.scale))
        columns = tile.columns.times(self.scale)
        band[rows, columns.start : columns.stop] = enlarged
        on_advance(tile.area)
        return max(tile.rows.length, tile.columns.length)

    def _attempt(self, source: Source, tile: Tile) -> Tensor | None:
        """The enlarged tile, or None where it does not fit into memory and could be smaller."""
        window = self._window(source, tile)
        try:
            return self._enlarged(source, tile, window)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error, window.area * self.features * MAPS * self.dtype.itemsize):
                raise
            if max(tile.rows.length, tile.columns.length) <= SMALLEST_TILE:
                raise OutOfMemory("Not even the smallest tile fits into memory. Use a smaller model.") from error
            return None

    def _window(self, source: Source, tile: Tile) -> Tile:
        multiple = self.network.unshuffle
        return Tile(
            tile.rows.widened(CONTEXT, source.height, multiple),
            tile.columns.widened(CONTEXT, source.width, multiple),
        )

    def _enlarged(self, source: Source, tile: Tile, window: Tile) -> Tensor:
        """(h * scale, w * scale, C) float32."""
        x = source.window(window.rows, window.columns)
        channels, height, width = x.shape[1:]
        multiple = self.network.unshuffle
        x = F.pad(x.expand(-1, 3, -1, -1), (0, -width % multiple, 0, -height % multiple), mode="replicate")
        y = self.network(x.to(self.dtype).contiguous(memory_format=torch.channels_last))
        rows, columns = (
            span.times(self.scale).within(whole.times(self.scale)) for span, whole in zip(tile, window, strict=True)
        )
        core = y[0, :, rows, columns].float().permute(1, 2, 0)
        return core if channels == 3 else (core @ core.new_tensor(LUMA))[..., None]
