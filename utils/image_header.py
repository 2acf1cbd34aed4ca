"""What a picture says of itself before it is decoded: format, size, mode, frames.

This is the web process's look at an upload. It reads the container's structure from end to end, so a
file that was cut short is refused at once, but no pixel is decoded: a verdict on the pixels is the
worker's (`utils.image_files`). Only Pillow's EXIF parser is used; cv2 and numpy are never imported.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePath
from typing import BinaryIO, Literal

from PIL import Image

from utils import png_chunks
from utils.errors import AnimatedImage, Undecodable, UnsupportedFormat

ImageFormat = Literal["PNG", "JPEG"]

_EXTENSIONS: dict[str, ImageFormat] = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG"}
_JPEG_SIGNATURE = b"\xff\xd8\xff"
_ORIENTATION = 0x0112
_EXIF_PREFIX = b"Exif\x00\x00"


@dataclass(frozen=True)
class ImageHeader:
    """A picture's header.

    Args:
        format: of the content, whatever the name says.
        width: in pixels, as the picture is meant to be seen, that is after its EXIF orientation.
        height: likewise.
        mode: `1 L LA P RGB RGBA CMYK`, with `;16` for 16 bits a channel.
        frames: always 1; animations raise.
        orientation: the EXIF value, 1 to 8; 1 where there is none.
    """

    format: ImageFormat
    width: int
    height: int
    mode: str
    frames: int = 1
    orientation: int = 1


def extension_matches(filename: str, image_format: ImageFormat) -> bool:
    """Whether a file name's extension (.png .jpg .jpeg, in any case) is one of the content's format."""
    return _EXTENSIONS.get(PurePath(filename).suffix.lower()) == image_format


def read_header(stream: BinaryIO) -> ImageHeader:
    """Read a picture's header and see that the file is whole.

    Args:
        stream: seekable; left at its start. Some kilobytes are held at a time, whatever its size.

    Raises:
        UnsupportedFormat: neither PNG nor JPEG by content.
        AnimatedImage: a PNG of several frames.
        Undecodable: a PNG or JPEG whose structure is broken, or which is cut short.
    """
    stream.seek(0)
    start = stream.read(len(png_chunks.SIGNATURE))
    try:
        if start == png_chunks.SIGNATURE:
            return _read_png(stream)
        if start.startswith(_JPEG_SIGNATURE):
            return _read_jpeg(stream)
    finally:
        stream.seek(0)
    raise UnsupportedFormat("The file's content is neither a PNG nor a JPEG. Convert it to one of these.")


# --- PNG ----------------------------------------------------------------------------------------

_PNG_MODES = {0: "L", 2: "RGB", 3: "P", 4: "LA", 6: "RGBA"}
_PNG_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}


def _read_png(stream: BinaryIO) -> ImageHeader:
    chunks = png_chunks.walk(stream)
    width, height, mode = _parse_ihdr(stream, next(chunks))
    orientation, has_pixels = 1, False
    for chunk in chunks:
        if chunk.kind == b"acTL":
            raise AnimatedImage("The PNG is animated. Send a single frame.")
        if chunk.kind == b"eXIf":
            orientation = exif_orientation(png_chunks.read(stream, chunk) or b"")
        has_pixels = has_pixels or chunk.kind == b"IDAT"
    if not has_pixels:
        raise Undecodable("The PNG holds no pixels.")
    return _header("PNG", width, height, mode, orientation)


def _parse_ihdr(stream: BinaryIO, chunk: png_chunks.Chunk) -> tuple[int, int, str]:
    data = png_chunks.read(stream, chunk)
    if chunk.kind != b"IHDR" or data is None or len(data) != 13:
        raise Undecodable("The PNG's header is damaged.")
    width, height, depth, colour, compression, filtering, interlace = struct.unpack(">IIBBBBB", data)
    if depth not in _PNG_DEPTHS.get(colour, ()) or compression or filtering or interlace > 1:
        raise Undecodable("The PNG's header names a kind of picture that does not exist.")
    if colour == 0 and depth == 1:
        return width, height, "1"
    return width, height, _PNG_MODES[colour] + (";16" if depth == 16 else "")


# --- JPEG ---------------------------------------------------------------------------------------

# A marker that is neither a stuffed 0xFF byte (00), nor a restart (D0-D7), nor fill (FF).
_MARKER = re.compile(rb"\xff([\x01-\xcf\xd8-\xfe])")
_SOI, _EOI, _TEM, _APP1 = 0xD8, 0xD9, 0x01, 0xE1
_BASELINE_TO_PROGRESSIVE = (0xC0, 0xC1, 0xC2)
_OTHER_FRAMES = (0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF)
_JPEG_MODES = {1: "L", 3: "RGB", 4: "CMYK"}
_MOST_SEGMENTS = 10_000  # a progressive scan script has some ten, an embedded profile 255
_BLOCK = 1 << 16


def _read_jpeg(stream: BinaryIO) -> ImageHeader:
    frame: tuple[int, int, str] | None = None
    orientation = 1
    for marker, data in _jpeg_segments(stream):
        if marker in _OTHER_FRAMES:
            raise Undecodable("This kind of JPEG (lossless, arithmetic or hierarchical) cannot be read.")
        if marker in _BASELINE_TO_PROGRESSIVE and frame is None:
            frame = _parse_frame(data)
        if marker == _APP1 and data.startswith(_EXIF_PREFIX):
            orientation = exif_orientation(data)
    if frame is None:
        raise Undecodable("The JPEG says nothing of its size.")
    return _header("JPEG", *frame, orientation)


def _jpeg_segments(stream: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Every marker segment up to the end-of-image marker; what stands behind that is not looked at."""
    offset = 2
    for _ in range(_MOST_SEGMENTS):
        marker, offset = _next_marker(stream, offset)
        if marker == _EOI:
            return
        if marker in (_SOI, _TEM):
            continue
        stream.seek(offset)
        length = int.from_bytes(stream.read(2), "big")
        data = stream.read(length - 2) if length > 2 else b""
        if length < 2 or len(data) < length - 2:
            raise Undecodable("The JPEG is truncated or damaged inside a segment. Send the whole file.")
        offset += length
        yield marker, data
    raise Undecodable(
        f"The JPEG has more than {_MOST_SEGMENTS} segments. Save it again with another program."
    )


def _next_marker(stream: BinaryIO, offset: int) -> tuple[int, int]:
    """The next marker at or after an offset, and the offset behind it.

    Skips coded pixels, and like every decoder any stray bytes between segments.
    """
    stream.seek(offset)
    block = b""
    while more := stream.read(_BLOCK):
        block = block[-1:] + more  # a marker may stand across two blocks
        offset += len(more)
        if found := _MARKER.search(block):
            return found[1][0], offset - (len(block) - found.end())
    raise Undecodable("The JPEG is truncated: its end-of-image marker is missing. Send the whole file.")


def _parse_frame(data: bytes) -> tuple[int, int, str]:
    if len(data) < 6:
        raise Undecodable("The JPEG's header is damaged.")
    precision, height, width, components = struct.unpack(">BHHB", data[:6])
    if precision != 8 or components not in _JPEG_MODES:
        raise Undecodable(f"A JPEG of {components} channels of {precision} bits cannot be read.")
    return width, height, _JPEG_MODES[components]


# --- Both ---------------------------------------------------------------------------------------


def exif_orientation(data: bytes) -> int:
    """The orientation in an EXIF block, 1 to 8; 1 (upright) where it is absent or makes no sense."""
    exif = Image.Exif()
    try:
        exif.load(data)
        value = exif.get(_ORIENTATION)
    except Exception:  # the parser meets arbitrary bytes, and a broken tag is no reason to refuse a picture
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _header(image_format: ImageFormat, width: int, height: int, mode: str, orientation: int) -> ImageHeader:
    if not (width and height):
        raise Undecodable(f"The {image_format} is {width} × {height} pixels: there is nothing in it.")
    if orientation >= 5:  # a quarter turn
        width, height = height, width
    return ImageHeader(image_format, width, height, mode, orientation=orientation)
