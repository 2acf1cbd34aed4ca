"""Pictures from files and back: decoding them upright, and encoding them as their rows come.

OpenCV decodes: it keeps 16 bits a channel, and of PNG refuses all data that is not whole. Of JPEG it lets
some damage pass with a line on stderr, so Pillow, which fails on more of it, looks at these first, and
decodes CMYK, whose four channels OpenCV does not hand out.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, Literal

import cv2
import numpy as np
from PIL import Image, ImageChops, JpegImagePlugin

from utils import icc, jpeg_segments, jpeg_writer, png_chunks, png_writer, webp_writer
from utils.errors import OutOfMemory, ServiceError, Undecodable
from utils.image_header import ImageFormat, ImageHeader, read_header
from utils.image_metadata import (
    Metadata,
    jpeg_metadata_segments,
    png_metadata_chunks,
    read_jpeg_metadata,
    read_png_metadata,
)
from utils.jpeg_segments import Segment
from utils.output_formats import DEFAULT_QUALITY, OutputFormat, check_fits
from utils.strip_writer import Layout, Pixels, StripWriter

__all__ = [
    "DEFAULT_QUALITY",
    "MetadataPolicy",
    "OutputFormat",
    "Picture",
    "check_fits",
    "decode",
    "encode",
    "open_writer",
]

MetadataPolicy = Literal["keep", "no-gps", "strip"]


@dataclass(frozen=True)
class Picture:
    """A decoded picture.

    Args:
        pixels: (H, W) grey, (H, W, 2) grey and alpha, (H, W, 3) RGB or (H, W, 4) RGBA, in uint8 or
            uint16 by the depth of the file. Alpha is straight, not premultiplied.
        metadata: what it carries beside the pixels.
        source_format: of the file it came from.
        source_mode: as in `ImageHeader.mode`.
    """

    pixels: Pixels
    metadata: Metadata = field(default_factory=Metadata)
    source_format: ImageFormat = "PNG"
    source_mode: str = "RGB"

    @property
    def layout(self) -> Layout:
        """Width, height, channels and bits."""
        return Layout.of(self.pixels)


# --- Decoding -----------------------------------------------------------------------------------


def decode(path: Path | str) -> Picture:
    """Decode a PNG or JPEG file, upright, whole or not at all.

    Raises:
        UnsupportedFormat, AnimatedImage: as `read_header`.
        Undecodable: the decoder fails, in whatever way, or the pixels end early.
        OutOfMemory: the pixels do not fit into memory.
    """
    with open(path, "rb") as stream:
        header = read_header(stream)
        with _coded_errors(header.format):
            picture = _decode_png(stream, header) if header.format == "PNG" else _decode_jpeg(stream, header)
            return replace(picture, pixels=_upright(picture.pixels, header.orientation))


@contextmanager
def _coded_errors(image_format: ImageFormat) -> Iterator[None]:
    """Whatever a decoder raises on hostile bytes becomes an error with a code."""
    try:
        yield
    except ServiceError:
        raise
    except MemoryError as error:
        raise OutOfMemory("There is not enough memory to decode this picture.") from error
    except Exception as error:
        if isinstance(error, cv2.error) and error.code == cv2.Error.StsNoMem:
            raise OutOfMemory("There is not enough memory to decode this picture.") from error
        raise _damaged(image_format) from error


def _damaged(image_format: ImageFormat) -> Undecodable:
    return Undecodable(
        f"The {image_format}'s pixels are damaged. Open it in another program and save it again, or send the original."
    )


def _decode_png(stream: BinaryIO, header: ImageHeader) -> Picture:
    pixels = _imdecode(stream.read(), cv2.IMREAD_UNCHANGED, "PNG")
    if header.mode.startswith("LA"):
        pixels = np.ascontiguousarray(pixels[:, :, ::3])  # OpenCV spreads grey and alpha over BGRA
    elif pixels.ndim == 3:
        swap = cv2.COLOR_BGR2RGB if pixels.shape[2] == 3 else cv2.COLOR_BGRA2RGBA
        pixels = cv2.cvtColor(pixels, swap, dst=pixels)
    elif (key := _transparent_grey(stream, pixels.dtype)) is not None:
        alpha = np.where(pixels == key, 0, np.iinfo(pixels.dtype).max)
        pixels = np.dstack([pixels, alpha.astype(pixels.dtype)])
    return Picture(pixels, _fitting(read_png_metadata(stream), pixels), "PNG", header.mode)


def _imdecode(encoded: bytes, flags: int, image_format: ImageFormat) -> Any:
    pixels = cv2.imdecode(np.frombuffer(encoded, np.uint8), flags)
    if pixels is None:
        raise _damaged(image_format)
    return pixels


def _transparent_grey(stream: BinaryIO, dtype: np.dtype[Any]) -> int | None:
    """The one grey that a grey PNG's tRNS chunk makes transparent, which OpenCV passes over."""
    chunks = {chunk.kind: png_chunks.read(stream, chunk) for chunk in png_chunks.walk(stream)}
    header, transparent = chunks[b"IHDR"], chunks.get(b"tRNS")
    if not header or not transparent or len(transparent) != 2:
        return None
    levels = 2 ** header[8] - 1
    (key,) = struct.unpack(">H", transparent)
    return int(key & levels) * int(np.iinfo(dtype).max) // levels


def _decode_jpeg(stream: BinaryIO, header: ImageHeader) -> Picture:
    segments = list(jpeg_segments.walk(stream))
    metadata = read_jpeg_metadata(segments)
    stream.seek(0)
    encoded = stream.read()
    if _ends_early(encoded, segments):
        raise Undecodable("The JPEG's pixels end before the picture does. Send the original.")
    if header.mode == "CMYK":
        pixels = _decode_cmyk(encoded, segments, metadata.icc_profile)
        metadata = metadata.without_profile()
    else:
        channels = cv2.IMREAD_GRAYSCALE if header.mode == "L" else cv2.IMREAD_COLOR_RGB
        pixels = _imdecode(encoded, channels | cv2.IMREAD_IGNORE_ORIENTATION, "JPEG")
    return Picture(pixels, _fitting(metadata, pixels), "JPEG", header.mode)


def _decode_cmyk(encoded: bytes, segments: list[Segment], profile: bytes | None) -> Pixels:
    image: Image.Image = _load_jpeg(encoded)
    if not any(segment.marker == jpeg_segments.APP14 for segment in segments):
        image = ImageChops.invert(image)  # Pillow takes all CMYK for Adobe's, which is inverted
    return np.array(icc.cmyk_to_srgb(image, profile))


_NOISE = bytes(byte for byte in random.Random(0).randbytes(1024) if byte != 0xFF)  # noqa: S311
# Behind a gap, a decoder of a file with restart markers waits for the next one in their cycle of eight.
_RESTARTING_NOISE = _NOISE + b"".join(bytes((0xFF, jpeg_segments.RST0 + n)) + _NOISE for n in range(8))


def _ends_early(encoded: bytes, segments: list[Segment]) -> bool:
    """Whether a JPEG's coded pixels end before the picture does, though an end marker follows.

    libjpeg fills the rest with grey, and tells neither OpenCV's nor Pillow's callers. But it never looks
    at data behind the last pixel, so noise put there changes nothing, unless pixels are missing. In a
    sequential file the means of the blocks show that; a progressive one has its detail in the last scans.
    """
    end = segments[-1].offset
    with_noise = encoded[:end] + _RESTARTING_NOISE + encoded[end : end + 2]
    progressive = any(segment.marker == jpeg_segments.PROGRESSIVE_FRAME for segment in segments)
    whole, tried = (_load_jpeg(data, reduced=not progressive).tobytes() for data in (encoded, with_noise))
    return whole != tried


def _load_jpeg(encoded: bytes, *, reduced: bool = False) -> Image.Image:
    # The class itself and not Image.open, which takes a JPEG with a preview or gain map behind it for a
    # multi-picture file, and warns of sizes that have been judged before.
    image = JpegImagePlugin.JpegImageFile(BytesIO(encoded))
    if reduced:
        image.draft("L", (1, 1))  # grey, and one pixel for a block of 8 × 8
    image.load()
    return image


def _fitting(metadata: Metadata, pixels: Pixels) -> Metadata:
    """Metadata less a profile that is broken or for other channels: viewers ignore such a one."""
    usable = (3,) if Layout.of(pixels).channels >= 3 else (1, 3)
    return metadata if icc.channels(metadata.icc_profile) in usable else metadata.without_profile()


def _upright(pixels: Pixels, orientation: int) -> Pixels:
    """Pixels turned as EXIF orientation 1 to 8 says they are to be seen."""
    if orientation >= 5:
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return pixels.copy() if orientation > 1 else pixels


# --- Encoding -----------------------------------------------------------------------------------


def encode(
    picture: Picture,
    target: Path | str | BinaryIO,
    image_format: OutputFormat = "png",
    *,
    quality: int = DEFAULT_QUALITY,
    metadata: MetadataPolicy = "keep",
) -> None:
    """Encode a whole picture; arguments and errors as `open_writer`.

    Args:
        target: a path, or a stream to write to from where it stands, which is left open.
    """
    if isinstance(target, Path | str):
        with open(target, "wb") as stream:
            return encode(picture, stream, image_format, quality=quality, metadata=metadata)
    with open_writer(
        target, picture.layout, picture.metadata, image_format, quality=quality, policy=metadata
    ) as writer:
        writer.write_rows(picture.pixels)
    return None


def open_writer(
    stream: BinaryIO,
    layout: Layout,
    metadata: Metadata,
    image_format: OutputFormat = "png",
    *,
    quality: int = DEFAULT_QUALITY,
    policy: MetadataPolicy = "keep",
) -> StripWriter[Any]:
    """Begin a file whose rows come later, any number at a time: `with … as writer: writer.write_rows(…)`.

    Args:
        stream: written to from where it stands, and left open.
        layout: of the rows that will come. JPEG and WebP round 16 bits to 8; JPEG lays alpha on white.
        quality: 1 to 100, for JPEG and WebP.
        policy: `keep`; `no-gps`, all but the place; or `strip`, which keeps what colours depend on.

    Raises:
        OutputTooLarge: the format cannot hold a picture of that size.
    """
    check_fits(layout.width, layout.height, image_format)
    if policy == "strip":
        metadata = metadata.colour_only()
    elif policy == "no-gps":
        metadata = metadata.without_gps()
    if image_format == "png":
        return png_writer.PngWriter(stream, layout, png_metadata_chunks(metadata, layout))
    if image_format == "jpeg":
        return jpeg_writer.JpegWriter(stream, layout, quality, jpeg_metadata_segments(metadata, layout))
    return webp_writer.WebpWriter(stream, layout, quality, metadata)
