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
from upscaler.source import Source
from upscaler.tiling import Span
from utils.errors import OutOfMemory

BAND_BYTES = 4 << 20  # of one layer's activations in a band: they stay in the last-level cache
LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601


@dataclass(frozen=True)
class Layer:
    """A 3x3 convolution and, but for the last one, the PReLU behind it."""

    weight: Tensor  # (O, I, 3, 3)
    bias: Tensor  # (O)
    slope: Tensor | None  # (O)

    def __call__(self, x: Tensor) -> Tensor:
        """(1, I, h + 2, W) -> (1, O, h, W): rows get no padding, columns do."""
        x = convolve(x, self.weight, self.bias, (0, 1))
        return x if self.slope is None else F.prelu(x, self.slope)


class CompactRunner:
    """An SRVGGNetCompact on one device in one precision."""

    def __init__(self, network: SRVGGNetCompact, device: torch.device, dtype: torch.dtype):
        self.scale = network.scale
        self.device = device
        self.dtype = dtype
        convolutions = [module for module in network.body if isinstance(module, nn.Conv2d)]
        slopes = [module.weight for module in network.body if isinstance(module, nn.PReLU)]
        self.features = convolutions[0].out_channels
        *body, end = [(module.weight, _bias(module)) for module in convolutions]
        self._body = [self._layer(*pair, slope) for pair, slope in zip(body, slopes, strict=True)]
        weight, bias = map(self._by_position, end)
        self._colour_end = self._layer(weight.flatten(0, 1), bias.flatten())
        luma = torch.tensor(LUMA, device=weight.device)
        self._grey_end = self._layer(torch.einsum("pcfyx,c->pfyx", weight, luma), bias @ luma)

    def _by_position(self, parameter: Tensor) -> Tensor:
        """(C * s * s, ...) of the last convolution -> (s * s, C, ...): sub-pixels first, then colours."""
        return parameter.unflatten(0, (-1, self.scale**2)).transpose(0, 1)

    def _layer(self, weight: Tensor, bias: Tensor, slope: Tensor | None = None) -> Layer:
        def placed(parameter: Tensor) -> Tensor:
            return parameter.detach().to(self.device, self.dtype)

        weight = placed(weight).to(memory_format=torch.channels_last)
        return Layer(weight, placed(bias), None if slope is None else placed(slope))

    def rows(
        self, source: Source, on_advance: Callable[[float], None], band_rows: int | None = None
    ) -> Iterator[Tensor]:
        """Bands (h, W * scale, C) of the enlarged picture, float32, not clamped, from the top down.

        Args:
            on_advance: called after every band with the input pixels' worth of work just done.
            band_rows: input rows a band, instead of what suits the cache.

        Raises:
            OutOfMemory: not even one row at a time fits.
        """
        height, width = source.height, source.width
        layers = [*self._body, self._grey_end if source.channels == 1 else self._colour_end]
        stream = _RowStream(layers, source, self.dtype)
        bytes_a_row = width * self.features * self.dtype.itemsize
        most = band_rows or max(1, BAND_BYTES // bytes_a_row)
        total = height + len(layers)
        done = 0
        while stream.fed < total:
            count = -(-(total - stream.fed) // -(-(total - stream.fed) // most))  # even, at most `most`
            try:
                residual = stream.advance(count)
                band = None if residual is None else self._enlarged(residual, source, done)
            except (MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error, 16 * count * bytes_a_row):
                    raise
                if most == 1:
                    raise OutOfMemory(_too_wide(width)) from error
                most = max(1, count // 2)
                continue
            stream.commit()
            if band is not None:
                done += len(band) // self.scale
                yield band
            on_advance(count * height * width / total)

    def _enlarged(self, residual: Tensor, source: Source, first: int) -> Tensor:
        """What the network adds, (1, s * s * C, h, W), plus the nearest-neighbour enlargement of the source."""
        scale, channels = self.scale, source.channels
        height, width = residual.shape[2:]
        base = source.window(Span(first, first + height))[0].permute(1, 2, 0)  # (h, W, C)
        sub = residual[0].permute(1, 2, 0).reshape(height, width, scale, scale, channels)
        band = sub.float() + base[:, :, None, None]
        return band.transpose(1, 2).reshape(height * scale, width * scale, channels)


class _RowStream:
    """The network's layers, each as far as the rows fed so far allow.

    Layer number d (from 1) is d rows behind what was fed. At the top and bottom, one row of zeros stands
    for what lies outside the picture, for every layer anew, as padding would. `fed` counts on below
    the picture's last row until the last layer has caught up.
    """

    def __init__(self, layers: list[Layer], source: Source, dtype: torch.dtype):
        self.layers = layers
        self.source = source
        self.dtype = dtype
        self.fed = 0
        self.held = [self._outside(layer) for layer in layers]
        self.made = [0] * len(layers)
        self._next = (self.fed, self.held, self.made)

    def _outside(self, layer: Layer) -> Tensor:
        shape = (1, layer.weight.shape[1], 1, self.source.width)
        zeros = torch.zeros(shape, dtype=self.dtype, device=self.source.device)
        return zeros.to(memory_format=torch.channels_last)

    def advance(self, count: int) -> Tensor | None:
        """Feed `count` more rows; the last layer's new rows, if any. Takes effect with `commit`."""
        height = self.source.height
        fed = self.fed + count
        rows = self._input(Span(min(self.fed, height), min(fed, height)))
        held, made = [], []
        for depth, (layer, kept, before) in enumerate(zip(self.layers, self.held, self.made, strict=True), 1):
            window = kept if rows is None else torch.cat((kept, rows), dim=2)
            closing = before < height <= fed - depth
            if closing:
                window = torch.cat((window, self._outside(layer)), dim=2)
            rows = layer(window) if window.shape[2] > 2 else None
            held.append(window[:, :, -2:].clone(memory_format=torch.channels_last))
            made.append(before + (0 if rows is None else rows.shape[2]))
        self._next = (fed, held, made)
        return rows

    def commit(self) -> None:
        """Keep the state that `advance` left; without this, the same rows can be fed again."""
        self.fed, self.held, self.made = self._next

    def _input(self, rows: Span) -> Tensor | None:
        if not rows.length:
            return None
        x = self.source.window(rows).to(self.dtype)
        x = x.expand(-1, self.layers[0].weight.shape[1], -1, -1)
        return x.contiguous(memory_format=torch.channels_last)


def _too_wide(width: int) -> str:
    return f"Not even one row of {width} pixels fits into memory. Send a smaller picture or use a smaller model."


def _bias(convolution: nn.Conv2d) -> Tensor:
    assert convolution.bias is not None  # noqa: S101 (for the type checker: both families have one)
    return convolution.bias
