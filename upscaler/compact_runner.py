"""SRVGGNetCompact over a picture of any size, in bands of full-width rows.

Every layer keeps the last two rows of its input, which is all that a 3x3 convolution needs of the past.
So each activation is computed exactly once, whatever the height of a band: no overlap, no seams, and
memory that does not grow with the picture's height. Since `convolution` rounds the same way at every
size, a result in bands equals one in a single piece bit for bit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from upscaler.architectures import SRVGGNetCompact
from upscaler.convolution import convolve
from upscaler.memory import is_out_of_memory
from upscaler.pixels import LUMA
from upscaler.precision import overflowed
from upscaler.source import Source
from upscaler.tiling import Span
from utils.errors import OutOfMemory

# Of one feature map in a band. On a processor, few enough to stay in its caches, and enough to be worth the start
# of its threads: by measurement, see docs/performance.md. An accelerator wants more work for every launch.
BAND_BYTES = {"cpu": 64 << 10, "cuda": 4 << 20}
SMALL_PICTURE = 1 << 18  # px; up to here bands are twice as high, for memory is no matter and starts of threads are
BAND_ROWS = 8  # at least: with fewer, the rows held between bands weigh
# Of the input, enlarged and handed on at a time: as float32 they stay in a core's cache.
ENLARGED_PIXELS = {"cpu": 8192, "cuda": 2 << 20}

HELD = 2  # rows of its input that a 3x3 convolution needs again
WORKING_SET = 16  # so many times a band's activations are wanted at most, enlarged rows included


@dataclass(frozen=True)
class Layer:
    """A 3x3 convolution and, but for the last one, the PReLU behind it."""

    weight: Tensor  # (O, I, 3, 3)
    bias: Tensor  # (O)
    slope: Tensor | None = None  # (O)

    def __call__(self, x: Tensor) -> Tensor:
        """(1, I, h + 2, W) -> (1, O, h, W): columns are padded with zeros, rows are not."""
        if x.shape[2] <= HELD:
            return x.new_empty(1, len(self.bias), 0, x.shape[3])
        x = convolve(x, self.weight, self.bias, (0, 1))
        return x if self.slope is None else F.prelu(x, self.slope)

    def to(self, device: torch.device, dtype: torch.dtype) -> Layer:
        weight = self.weight.to(device, dtype).to(memory_format=torch.channels_last)
        slope = None if self.slope is None else self.slope.to(device, dtype)
        return Layer(weight, self.bias.to(device, dtype), slope)


class CompactRunner:
    """An SRVGGNetCompact on one device."""

    def __init__(self, network: SRVGGNetCompact, device: torch.device):
        self.scale = network.scale
        self.device = device
        self._colour_layers = _layers(network)
        self._grey_layers = [*self._colour_layers[:-1], _grey_end(self._colour_layers[-1], network.scale)]

    @property
    def features(self) -> int:
        """Channels between the layers."""
        return len(self._colour_layers[0].bias)

    def rows(
        self,
        source: Source,
        dtype: torch.dtype,
        on_advance: Callable[[float], None],
        band_rows: int | None = None,
    ) -> Iterator[Tensor]:
        """Bands (h, W * scale, C) of the enlarged picture, float32, not clamped, from the top down.

        Args:
            dtype: of the network's numbers. float16 gives way to bfloat16 where they grow too large for it.
            on_advance: called after every band with the input pixels' worth of work just done.
            band_rows: input rows a band, instead of what suits the device.

        Raises:
            OutOfMemory: not even one row at a time fits.
        """
        stream = self._stream(source, dtype, 0)
        area, end = source.height * source.width, source.height + stream.depth
        most = band_rows or _rows_a_band(source, self.device, dtype)
        at_a_time = _rows_of(ENLARGED_PIXELS[self.device.type], source)
        done, reported = 0, 0.0
        while done < source.height:
            left = end - stream.position
            count = -(-left // -(-left // most))  # evened out, at most `most`
            try:
                residual = stream.advance(count)
                if overflowed(residual, stream.dtype):
                    stream = self._stream(source, torch.bfloat16, done)
                    continue
                for start in range(0, residual.shape[2], at_a_time):
                    part = residual[:, :, start : start + at_a_time]
                    band = self._enlarged(part, source, done)
                    done += part.shape[2]
                    yield band
                    del band, part  # here and below: what comes wants its room
                del residual
            except (MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error, WORKING_SET * count * source.width * self.features * dtype.itemsize):
                    raise
                if count == 1:
                    raise OutOfMemory(_too_wide(source.width)) from error
                most = count // 2
                stream = self._stream(source, stream.dtype, done)
                continue
            share = max(reported, stream.position / end)
            on_advance((share - reported) * area)
            reported = share

    def _stream(self, source: Source, dtype: torch.dtype, first: int) -> _RowStream:
        """A stream that gives the enlarged rows from input row `first` on."""
        layers = self._grey_layers if source.channels == 1 else self._colour_layers
        return _RowStream([layer.to(self.device, dtype) for layer in layers], source, first)

    def _enlarged(self, residual: Tensor, source: Source, first: int) -> Tensor:
        """What the network adds, (1, s * s * C, h, W), on the nearest-neighbour enlargement of the source.

        Adding in float32 keeps the source's own depth whatever the network's precision.
        """
        scale, channels = self.scale, source.channels
        height, width = residual.shape[2:]
        base = source.window(Span(first, first + height))[0].permute(1, 2, 0)
        base = base.repeat(1, 1, scale).view(height, 1, width, scale * channels)
        residual = residual[0].permute(1, 2, 0).view(height, width, scale, scale * channels).transpose(1, 2)
        band = torch.empty(residual.shape, device=self.device)  # (h, s, W, s * C)
        torch.add(residual, base, out=band)
        return band.view(height * scale, width * scale, channels)


class _RowStream:
    """The network's layers, each as far as the rows fed so far allow.

    Layer number d (from 1) is d rows behind what was fed. At the top and bottom, one row of zeros stands
    for what lies outside the picture, for every layer anew, as padding would. `position` counts on below
    the picture's last row until the last layer has caught up, `depth` rows later.
    """

    def __init__(self, layers: list[Layer], source: Source, first: int):
        """
        Args:
            first: the row that the last layer gives first. To begin below the top, rows above it are fed
                too, as many as it sees; what the layers make of those is not complete, and dropped.
        """
        self.layers = layers
        self.source = source
        self.dtype = layers[0].weight.dtype
        self.depth = len(layers)
        self.position = top = max(0, first - self.depth)
        self._drop = first - top
        self._made = [top] * self.depth  # rows so far, of every layer
        # Room that is made once: for what is held, and for every layer's input, one after another. Tensors of
        # other sizes and lifetimes between those that come and go would scatter the heap to twice its size.
        self._room = [self._rows_of(layer, HELD) for layer in layers]
        self._held = [room[:, :, :1].zero_() for room in self._room]
        self._input_room = torch.empty(0)

    def _rows_of(self, layer: Layer, count: int) -> Tensor:
        """Room for rows of the layer's input: (1, C, count, W)."""
        shape = (1, layer.weight.shape[1], count, self.source.width)
        device = self.source.device
        return torch.empty(shape, dtype=self.dtype, device=device, memory_format=torch.channels_last)

    def advance(self, count: int) -> Tensor:
        """Feed `count` more rows; the last layer's new rows, none at first. After a failure, of no more use."""
        height = self.source.height
        fed = self.position + count
        rows = self._input(Span(min(self.position, height), min(fed, height)))
        for index, layer in enumerate(self.layers):
            closing = self._made[index] < height < fed - index
            below = self._rows_of(layer, int(closing)).zero_()
            window = self._stacked([self._held[index], rows, below])
            del rows  # what comes wants its room
            last = window[:, :, -HELD:]
            self._held[index] = self._room[index][:, :, : last.shape[2]].copy_(last)
            rows = layer(window)
            self._made[index] += rows.shape[2]
        self.position = fed
        dropped = min(self._drop, rows.shape[2])
        self._drop -= dropped
        return rows[:, :, dropped:]

    def _stacked(self, parts: list[Tensor]) -> Tensor:
        """Rows (1, C, h, W) one under another, in the room that the next such call uses again."""
        channels, counts = parts[0].shape[1], [part.shape[2] for part in parts]
        shape = (1, sum(counts), self.source.width, channels)
        size = math.prod(shape)
        if self._input_room.numel() < size:
            self._input_room = torch.empty(size, dtype=self.dtype, device=self.source.device)
        stack = self._input_room[:size].view(shape).permute(0, 3, 1, 2)
        for part, place in zip(parts, stack.split(counts, dim=2), strict=True):
            place.copy_(part)
        return stack

    def _input(self, rows: Span) -> Tensor:
        """(1, C, h, W); grey stands in all of the network's channels."""
        x = self.source.window(rows).to(self.dtype)
        x = x.expand(-1, self.layers[0].weight.shape[1], -1, -1)
        return x.contiguous(memory_format=torch.channels_last)


def _layers(network: SRVGGNetCompact) -> list[Layer]:
    """The network's layers in float32, the last one's channels reordered: sub-pixels first, then colours.

    So its output lies in memory as the enlarged picture does, and the pixel shuffle is one strided copy.
    """
    parts = [(m.weight, m.bias) for m in network.body if isinstance(m, nn.Conv2d)]
    slopes = [m.weight for m in network.body if isinstance(m, nn.PReLU)]
    *body, (weight, bias) = [(weight.detach(), bias.detach()) for weight, bias in parts if bias is not None]
    layers = [Layer(*pair, slope.detach()) for pair, slope in zip(body, slopes, strict=True)]
    sub_pixels = network.scale**2
    weight, bias = (p.unflatten(0, (-1, sub_pixels)).transpose(0, 1).flatten(0, 1) for p in (weight, bias))
    return [*layers, Layer(weight, bias)]


def _grey_end(end: Layer, scale: int) -> Layer:
    """The last layer with the brightness of its colours as its only output, by linearity."""
    weight, bias = (p.unflatten(0, (scale**2, -1)) for p in (end.weight, end.bias))
    luma = weight.new_tensor(LUMA)
    return Layer(torch.einsum("pc...,c->p...", weight, luma), bias @ luma)


def _rows_a_band(source: Source, device: torch.device, dtype: torch.dtype) -> int:
    pixels = BAND_BYTES[device.type] // dtype.itemsize
    if source.height * source.width <= SMALL_PICTURE:
        pixels *= 2
    return max(BAND_ROWS, _rows_of(pixels, source))


def _rows_of(pixels: int, source: Source) -> int:
    """As many rows as have that many pixels, but at least one."""
    return max(1, pixels // source.width)


def _too_wide(width: int) -> str:
    return f"Not even one row of {width} pixels fits into memory. Send a smaller picture or use a smaller model."
