"""What the formats of 8 bits do to pixels that are more: rounding, and white beneath transparency."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from utils.image_formats.strip_writer import Pixels


def to_8_bits(pixels: Pixels) -> NDArray[np.uint8]:
    """16 bits a channel to 8, to the nearest: 65535 is 257 times 255. 8 bits stay as they are."""
    if pixels.dtype == np.uint8:
        return pixels.astype(np.uint8, copy=False)
    return ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)


def on_white(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W, C + 1) with straight alpha last, laid on white: (H, W, C)."""
    colour, alpha = pixels[..., :-1].astype(np.uint16), pixels[..., -1:].astype(np.uint16)
    return ((colour * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)
