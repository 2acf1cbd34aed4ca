"""What network a checkpoint belongs to, told from the names and shapes of its tensors alone.

Free of torch, so that the web process can say how much a model enlarges. Width, depth and scale are
read here once; `architectures` builds the network from the answer.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

Shapes = Mapping[str, tuple[int, ...]]
"""Tensor names -> shapes, as in a state dict."""


@dataclass(frozen=True)
class CompactShape:
    """An SRVGGNetCompact."""

    features: int
    convolutions: int
    scale: int
    channels: int


@dataclass(frozen=True)
class RRDBShape:
    """An RRDBNet."""

    features: int
    blocks: int
    growth: int
    scale: int
    channels: int


def network_shape(shapes: Shapes) -> CompactShape | RRDBShape:
    """The network of either family that has tensors of these shapes.

    Raises:
        ValueError: they belong to neither family.
    """
    try:
        return _rrdb_shape(shapes) if "conv_first.weight" in shapes else _compact_shape(shapes)
    except (KeyError, ValueError, IndexError, ZeroDivisionError) as error:
        raise ValueError(f"not the weights of an SRVGGNetCompact or an RRDBNet: {error}") from error


def _compact_shape(shapes: Shapes) -> CompactShape:
    numbers = [int(match[1]) for key in shapes if (match := re.fullmatch(r"body\.(\d+)\.weight", key))]
    if not numbers:
        raise ValueError("it has neither body.0.weight nor conv_first.weight")
    last = max(numbers)
    features, channels = shapes["body.0.weight"][:2]
    # body.0/1 is the way in, then a (convolution, PReLU) pair each, then the way out at `last`.
    return CompactShape(
        features=features,
        convolutions=last // 2 - 1,
        scale=_exact_root(shapes[f"body.{last}.weight"][0] // channels),
        channels=channels,
    )


def _rrdb_shape(shapes: Shapes) -> RRDBShape:
    features, unshuffled_channels = shapes["conv_first.weight"][:2]
    channels = shapes["conv_last.weight"][0]
    blocks = [int(match[1]) for key in shapes if (match := re.match(r"body\.(\d+)\.", key))]
    return RRDBShape(
        features=features,
        blocks=1 + max(blocks),
        growth=shapes["body.0.rdb1.conv1.weight"][0],
        scale=4 // _exact_root(unshuffled_channels // channels),
        channels=channels,
    )


def _exact_root(number: int) -> int:
    root = math.isqrt(number)
    if root < 1 or root * root != number:
        raise ValueError(f"{number} sub-pixels are not a square")
    return root
