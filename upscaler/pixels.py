"""What a picture's pixels become on their way to the network and back: depth, grey, alpha.

Arrays are (H, W, C) with C of 1 (grey), 2 (grey, alpha), 3 (RGB) or 4 (RGB, alpha), alpha not
premultiplied, uint8 or uint16; between two runs of a network also float32 in 0..1.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[Any]

OPAQUE_ENOUGH = 16 / 255  # below this alpha, 8-bit colour that was once premultiplied is mostly rounding


LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601: brightness of red, green and blue


def full_scale(pixels: Pixels) -> float:
    """The value of white: 255, 65535, or 1 for float."""
    return float(np.iinfo(pixels.dtype).max) if pixels.dtype.kind == "u" else 1.0


def split(pixels: Pixels) -> tuple[Pixels, ...]:
    """The planes that are enlarged by themselves: colour, extended under transparent pixels, and any alpha."""
    if pixels.shape[2] in (1, 3):
        return (pixels,)
    colour, alpha = pixels[..., :-1], pixels[..., -1:]
    return _extended(colour, alpha), np.ascontiguousarray(alpha)


def is_constant(plane: Pixels) -> bool:
    """Whether the plane has one value throughout, so that no network need look at it."""
    return bool((plane == plane.flat[0]).all())


def _extended(colour: Pixels, alpha: Pixels) -> Pixels:
    """Colour with what lies under transparent pixels replaced by the colour of the visible ones nearby.

    Otherwise the network would draw the hidden colour, often black or white, into the edge as a halo.
    Pull-push (Gortler et al., "The Lumigraph", 1996, section 3.4): averages weighted by visibility, taken
    at ever coarser scales until every pixel has a neighbour.
    """
    visible = np.minimum(alpha / (full_scale(alpha) * OPAQUE_ENOUGH), 1.0).astype(np.float32)
    if visible.min() >= 1.0 or visible.max() == 0.0:
        return np.ascontiguousarray(colour)
    filled = _pull_push(colour.astype(np.float32), visible)
    if colour.dtype.kind == "u":
        filled = np.clip(np.rint(filled), 0, full_scale(colour))
    return filled.astype(colour.dtype)


def _pull_push(colour: Pixels, weight: Pixels) -> Pixels:
    """Float (H, W, C) and weights (H, W, 1) in 0..1 -> colour, blended into its surroundings where weight < 1."""
    height, width = weight.shape[:2]
    if weight.min() >= 1.0 or (height == 1 and width == 1):
        return colour
    half = ((width + 1) // 2, (height + 1) // 2)
    coarse_weight = _shrunk(weight, half)
    coarse_colour = _shrunk(colour * weight, half) / np.maximum(coarse_weight, 1e-6)
    # A coarse pixel counts as known as soon as a part of it is; else thin shapes would fade away.
    surroundings = _pull_push(coarse_colour, np.minimum(coarse_weight * 4, 1.0))
    smooth = cv2.resize(surroundings, (width, height), interpolation=cv2.INTER_LINEAR)
    return colour * weight + smooth.reshape(colour.shape) * (1 - weight)


def _shrunk(plane: Pixels, size: tuple[int, int]) -> Pixels:
    return cv2.resize(plane, size, interpolation=cv2.INTER_AREA).reshape(size[1], size[0], plane.shape[2])
