"""Pictures from files and back: decoding them upright, and encoding them as their rows come."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from typing import Any, BinaryIO, Literal

import cv2

from utils.errors import OutOfMemory, ServiceError, Undecodable
from utils.image_formats import icc, jpeg_reader, jpeg_segments, jpeg_writer, png_reader, png_writer, webp_writer
from utils.image_formats.metadata import (
    Metadata,
    jpeg_metadata_segments,
    png_metadata_chunks,
    read_jpeg_metadata,
    read_png_metadata,
    read_webp_metadata,
)
from utils.image_formats.outputs import DEFAULT_QUALITY, OutputFormat, check_fits
from utils.image_formats.strip_writer import Layout, Pixels, StripWriter
from utils.image_header import ImageFormat, ImageHeader, read_header

__all__ = [
    "DEFAULT_QUALITY",
    "MetadataPolicy",
    "OutputFormat",
    "Picture",
    "check_fits",
    "decode",
    "decode_pixels",
    "encode",
    "open_writer",
    "picture_of",
    "read_metadata",
]

MetadataPolicy = Literal["keep", "no-gps", "strip"]


@dataclass(frozen=True)
class Picture:
    """A decoded picture.

    Args:
        pixels: (H, W) grey, (H, W, 2) grey and alpha, (H, W, 3) RGB or (H, W, 4) RGBA, in uint8 or
            uint16 by the depth of the file. Alpha is straight, not premultiplied.
        metadata: what it carries beside the pixels, and fits these pixels.
        source_metadata: what the file carried.
        source_format: of the file it came from.
        source_mode: as in `ImageHeader.mode`.
    """

    pixels: Pixels
    metadata: Metadata = field(default_factory=Metadata)
    source_metadata: Metadata = field(default_factory=Metadata)
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
        return picture_of(stream, decode_pixels(stream))


def decode_pixels(stream: BinaryIO) -> Pixels:
    """The pixels of a PNG or JPEG, upright: the part of `decode` that C libraries do. Raises what that does."""
    header = read_header(stream)
    with _coded_errors(header.format):
        return _upright(_read_pixels(stream, header), header.orientation)


def picture_of(stream: BinaryIO, pixels: Pixels) -> Picture:
    """The picture of a file whose pixels were decoded. Raises what `decode` does."""
    header = read_header(stream)
    with _coded_errors(header.format):
        metadata = read_png_metadata(stream) if header.format == "PNG" else _read_jpeg_metadata(stream)
    return Picture(pixels, _fitting(metadata, pixels, header.mode), metadata, header.format, header.mode)


def _read_pixels(stream: BinaryIO, header: ImageHeader) -> Pixels:
    if header.format == "PNG":
        return png_reader.read_pixels(stream, header.mode)
    segments = list(jpeg_segments.walk(stream))
    profile = read_jpeg_metadata(segments).icc_profile if header.mode == "CMYK" else None
    return jpeg_reader.read_pixels(stream, segments, header.mode, profile)


def _read_jpeg_metadata(stream: BinaryIO) -> Metadata:
    return read_jpeg_metadata(jpeg_segments.walk(stream))


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
        raise Undecodable(
            f"The {image_format}'s pixels are damaged. Open it in another program and save it again, "
            "or send the original."
        ) from error


def _fitting(metadata: Metadata, pixels: Pixels, source_mode: str) -> Metadata:
    """Metadata less a profile that is broken or for other channels: viewers ignore such a one."""
    usable = (3,) if Layout.of(pixels).channels >= 3 else (1, 3)
    fits = source_mode != "CMYK" and icc.channels(metadata.icc_profile) in usable
    return metadata if fits else metadata.without_profile()


def _upright(pixels: Pixels, orientation: int) -> Pixels:
    """Pixels turned as EXIF orientation 1 to 8 says they are to be seen."""
    if orientation >= 5:
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return pixels.copy() if orientation > 1 else pixels


# --- What a result carries ----------------------------------------------------------------------


def read_metadata(stream: BinaryIO, image_format: OutputFormat) -> Metadata:
    """What a file that was encoded here carries beside its pixels, which are not looked at."""
    if image_format == "png":
        return read_png_metadata(stream)
    if image_format == "webp":
        return read_webp_metadata(stream)
    before_pixels = takewhile(lambda segment: segment.marker != jpeg_segments.SOS, jpeg_segments.walk(stream))
    return read_jpeg_metadata(before_pixels)


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
