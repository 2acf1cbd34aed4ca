"""The pixels of a PNG, by OpenCV: it keeps 16 bits a channel, and refuses data that is not whole."""

from __future__ import annotations

import struct
from typing import Any, BinaryIO

import cv2
import numpy as np

from utils.image_formats import png_chunks
from utils.image_formats.strip_writer import Pixels


def read_pixels(stream: BinaryIO, mode: str) -> Pixels:
    """Decode a PNG.

    Args:
        mode: as in `ImageHeader.mode`.

    Returns:
        (H, W), or (H, W, C) with C of 2 (grey, alpha), 3 (RGB) or 4 (RGBA); uint8 or uint16.

    Raises:
        ValueError: it is damaged.
    """
    stream.seek(0)
    pixels: Any = cv2.imdecode(np.frombuffer(stream.read(), np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None:
        raise ValueError("OpenCV cannot decode this PNG")
    if mode.startswith("LA"):
        return np.ascontiguousarray(pixels[:, :, ::3])  # OpenCV spreads grey and alpha over BGRA
    if pixels.ndim == 3:
        swap = cv2.COLOR_BGR2RGB if pixels.shape[2] == 3 else cv2.COLOR_BGRA2RGBA
        return cv2.cvtColor(pixels, swap, dst=pixels)
    key = _transparent_grey(stream, pixels.dtype)
    if key is None:
        return pixels
    alpha = np.where(pixels == key, 0, np.iinfo(pixels.dtype).max)
    return np.dstack([pixels, alpha.astype(pixels.dtype)])


def _transparent_grey(stream: BinaryIO, dtype: np.dtype[Any]) -> int | None:
    """The one grey that a grey PNG's tRNS chunk makes transparent, which OpenCV passes over."""
    chunks = {chunk.kind: chunk for chunk in png_chunks.walk(stream)}
    if b"tRNS" not in chunks:
        return None
    header, transparent = (png_chunks.read(stream, chunks[kind]) for kind in (b"IHDR", b"tRNS"))
    if not header or not transparent or len(transparent) != 2:
        return None
    levels = 2 ** header[8] - 1
    (key,) = struct.unpack(">H", transparent)
    return int(key & levels) * int(np.iinfo(dtype).max) // levels
