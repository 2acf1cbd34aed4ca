"""The pixels of a JPEG: OpenCV decodes what Pillow has looked at.

OpenCV lets some damage pass with a line on stderr; Pillow fails on more of it, so it looks first. Pillow
also decodes CMYK, whose four channels OpenCV does not hand out.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from io import BytesIO
from typing import Any, BinaryIO

import cv2
import numpy as np
from PIL import Image, ImageChops, JpegImagePlugin

from utils.errors import Undecodable
from utils.image_formats import icc, jpeg_segments
from utils.image_formats.jpeg_segments import Segment
from utils.image_formats.strip_writer import Pixels


def read_pixels(stream: BinaryIO, segments: Sequence[Segment], mode: str, profile: bytes | None) -> Pixels:
    """Decode a JPEG, as it is stored: orientation is not applied.

    Args:
        segments: all of its segments, the end of the image last.
        mode: as in `ImageHeader.mode`.
        profile: the ICC profile, through which CMYK becomes sRGB.

    Returns:
        (H, W) grey or (H, W, 3) RGB, uint8.

    Raises:
        Undecodable: the coded pixels end early.
        Exception: of any kind, where the file is damaged.
    """
    stream.seek(0)
    encoded = stream.read()
    if _ends_early(encoded, segments):
        raise Undecodable("The JPEG's pixels end before the picture does. Send the original.")
    if mode == "CMYK":
        return _decode_cmyk(encoded, segments, profile)
    channels = cv2.IMREAD_GRAYSCALE if mode == "L" else cv2.IMREAD_COLOR_RGB
    pixels: Any = cv2.imdecode(np.frombuffer(encoded, np.uint8), channels | cv2.IMREAD_IGNORE_ORIENTATION)
    if pixels is None:
        raise ValueError("OpenCV cannot decode this JPEG")
    return pixels


def _decode_cmyk(encoded: bytes, segments: Sequence[Segment], profile: bytes | None) -> Pixels:
    image: Image.Image = _load(encoded)
    if not any(segment.marker == jpeg_segments.APP14 for segment in segments):
        image = ImageChops.invert(image)  # Pillow takes all CMYK for Adobe's, which is inverted
    return np.array(icc.cmyk_to_srgb(image, profile))


_NOISE = bytes(byte for byte in random.Random(0).randbytes(1024) if byte != 0xFF)  # noqa: S311
# Behind a gap, a decoder of a file with restart markers waits for the next one in their cycle of eight.
_RESTARTING_NOISE = _NOISE + b"".join(bytes((0xFF, jpeg_segments.RST0 + n)) + _NOISE for n in range(8))


def _ends_early(encoded: bytes, segments: Sequence[Segment]) -> bool:
    """Whether a JPEG's coded pixels end before the picture does, though an end marker follows.

    libjpeg fills the rest with grey, and tells neither OpenCV's nor Pillow's callers. But it never looks
    at data behind the last pixel, so noise put there changes nothing, unless pixels are missing. In a
    sequential file the means of the blocks show that; a progressive one has its detail in the last scans.
    """
    end = segments[-1].offset
    with_noise = encoded[:end] + _RESTARTING_NOISE + encoded[end : end + 2]
    progressive = any(segment.marker == jpeg_segments.PROGRESSIVE_FRAME for segment in segments)
    whole, tried = (_load(data, reduced=not progressive).tobytes() for data in (encoded, with_noise))
    return whole != tried


def _load(encoded: bytes, *, reduced: bool = False) -> Image.Image:
    # The class itself and not Image.open, which takes a JPEG with a preview or gain map behind it for a
    # multi-picture file, and warns of sizes that have been judged before.
    image = JpegImagePlugin.JpegImageFile(BytesIO(encoded))
    if reduced:
        image.draft("L", (1, 1))  # grey, and one pixel for a block of 8 × 8
    image.load()
    return image
