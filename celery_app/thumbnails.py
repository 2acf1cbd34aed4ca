"""A result's thumbnails, made of the pixels that the worker still holds."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from utils.image_formats import icc
from utils.image_formats.lossy_pixels import on_white, to_8_bits
from utils.image_formats.strip_writer import Layout, Pixels
from utils.thumbnails import SIDES, encode


def make_thumbnails(pixels: Pixels, profile: bytes | None, *, opaque: bool) -> dict[int, bytes]:
    """Every kept size, as WebP in sRGB by its longest side; a picture is never enlarged.

    Args:
        pixels: (H, W) or (H, W, 1 to 4), uint8 or uint16. Memory: some megabytes beside them.
        profile: the ICC profile of the colours.
        opaque: whether the result's format has no alpha, and shows it on white.
    """
    image = _image(to_8_bits(_averaged(pixels, SIDES[0])), profile, opaque=opaque)
    made = {}
    for side in SIDES:
        image.thumbnail((side, side))
        made[side] = encode(image)
    return made


def _averaged(pixels: Pixels, side: int) -> Pixels:
    """(H, W[, C]) -> (h, w, C) of at most `side` pixels a side, each the mean of those that it stands for.

    Colours are averaged as they are and not weighted by alpha: the engine has extended those of visible pixels under
    transparent ones, so nothing hidden comes to light.
    """
    layout = Layout.of(pixels)
    share = min(1.0, side / max(layout.width, layout.height))
    size = (max(1, round(layout.width * share)), max(1, round(layout.height * share)))
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA) if share < 1 else pixels
    return small.reshape(size[1], size[0], layout.channels)  # type: ignore[return-value]


def _image(pixels: NDArray[np.uint8], profile: bytes | None, *, opaque: bool) -> Image.Image:
    """(h, w, C) as a Pillow image in sRGB."""
    has_alpha = pixels.shape[2] in (2, 4)
    if has_alpha and opaque:
        pixels, has_alpha = on_white(pixels), False
    colour = pixels[..., :-1] if has_alpha else pixels
    image = icc.to_srgb(
        Image.fromarray(np.ascontiguousarray(colour.squeeze(2) if colour.shape[2] == 1 else colour)), profile
    )
    if has_alpha:
        image = image.convert("RGB")
        image.putalpha(Image.fromarray(np.ascontiguousarray(pixels[..., -1])))
    return image
