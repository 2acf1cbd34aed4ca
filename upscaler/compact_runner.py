"""SRVGGNetCompact over a picture of any size, in bands of full-width rows.

Every layer keeps the last two rows of its input, which is all that a 3x3 convolution needs of the past.
So each activation is computed exactly once, whatever the height of a band: no overlap, no seams, and
memory that does not grow with the picture's height. Since `convolution` rounds the same way at every
size, a result in bands equals one in a single piece bit for bit.
"""

from __future__ import annotations

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

# One layer's activations in a band. On a processor they stay in its caches (2 to 8 MiB are equally fast on
# a Zen 5 with 1 MiB of second-level cache a core); an accelerator wants enough work for every launch.
BAND_BYTES = {"cpu": 4 << 20, "cuda": 256 << 20}

WORKING_SET = 16  # so many times a band's activations are wanted at most, enlarged rows included


@dataclass(frozen=True)
class Layer:
    """A 3x3 convolution and, but for the last one, the PReLU behind it."""

    weight: Tensor  # (O, I, 3, 3)
    bias: Tensor  # (O)
    slope: Tensor | None = None  # (O)

    def __call__(self, x: Tensor) -> Tensor:
        """(1, I, h + 2, W) -> (1, O, h, W): columns are padded with zeros, rows are not."""
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
        stream = self._stream(source, dtype)
        bytes_a_row = source.width * self.features * dtype.itemsize
        most = band_rows or max(1, BAND_BYTES[self.device.type] // bytes_a_row)
        done = 0
        while stream.fed < stream.total:
            left = stream.total - stream.fed
            count = -(-left // -(-left // most))  # evened out, at most `most`
            try:
                residual = stream.advance(count)
                band = None if residual is None else self._enlarged(residual, source, done)
            except (MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error, WORKING_SET * count * bytes_a_row):
                    raise
                if count == 1:
                    raise OutOfMemory(_too_wide(source.width)) from error
                most = count // 2
                continue
            if band is not None and overflowed(band, stream.dtype):
                stream = self._stream(source, torch.bfloat16, stream)
                continue
            stream.commit()
            if band is not None:
                done += len(band) // self.scale
                yield band
            on_advance(source.height * source.width * count / stream.total)

    def _stream(self, source: Source, dtype: torch.dtype, before: _RowStream | None = None) -> _RowStream:
        """A stream of the source's rows from the top, or from where another one stands."""
        layers = self._grey_layers if source.channels == 1 else self._colour_layers
        return _RowStream([layer.to(self.device, dtype) for layer in layers], source, before)

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
    for what lies outside the picture, for every layer anew, as padding would. `fed` counts on below
    the picture's last row, up to `total`, where the last layer has caught up.
    """

    def __init__(self, layers: list[Layer], source: Source, before: _RowStream | None = None):
        """
        Args:
            before: a stream of the same source, to go on from where it stands, in these layers' precision.
        """
        self.layers = layers
        self.source = source
        self.dtype = layers[0].weight.dtype
        self.total = source.height + len(layers)
        self.fed: int = before.fed if before else 0
        self.made: list[int] = before.made if before else [0] * len(layers)
        held = before.held if before else [self._outside(layer) for layer in layers]
        self.held: list[Tensor] = [rows.to(self.dtype) for rows in held]
        self._next = (self.fed, self.made, self.held)

    def _outside(self, layer: Layer) -> Tensor:
        shape = (1, layer.weight.shape[1], 1, self.source.width)
        zeros = torch.zeros(shape, dtype=self.dtype, device=self.source.device)
        return zeros.to(memory_format=torch.channels_last)

    def advance(self, count: int) -> Tensor | None:
        """Feed `count` more rows; the last layer's new rows, if any. Takes effect with `commit`."""
        height = self.source.height
        fed = self.fed + count
        rows = self._input(Span(min(self.fed, height), min(fed, height)))
        made, held = [], []
        for depth, (layer, before, kept) in enumerate(zip(self.layers, self.made, self.held, strict=True), 1):
            window = kept if rows is None else torch.cat((kept, rows), dim=2)
            if before < height <= fed - depth:
                window = torch.cat((window, self._outside(layer)), dim=2)
            rows = layer(window) if window.shape[2] > 2 else None
            made.append(before + (0 if rows is None else rows.shape[2]))
            held.append(window[:, :, -2:].clone(memory_format=torch.channels_last))
        self._next = (fed, made, held)
        return rows

    def commit(self) -> None:
        """Keep the state that `advance` left; without this, the same rows can be fed again."""
        self.fed, self.made, self.held = self._next

    def _input(self, rows: Span) -> Tensor | None:
        """(1, C, h, W); grey stands in all of the network's channels."""
        if not rows.length:
            return None
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


def _too_wide(width: int) -> str:
    return f"Not even one row of {width} pixels fits into memory. Send a smaller picture or use a smaller model."
